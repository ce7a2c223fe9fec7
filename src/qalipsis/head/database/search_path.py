"""Lets people say `zone` instead of `qalipsis.zone` in SQL of their own."""

from __future__ import annotations

from sqlalchemy import text

from qalipsis.errors import ConfigurationError, ServiceRefused
from qalipsis.head.database.database import Database
from qalipsis.head.database.place import FilePlace, quoted

DEFAULT = '"$user", public'
"""What PostgreSQL searches when nobody has set anything."""

_CONFIGURED = """
select entry from pg_db_role_setting, unnest(setconfig) entry
where setrole = 0 and setdatabase = (select oid from pg_database where datname = current_database())
and entry like 'search_path=%'
"""


async def reach_schema(database: Database) -> str | None:
    """Have new sessions of the database find the tables, after whatever they find now.

    Returns the statement for an administrator when this user may not say it, None when all is well.
    """
    place = database.place
    if isinstance(place, FilePlace):
        return None
    statement = ""
    try:
        async with database.alone() as connection:
            configured = await connection.scalar(text(_CONFIGURED))
            path = extended(None if configured is None else configured.partition("=")[2], place.schema)
            if path is not None:
                statement = f"ALTER DATABASE {quoted(place.database)} SET search_path = {path};"
                await connection.exec_driver_sql(statement)
    except (ConfigurationError, ServiceRefused):
        if not statement:
            raise
        return statement
    return None


def extended(path: str | None, schema: str) -> str | None:
    """The search path with the schema at its end; None when it is there already."""
    entries = [entry.strip() for entry in (DEFAULT if path is None else path).split(",")]
    entries = [entry for entry in entries if entry not in ("", '""')]
    if schema in entries or quoted(schema) in entries:
        return None
    return ", ".join((*entries, quoted(schema)))
