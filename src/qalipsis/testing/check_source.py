"""The promises of a reader, as a suite that the author of a source runs against a real service."""

from __future__ import annotations

import asyncio
from asyncio import FIRST_EXCEPTION
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, Final

from qalipsis.engine.source import MOST_IN_BATCH, Reader, ReaderRuntime
from qalipsis.errors import ServiceUnavailable
from qalipsis.language.durations import Duration, seconds
from qalipsis.metrics.meters import WorkerMeters
from qalipsis.system_clock import SystemClock
from qalipsis.testing.description import check_description, check_imports, check_mistakes
from qalipsis.testing.leftovers import Leftovers, within
from qalipsis.testing.promise import promise

OpenReader = Callable[[Any], Reader]
Produce = Callable[[], Awaitable[Any]]

TURNS: Final = (0, 1, 5)
WAITING_SECONDS: Final = 0.1
"""How long a source without more records is watched: it must stay silent, and wait."""

_numbers = count()


async def check_source(
    open_reader: OpenReader,
    source: Any,
    *,
    records: Sequence[Any],
    produce: Produce | None = None,
    key: Callable[[Any], Any] = lambda record: record,
    unreachable: Any = None,
    wrong: Iterable[Any] = (),
    drivers: Iterable[str] = (),
    patience: Duration = "10s",
) -> None:
    """Hold the reader of `source` against the contract in `qalipsis.engine.source`; raises AssertionError.

    `open_reader` is what the entry point names. Whoever opens the source must read exactly `records`,
    compared by `key`. Where they do not lie there already, `produce` makes them: it is called several times,
    each time after the readers that are to read them were opened.

    `unreachable` describes a source that cannot be read, `wrong` are descriptions with mistakes, `drivers`
    the modules that importing a description must not load. Nothing may take longer than `patience`.
    """
    check_description(source)
    check_mistakes(wrong)
    await check_imports(source, drivers)
    check = _Check(open_reader, source, [key(record) for record in records], produce, key, seconds(patience))
    await check.reading()  # what loads once is loaded then
    leftovers = Leftovers()
    await check.reading()
    await leftovers.check("a closed reader", check.limit)
    await check.each_reads_all()
    await leftovers.check("two closed readers", check.limit)
    await check.interrupted_open()
    await leftovers.check("a reader whose opening was interrupted", check.limit)
    if type(source).is_dealt_by_service:
        await check.dealt()
        await leftovers.check("two readers of a group", check.limit)
    if unreachable is not None:
        await check.unreachable(unreachable)
        await leftovers.check("a reader that could not open", check.limit)


