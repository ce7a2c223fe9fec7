"""Reads a source beside the minions and hands its records to whoever gives them out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from qalipsis.engine.scene import Background
from qalipsis.engine.source import Numbered, Reader, ReaderRuntime
from qalipsis.engine.step import StepError
from qalipsis.errors import ServiceUnavailable

SLICE = 128
"""Records handed over before the loop gets its turn: each may resume a minion, which takes microseconds."""

_log = logging.getLogger(__name__)


class Sink(Protocol):
    """Takes the records of a pump."""

    def put(self, records: Sequence[Any]) -> None: ...

    def has_room(self) -> bool:
        """False: the pump reads no further until `Pump.go_on` is called."""

    def ended(self, error: StepError | None) -> None:
        """No more records of this pump: the source ended, or reading it broke."""


NOBODY = -1
"""Owns no row."""


class Shard:
    """The records of one worker, when each worker reads all of them: row i, or number i, goes to owner(i)."""

    __slots__ = ("_owner", "_row", "_taken", "_worker")

    def __init__(self, owner: Callable[[int], int], worker: int) -> None:
        self._owner = owner
        self._worker = worker
        self._row = 0
        self._taken: list[Callable[[int], bool]] = []

    def take_over(self, is_taken: Callable[[int], bool]) -> None:
        """Keep these rows of other workers as well, from where reading has come to."""
        self._taken.append(is_taken)

    def own(self, records: Sequence[Any]) -> Sequence[Any]:
        owner, worker, first = self._owner, self._worker, self._row
        self._row += len(records)
        rows = records.numbers if isinstance(records, Numbered) else range(first, self._row)
        if not self._taken:
            return [record for row, record in zip(rows, records, strict=True) if owner(row) == worker]
        return [
            record
            for row, record in zip(rows, records, strict=True)
            if owner(row) == worker or any(is_taken(row) for is_taken in self._taken)
        ]


class Pump:
    """Moves records from a reader to a sink, no faster than the sink has room for them."""

    def __init__(
        self,
        make_reader: Callable[[], Reader],
        runtime: ReaderRuntime,
        sink: Sink,
        shard: Shard | None = None,
        is_endless: bool = False,
    ) -> None:
        self._make_reader = make_reader
        self._reader = make_reader()
        self._runtime = runtime
        self._sink = sink
        self._shard = shard
        self._is_endless = is_endless
        self._is_open = False
        self._count = 0
        self._room = asyncio.Event()

    async def open(self) -> None:
        """Open the reader ahead of the start. Raises ServiceUnavailable."""
        try:
            await self._reader.open(self._runtime)
        except BaseException:
            await self._reader.aclose()
            raise
        self._opened()

    def start(self, background: Background) -> Any:
        """Read on, until the source ends or what is returned is cancelled; the reader is closed then."""
        return background.run(self._run(), lambda result, error: None, self._runtime.meters.name)

    def go_on(self) -> None:
        """The sink has room again."""
        self._room.set()

    async def _run(self) -> None:
        error: StepError | None = None
        try:
            if not self._is_open:
                await self._reader.open(self._runtime)
                self._opened()
            while await self._read() and self._is_endless:
                await self._reader.aclose()
                self._reader = self._make_reader()
                await self._reader.open(self._runtime)
        except StepError as raised:
            error = raised
        except ServiceUnavailable as raised:
            error = StepError("unavailable", str(raised))
        except Exception as raised:
            _log.error("reading a source broke", exc_info=raised)
            error = StepError(type(raised).__name__, str(raised))
        finally:
            await self._close()
        if error is None:
            self._tell("ended", self._count)
        else:
            self._tell("failed", error.kind)
        self._sink.ended(error)

    async def _close(self) -> None:
        """A reader that cannot even be closed must not keep anybody waiting."""
        try:
            await self._reader.aclose()
        except Exception as error:
            _log.error("closing a source broke", exc_info=error)

    def _opened(self) -> None:
        self._is_open = True
        self._tell("opened", self._runtime.group or "")

    def _tell(self, what: str, value: float | str) -> None:
        if self._runtime.meters.tell is not None:
            self._runtime.meters.tell(what, value)

    async def _read(self) -> int:
        count = 0
        async for batch in self._reader.batches():
            own = batch if self._shard is None else self._shard.own(batch)
            for first in range(0, len(own), SLICE):
                self._sink.put(own[first : first + SLICE])
                await asyncio.sleep(0)
            count += len(batch)
            self._count += len(batch)
            while not self._sink.has_room():
                self._room.clear()
                await self._room.wait()
        return count
