"""What is wrong with a database, a step or a poll as an author wrote it: one sentence per mistake."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from qalipsis.language.callables import function_problems
from qalipsis.language.durations import duration_problems, limit_problems
from qalipsis.plugins.sql.row import is_shape
from qalipsis.plugins.sql.settings import EXAMPLE, address
from qalipsis.plugins.sql.statement import MOST_PARAMETERS, table_parts

FORMS = ("value", "context, value")
ORDERS = ("asc", "desc")


def database_problems(database: Any) -> Iterator[str]:
    try:
        found = address(database)
    except ValueError as error:
        yield f"sql.postgres: the URL {error}"
    else:
        for name in ("user", "database"):
            if not getattr(found, name):
                yield f"sql.postgres needs a {name}: write {EXAMPLE}, or {name}=…"
        if isinstance(found.port, bool) or not isinstance(found.port, int) or not 0 < found.port < 65536:
            yield f"sql.postgres port={found.port!r} should be a whole number from 1 to 65535"
        for name in ("host", "database", "user"):
            if not isinstance(getattr(found, name), str | None):
                yield f"sql.postgres {name}={getattr(found, name)!r} should be a text"
    if not _is_count(database.pool_size):
        yield f"sql.postgres pool_size={database.pool_size!r} should be a whole number of at least 1"
    for name in ("timeout", "connect_timeout"):
        yield from limit_problems(f"sql.postgres {name}", getattr(database, name))
    if database.schema is not None and not _is_text(database.schema):
        yield f"sql.postgres schema={database.schema!r} should be the name of a schema"
    tls = database.tls
    if tls is not None and not isinstance(tls, bool):
        if not isinstance(tls, str | PurePath):
            yield f"sql.postgres tls={tls!r} should be True, False or the path of a CA file"
        elif not os.path.isfile(tls):
            yield f"sql.postgres tls: there is no file {os.fspath(tls)!r}"


def save_problems(spec: Any) -> Iterator[str]:
    if not isinstance(spec.table, str) or not table_parts(spec.table):
        yield f'save into {spec.table!r} should name a table, such as "orders" or "shop.orders"'
    columns = spec.columns
    if isinstance(columns, Mapping):
        yield from _columns_problems(columns)
        for name, value in columns.items():
            if callable(value):
                yield from function_problems(f"save column {name!r}", value, FORMS)
    elif callable(columns):
        yield from function_problems("save columns", columns, FORMS)
    elif isinstance(columns, Sequence) and not isinstance(columns, str | bytes):
        yield from _rows_problems(columns)
    else:
        yield (
            f"save columns={columns!r} should be a dict of column and value, a list of such dicts, "
            "or a function that returns one of them"
        )


def returning_problems(returning: Any) -> Iterator[str]:
    if not _is_names(returning):
        yield f'save returning={returning!r} should be names of columns, such as ("id",)'


def statement_problems(verb: str, statement: Any) -> Iterator[str]:
    if not _is_text(statement):
        yield f'{verb} needs a statement as text, such as "SELECT * FROM orders", not {statement!r}'


def params_problems(verb: str, params: Any) -> Iterator[str]:
    if callable(params):
        yield from function_problems(f"{verb} params", params, FORMS)
        return
    yield from _list_problems(verb, params)
    if isinstance(params, list | tuple):
        for number, value in enumerate(params, start=1):
            if callable(value):
                yield from function_problems(f"{verb} parameter {number}", value, FORMS)


def into_problems(verb: str, into: Any) -> Iterator[str]:
    if not is_shape(into):
        yield f"{verb} into={into!r} should be dict, a dataclass or a msgspec.Struct"


def poll_problems(spec: Any) -> Iterator[str]:
    yield from statement_problems("poll", spec.query)
    if not _is_names(spec.by):
        yield f'poll by={spec.by!r} should name the ordering column, such as "id" or ("created", "id")'
    if spec.order not in ORDERS:
        yield f'poll order={spec.order!r} should be "asc" or "desc"'
    if not _is_names(spec.key) and spec.key != ():
        yield f'poll key={spec.key!r} should name the columns that identify a row, such as "id"'
    start = spec.start_values
    if start is not None and len(start) != len(spec.by):
        yield f"poll start={spec.start!r} should have one value for each of by={spec.by!r}"
    elif start is not None and None in start:
        yield "poll start holds a None, which has no place in an order; leave start out to begin at the top"
    yield from limit_problems("poll every", spec.every)
    yield from duration_problems("poll lateness", spec.lateness)
    yield from _list_problems("poll", spec.params)
    if isinstance(spec.params, list | tuple) and any(map(callable, spec.params)):
        yield "poll params holds a function, but a poll has no minion to ask: give values"
    yield from into_problems("poll", spec.into)
    if not _is_count(spec.batch):
        yield f"poll batch={spec.batch!r} should be a whole number of at least 1"


def _columns_problems(columns: Mapping[Any, Any]) -> Iterator[str]:
    if not columns:
        yield "save columns is empty; name at least one column"
    for name in columns:
        if not _is_text(name):
            yield f"save has a column {name!r}; columns are named by texts"


def _rows_problems(rows: Sequence[Any]) -> Iterator[str]:
    if not rows:
        yield "save columns is an empty list; give at least one row"
    count = 0
    for row in rows:
        if not isinstance(row, Mapping):
            yield f"save columns holds {row!r}; each row should be a dict of column and value"
            return
        yield from _columns_problems(row)
        if any(map(callable, row.values())):
            yield "save columns holds a function in a list; write one function that returns the whole list"
            return
        count += len(row)
    if count > MOST_PARAMETERS:
        yield f"save has {count} values, and a statement takes {MOST_PARAMETERS} at most; save fewer rows"


def _list_problems(verb: str, params: Any) -> Iterator[str]:
    if not isinstance(params, list | tuple):
        yield f"{verb} params={params!r} should be a list with a value for $1, $2 and so on"
    elif len(params) > MOST_PARAMETERS:
        yield f"{verb} has {len(params)} parameters, and a statement takes {MOST_PARAMETERS} at most"


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_names(value: Any) -> bool:
    return isinstance(value, tuple) and bool(value) and all(map(_is_text, value))
