"""Reads a poll: asks again and again for the rows behind those it has."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import Any

from qalipsis.engine.source import MOST_IN_BATCH, Numbered, ReaderRuntime
from qalipsis.engine.step import StepError
from qalipsis.language.durations import seconds
from qalipsis.plugins.sql import statement
from qalipsis.plugins.sql.cursor import Cursor
from qalipsis.plugins.sql.failures import failure, unavailable
from qalipsis.plugins.sql.pool import Connection, close, connect
from qalipsis.plugins.sql.row import shape
from qalipsis.plugins.sql.spec import NEW, PollSource

RECOVERY_SECONDS = 30.0
"""How long a database may be away before a poll gives up."""
FIRST_RETRY_SECONDS = 0.1
LAST_RETRY_SECONDS = 2.0
PASSING = frozenset(
    ("closed", "connect-failed", "connect-refused", "connect-timeout", "dns", "resources", "timeout")
) | {"too-many-connections", "unavailable"}
"""What may be over in a moment; everything else stays wrong however often it is tried."""


def open_poll(spec: PollSource[Any]) -> PollReader:
    """What the registry calls for `database.poll`."""
    return PollReader(spec)


class PollReader:
    """One poll in one worker, on a connection of its own. What is new is decided in `cursor`."""

    _runtime: ReaderRuntime

    def __init__(self, spec: PollSource[Any]) -> None:
        self._spec = spec
        self._settings = spec.database.settings()
        self._shape = shape(spec.into)
        self._every = seconds(spec.every)
        self._is_descending = spec.order == "desc"
        lateness = seconds(spec.lateness)
        self._cursor = Cursor(spec.by, spec.key, lateness, floor=spec.start_values)
        self._connection: Connection = None

    async def open(self, runtime: ReaderRuntime) -> None:
        self._runtime = runtime
        spec = self._spec
        try:
            self._connection = await connect(self._settings)
            await self._check()
            if spec.start is NEW:
                rows = await self._fetch(
                    statement.last(spec.query, spec.by, self._is_descending), spec.params
                )
                self._cursor = self._cursor.behind(rows, runtime.clock.now())
        except StepError as error:
            raise unavailable(error, spec.database) from error

    async def batches(self) -> AsyncIterator[Sequence[Any]]:
        clock = self._runtime.clock
        due = clock.now()
        while True:
            async for batch in self._poll():
                yield batch
            due = max(due + self._every, clock.now())
            await self._wait_until(due)

    async def aclose(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await close(connection)

    async def _check(self) -> None:
        """See that the query can be polled. Raises StepError."""
        spec, place = self._spec, self._settings.place
        prepared = await self._ask(
            lambda connection, limit: connection.prepare(statement.whole(spec.query), timeout=limit)
        )
        wanted, given = len(prepared.get_parameters()), len(spec.params)
        if wanted != given:
            raise StepError(
                "syntax", f"{place}: the query has {wanted} parameters, and params has {given} values"
            )
        types = {attribute.name: attribute.type.name for attribute in prepared.get_attributes()}
        if len(types) < len(prepared.get_attributes()):
            raise StepError(
                "syntax", f"{place}: the query gives two columns the same name; rename one with AS"
            )
        for column in (*spec.by, *spec.key):
            if column not in types:
                names = ", ".join(types)
                raise StepError("no-column", f"{place}: the query has no column {column!r}, but {names}")
        for column in spec.by:
            if types[column] == "citext":
                raise StepError(
                    "syntax",
                    f"{place}: {column!r} is equal for texts that are not; order by {column}::text instead",
                )
        text, parameters = self._ahead(self._cursor)
        # Planning it tells whether the columns have an order, and whether `start` is of their types.
        await self._fetch(f"EXPLAIN {text}", parameters)
        [found] = await self._fetch(statement.without_place(spec.query, spec.by), spec.params)
        if found[0]:
            by = " or ".join(spec.by)
            raise StepError(
                "no-order",
                f"{place}: there are rows without {by}, which have no place in the order; "
                f"leave them out with WHERE {spec.by[0]} IS NOT NULL, or order by another column",
            )

    async def _poll(self) -> AsyncIterator[Numbered]:
        """What is new since the last time. Raises StepError."""
        spec, clock = self._spec, self._runtime.clock
        parameters = tuple(spec.params)
        cursor = self._cursor
        if cursor.head is not None:
            text = statement.look_back(
                spec.query, spec.by, self._is_descending, len(parameters), cursor.floor is not None
            )
            rows = await self._patiently(text, (*parameters, *(cursor.floor or ()), *cursor.head))
            fresh, self._cursor = cursor.look_back(rows, clock.now())
            for batch in self._batches(fresh):
                yield batch
        has_more = True
        while has_more:
            cursor = self._cursor
            rows = await self._patiently(*self._ahead(cursor))
            self._cursor = cursor.look_ahead(rows, clock.now())
            has_more = len(rows) >= spec.batch
            for batch in self._batches(rows):
                yield batch
        self._runtime.meters.count("polls")

    def _ahead(self, cursor: Cursor) -> tuple[str, tuple[Any, ...]]:
        """The statement for the next rows, and its parameters."""
        spec = self._spec
        place = cursor.floor if cursor.head is None else cursor.head
        beyond = None if place is None else cursor.head is not None
        text = statement.look_ahead(
            spec.query, spec.by, self._is_descending, len(spec.params), spec.batch, beyond
        )
        return text, (*spec.params, *(place or ()))

    async def _patiently(self, text: str, parameters: Sequence[Any]) -> Sequence[Any]:
        """The answer of the database, which may be away for a while. Raises StepError."""
        clock = self._runtime.clock
        pause, gives_up = FIRST_RETRY_SECONDS, 0.0
        while True:
            try:
                rows: Sequence[Any] = await self._fetch(text, parameters)
            except StepError as error:
                now = clock.now()
                if error.kind not in PASSING:
                    raise
                gives_up = gives_up or now + RECOVERY_SECONDS
                if now >= gives_up:
                    raise StepError(error.kind, f"{error}; it was away for {RECOVERY_SECONDS:g} s") from error
                self._runtime.meters.count("poll-errors")
                await self.aclose()
                await self._wait_until(now + pause)
                pause = min(pause * 2, LAST_RETRY_SECONDS)
            else:
                return rows

    async def _fetch(self, text: str, parameters: Sequence[Any]) -> Any:
        return await self._ask(lambda connection, limit: connection.fetch(text, *parameters, timeout=limit))

    async def _ask(self, ask: Callable[[Connection, float], Awaitable[Any]]) -> Any:
        if self._connection is None or self._connection.is_closed():
            self._connection = await connect(self._settings)
        try:
            return await ask(self._connection, self._settings.timeout)
        except Exception as error:
            raise failure(error, self._settings.place) from error

    def _batches(self, rows: Sequence[Any]) -> Iterator[Numbered]:
        clock = self._runtime.clock
        received_at = clock.epoch(clock.now())
        for first in range(0, len(rows), MOST_IN_BATCH):
            yield self._records(rows[first : first + MOST_IN_BATCH], received_at)

    def _records(self, rows: Sequence[Any], received_at: float) -> Numbered:
        make = self._shape
        try:
            records = [make(row, received_at) for row in rows]
        except ValueError as error:
            raise StepError("row", f"a row does not fit into {self._spec.into.__name__}: {error}") from error
        self._runtime.meters.count("rows-read", len(records))
        # Workers poll at different moments, so they may read rows of equal value in different orders.
        return Numbered(records, [self._cursor.number(row) for row in rows])

    async def _wait_until(self, when: float) -> None:
        is_over = asyncio.Event()
        timer = self._runtime.clock.call_at(when, is_over.set)
        try:
            await is_over.wait()
        finally:
            timer.cancel()
