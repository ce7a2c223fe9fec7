"""PostgreSQL: `sql.postgres(...)` describes a database, `step` and `reader` talk to it."""

from qalipsis.plugins.sql.row import Row
from qalipsis.plugins.sql.spec import (
    NEW,
    Database,
    ExecuteSpec,
    InsertSpec,
    PollSource,
    SaveSpec,
    SearchSpec,
    postgres,
)

__all__ = [
    "NEW",
    "Database",
    "ExecuteSpec",
    "InsertSpec",
    "PollSource",
    "Row",
    "SaveSpec",
    "SearchSpec",
    "postgres",
]
