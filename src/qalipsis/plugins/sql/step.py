"""Turns descriptions into statements: the steps that `sql.save`, `sql.execute` and `sql.search` name."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar

from qalipsis.engine.builtin import on_value
from qalipsis.engine.step import StepError, StepRuntime
from qalipsis.engine.traffic import Traffic
from qalipsis.plugins.sql.failures import unavailable
from qalipsis.plugins.sql.pool import Connection, Pool
from qalipsis.plugins.sql.row import Row, shape
from qalipsis.plugins.sql.spec import Database, ExecuteSpec, InsertSpec, SaveSpec, SearchSpec
from qalipsis.plugins.sql.statement import insert

Answer = TypeVar("Answer")
Filled = Callable[[Any], Any]
"""Makes a part of the statement from the context."""


def open_save(spec: SaveSpec[Any] | InsertSpec[Any]) -> Save:
    """What the registry calls for `database.save`."""
    return Save(spec)


def open_execute(spec: ExecuteSpec[Any]) -> Execute:
    """What the registry calls for `database.execute`."""
    return Execute(spec)


def open_search(spec: SearchSpec[Any, Any]) -> Search:
    """What the registry calls for `database.search`."""
    return Search(spec)


class Statement:
    """What the three have in common: the pool of their database, and the books."""

    _pool: Pool
    _traffic: Traffic
    _runtime: StepRuntime

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open(self, runtime: StepRuntime) -> None:
        database = self._database
        pool = runtime.shared.get(database)
        if pool is None:
            pool = runtime.shared[database] = Pool(database.settings(), runtime.clock)
        self._pool = pool
        self._runtime = runtime
        self._traffic = Traffic(runtime)

    async def reach(self) -> None:
        """See before the start that the database lets us in. Raises ServiceUnavailable.

        Tables are not looked for: the scenario may create them.
        """
        try:
            await self._pool.reach()
        except StepError as error:
            raise unavailable(error, self._database) from error

    def connections(self, minions: int) -> dict[tuple[str, int], int]:
        settings = self._pool.settings
        return {(settings.host, settings.port): min(minions, settings.pool_size)}

    async def aclose(self) -> None:
        await self._pool.aclose()

    async def _run(self, send: Callable[[Connection, float], Awaitable[Answer]]) -> Answer:
        return await self._pool.run(self._traffic, self._runtime.meters, send)

    def _now(self) -> float:
        clock = self._runtime.clock
        return clock.epoch(clock.now())


class Save(Statement):
    """Inserts rows."""

    def __init__(self, spec: SaveSpec[Any] | InsertSpec[Any]) -> None:
        super().__init__(spec.database)
        self._table = spec.table
        self._returning = spec.returning if isinstance(spec, InsertSpec) else None
        self._rows = _rows(spec.columns)

    async def execute(self, context: Any) -> Any:
        rows = _checked(self._rows(context))
        if not rows:
            return context.value if self._returning is None else []
        try:
            text, parameters = insert(self._table, rows, self._returning or ())
        except ValueError as error:
            raise StepError("params", f"save into {self._table}: {error}") from error
        if self._returning is None:
            status = await self._run(
                lambda connection, left: connection.execute(text, *parameters, timeout=left)
            )
            self._runtime.meters.count("rows-saved", changed(status))
            return context.value
        records = await self._run(lambda connection, left: connection.fetch(text, *parameters, timeout=left))
        now = self._now()
        self._runtime.meters.count("rows-saved", len(records))
        return [Row(record, now) for record in records]


class Execute(Statement):
    """Runs a statement for what it changes."""

    def __init__(self, spec: ExecuteSpec[Any]) -> None:
        super().__init__(spec.database)
        self._text = spec.statement
        self._parameters = _list(spec.params)

    async def execute(self, context: Any) -> int:
        parameters = self._parameters(context)
        status = await self._run(
            lambda connection, left: connection.execute(self._text, *parameters, timeout=left)
        )
        count = changed(status)
        self._runtime.meters.count("rows-changed", count)
        return count


class Search(Statement):
    """Runs a query for its rows."""

    def __init__(self, spec: SearchSpec[Any, Any]) -> None:
        super().__init__(spec.database)
        self._text = spec.query
        self._parameters = _list(spec.params)
        self._into = spec.into
        self._shape = shape(spec.into)

    async def execute(self, context: Any) -> list[Any]:
        parameters = self._parameters(context)
        records = await self._run(
            lambda connection, left: connection.fetch(self._text, *parameters, timeout=left)
        )
        now, make = self._now(), self._shape
        self._runtime.meters.count("rows-read", len(records))
        try:
            return [make(record, now) for record in records]
        except ValueError as error:
            raise StepError("row", f"a row does not fit into {self._into.__name__}: {error}") from error


def changed(status: str) -> int:
    """How many rows a statement's answer tells of: `INSERT 0 3` and `UPDATE 3` of three, `BEGIN` of none."""
    last = status.rpartition(" ")[2]
    return int(last) if last.isdecimal() else 0


def _list(params: Any) -> Filled:
    if callable(params):
        make = on_value(params)

        def fill(context: Any) -> Sequence[Any]:
            made = make(context)
            if not isinstance(made, list | tuple):
                raise StepError(
                    "params", f"the function of params should return a list, not a {type(made).__name__}"
                )
            return made

        return fill
    if not any(map(callable, params)):
        return lambda context: params
    parts = [_value(value) for value in params]
    return lambda context: [part(context) for part in parts]


def _rows(columns: Any) -> Filled:
    if callable(columns):
        return on_value(columns)
    if not isinstance(columns, Mapping) or not any(map(callable, columns.values())):
        return lambda context: columns
    parts = {name: _value(value) for name, value in columns.items()}
    return lambda context: {name: part(context) for name, part in parts.items()}


def _value(value: Any) -> Filled:
    return on_value(value) if callable(value) else lambda context: value


def _checked(made: Any) -> Sequence[Mapping[str, Any]]:
    """The rows that a function returned, or StepError when these are none."""
    rows = [made] if isinstance(made, Mapping) else made
    if not isinstance(rows, list | tuple) or not all(isinstance(row, Mapping) for row in rows):
        raise StepError(
            "params", f"the columns of a save should be a dict or a list of dicts, not {_type(made)}"
        )
    return rows


def _type(made: Any) -> str:
    return f"{type(made).__name__} of other things" if isinstance(made, list | tuple) else type(made).__name__
