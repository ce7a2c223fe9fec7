"""The store in a database, PostgreSQL or SQLite.

What it needs is an extra, and importing it takes a while: import it where a database is really opened.
"""

from importlib.util import find_spec

from qalipsis.errors import ConfigurationError

_missing = [
    name for name in ("sqlalchemy", "greenlet", "alembic", "aiosqlite", "asyncpg") if find_spec(name) is None
]
if _missing:
    raise ConfigurationError(
        f"the store needs {', '.join(_missing)}, which is missing: run `pip install 'qalipsis[cluster]'`"
    )