class _Check:
    def __init__(
        self,
        open_reader: OpenReader,
        source: Any,
        expected: list[Any],
        produce: Produce | None,
        key: Callable[[Any], Any],
        limit: float,
    ) -> None:
        self._open_reader = open_reader
        self._source = source
        self._expected = expected
        self._produce = produce
        self._key = key
        self.limit = limit

    async def reading(self) -> None:
        """The records come in order, then the end, or a wait that `aclose` may interrupt."""
        async with self._opened(None) as reader:
            await self._make_records()
            batches = aiter(reader.batches())
            read: list[Any] = []
            await self._read(batches, read)
            promise(read == self._expected, _difference(read, self._expected))
            if type(self._source).is_finite:
                await self._check_end(batches)
            else:
                await self._check_wait(batches, reader)

    async def each_reads_all(self) -> None:
        """Readers without a group do not share."""
        async with self._opened(None) as first, self._opened(None) as second:
            await self._make_records()
            for reader in (first, second):
                batches = aiter(reader.batches())
                read: list[Any] = []
                await self._read(batches, read)
                promise(read == self._expected, f"with two readers, {_difference(read, self._expected)}")
                waiting = asyncio.ensure_future(anext(batches, None))
                await asyncio.sleep(0)
                await self._interrupt(waiting)  # as the engine does, before it closes the reader

    async def dealt(self) -> None:
        """Readers of a group share: each record to one of them."""
        group = f"qalipsis-check-{id(self)}-{next(_numbers)}"
        async with self._opened(group) as first, self._opened(group) as second:
            await self._make_records()
            read: list[Any] = []
            reading = [asyncio.ensure_future(self._share(reader, read)) for reader in (first, second)]
            try:
                until = asyncio.get_running_loop().time() + self.limit
                while len(read) < len(self._expected) and asyncio.get_running_loop().time() < until:
                    await asyncio.wait(reading, timeout=WAITING_SECONDS, return_when=FIRST_EXCEPTION)
                await asyncio.sleep(WAITING_SECONDS)  # none may come twice
            finally:
                for task in reading:
                    await self._interrupt(task)
            got, wanted = _counted(read), _counted(self._expected)
            missing, excess = list((wanted - got).elements()), list((got - wanted).elements())
            promise(not missing, f"no reader of a group of two got {', '.join(missing[:3])}")
            promise(not excess, f"readers of a group of two got too often {', '.join(excess[:3])}")

    async def _share(self, reader: Reader, read: list[Any]) -> None:
        async for batch in reader.batches():
            self._check_size(batch)
            read.extend(self._key(record) for record in batch)

    async def interrupted_open(self) -> None:
        """Whenever `open` is interrupted, `aclose` gives everything back."""
        for turns in TURNS:
            reader = self._open_reader(self._source)
            opening = asyncio.ensure_future(reader.open(_runtime(None)))
            for _ in range(turns):
                await asyncio.sleep(0)
            await self._interrupt(opening)
            await within(self.limit, "aclose() after an interrupted open()", reader.aclose())

    async def unreachable(self, source: Any) -> None:
        """What cannot be read is told when it opens."""
        check_description(source)
        reader = self._open_reader(source)
        try:
            await within(self.limit, "open() of a source that cannot be read", reader.open(_runtime(None)))
        except ServiceUnavailable as error:
            promise(" " in str(error), f"the error should say what cannot be reached, not {str(error)!r}")
        except AssertionError:
            raise
        except Exception as error:
            raise AssertionError(
                f"open() of a source that cannot be read raised {error!r}: make it a ServiceUnavailable"
            ) from error
        else:
            raise AssertionError("open() of a source that cannot be read ended as if it could")
        finally:
            await within(self.limit, "aclose() after a failed open()", reader.aclose())

    @asynccontextmanager
    async def _opened(self, group: str | None) -> AsyncIterator[Reader]:
        reader = self._open_reader(self._source)
        try:
            await within(self.limit, "open()", reader.open(_runtime(group)))
            yield reader
        finally:
            await within(self.limit, "aclose()", reader.aclose())

    async def _make_records(self) -> None:
        if self._produce is not None:
            await self._produce()

    async def _read(self, batches: AsyncIterator[Any], read: list[Any]) -> None:
        """Read until all expected records are there."""
        while len(read) < len(self._expected):
            try:
                batch = await within(self.limit, "waiting for a batch", anext(batches))
            except StopAsyncIteration:
                raise AssertionError(f"the source ended early: {_difference(read, self._expected)}") from None
            self._check_size(batch)
            read.extend(self._key(record) for record in batch)

    def _check_size(self, batch: Sequence[Any]) -> None:
        promise(len(batch) <= MOST_IN_BATCH, f"a batch has {len(batch)} records, more than {MOST_IN_BATCH}")

    async def _check_end(self, batches: AsyncIterator[Any]) -> None:
        while True:
            try:
                batch = await within(self.limit, "waiting for the end of a finite source", anext(batches))
            except StopAsyncIteration:
                return
            for record in batch:
                raise AssertionError(f"a record more than expected came: {record!r}")

    async def _check_wait(self, batches: AsyncIterator[Any], reader: Reader) -> None:
        waiting = asyncio.ensure_future(anext(batches))
        await asyncio.wait([waiting], timeout=WAITING_SECONDS)
        if waiting.done():
            raise AssertionError(
                "a source that never ends should wait for more records, but "
                + (f"raised {waiting.exception()!r}" if waiting.exception() else f"gave {waiting.result()!r}")
            )
        await within(self.limit, "aclose() while batches() waits", reader.aclose())
        await self._interrupt(waiting)

    async def _interrupt(self, task: asyncio.Future[Any]) -> None:
        task.cancel()
        await asyncio.wait([task], timeout=self.limit)
        promise(task.done(), f"a reader that was interrupted still ran after {self.limit:g} s")
        if not task.cancelled() and isinstance(error := task.exception(), AssertionError):
            raise error


def _runtime(group: str | None) -> ReaderRuntime:
    return ReaderRuntime(SystemClock(), WorkerMeters().step("checked", "source", "source"), group)


def _counted(records: Sequence[Any]) -> Counter[str]:
    """By their text: records need not be hashable."""
    return Counter(map(repr, records))


def _difference(read: Sequence[Any], expected: Sequence[Any]) -> str:
    for place, (got, wanted) in enumerate(zip(read, expected, strict=False)):
        if got != wanted:
            return f"record {place} is {got!r} where {wanted!r} was expected"
    last = f", the last is {read[-1]!r}" if read else ""
    return f"{len(read)} records came where {len(expected)} were expected{last}"
