"""`db`: the tables of the store, brought to the revision of this version, or looked at."""

from __future__ import annotations

import argparse

from qalipsis.cli import arguments
from qalipsis.cli.exit_codes import ExitCode
from qalipsis.cli.loop import run_on_a_loop
from qalipsis.config.loader import load
from qalipsis.config.settings import Datasource
from qalipsis.head.database import migration
from qalipsis.head.database.database import Database
from qalipsis.head.database.search_path import reach_schema


def manage(options: argparse.Namespace) -> int:
    """Upgrade the tables, or tell of which revision they are."""
    configuration = load(overrides=arguments.overrides(options))
    act = upgrade if options.action == "upgrade" else status
    print(run_on_a_loop(act(configuration.settings.datasource)))
    return ExitCode.SUCCESSFUL


async def upgrade(datasource: Datasource) -> str:
    """Bring the tables to the newest revision, and have SQL of administrators find them."""
    database = Database(datasource)
    try:
        before = await database.upgrade()
        statement = await reach_schema(database)
    finally:
        await database.aclose()
    newest = migration.newest()
    lines = [f"{database.place}: {_change(before, newest)}"]
    if statement is not None:
        lines.append(
            "This user may not set the search_path of the database. So that SQL finds the tables without "
            f"naming their schema, let an administrator run:\n    {statement}"
        )
    return "\n".join(lines)


async def status(datasource: Datasource) -> str:
    """Where the tables are and of which revision; nothing is changed."""
    database = Database(datasource)
    try:
        revision = await database.revision()
    finally:
        await database.aclose()
    migration.check_known(revision, database.place)
    newest = migration.newest()
    if revision == newest:
        return f"{database.place}: the tables are up to date, at revision {newest}"
    found = "there are no tables yet" if revision is None else f"the tables are at revision {revision}"
    return f"{database.place}: {found}, `qalipsis db upgrade` brings them to {newest}"


def _change(before: str | None, newest: str) -> str:
    if before is None:
        return f"the tables were created, at revision {newest}"
    if before == newest:
        return f"the tables are up to date, at revision {newest}"
    return f"the tables were upgraded from revision {before} to {newest}"
