"""The suite for sources: it passes on good ones, and names what a bad one does wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest

from qalipsis.engine.source import MOST_IN_BATCH, ReaderRuntime
from qalipsis.errors import ServiceUnavailable
from qalipsis.language.source import Source
from qalipsis.testing import check_source
from tests.engine.sources import ListedReader, listed


async def test_a_listed_source_keeps_its_promise() -> None:
    await check_source(ListedReader, listed([1, 2], [3]), records=[1, 2, 3])
    await check_source(ListedReader, listed(), records=[])


class Topic:
    """A service that deals records to the readers of a group, and all of them to readers without one."""

    def __init__(self) -> None:
        self.queues: list[asyncio.Queue[Any]] = []
        self.groups: dict[str, asyncio.Queue[Any]] = {}

    def subscribe(self, group: str | None) -> asyncio.Queue[Any]:
        if group is not None:
            return self.groups.setdefault(group, asyncio.Queue())
        queue: asyncio.Queue[Any] = asyncio.Queue()
        self.queues.append(queue)
        return queue

    def publish(self, records: Sequence[Any]) -> None:
        for queue in (*self.queues, *self.groups.values()):
            for record in records:
                queue.put_nowait(record)


@dataclass(frozen=True, eq=False)
class Consume(Source[Any]):
    kind: ClassVar[str] = "test.consume"
    is_dealt_by_service: ClassVar[bool] = True
    topic: Topic = field(default_factory=Topic)
    is_down: bool = False


class ConsumeReader:
    """A reader that keeps its promises, and the base of those that break one."""

    def __init__(self, source: Consume) -> None:
        self.source = source
        self.queue: asyncio.Queue[Any] | None = None

    async def open(self, runtime: ReaderRuntime) -> None:
        if self.source.is_down:
            raise ServiceUnavailable("there is no broker at 127.0.0.1:9")
        await asyncio.sleep(0)
        self.queue = self.source.topic.subscribe(runtime.group)

    async def batches(self) -> AsyncIterator[Sequence[Any]]:
        assert self.queue is not None
        while True:
            yield [await self.queue.get()]

    async def aclose(self) -> None:
        if self.queue in self.source.topic.queues:
            self.source.topic.queues.remove(self.queue)


RECORDS = [{"id": 1}, {"id": 2}, {"id": 3}]


async def check(reader: Any, records: Sequence[Any] = RECORDS, **options: Any) -> None:
    source = Consume()

    async def produce() -> None:
        source.topic.publish(RECORDS)

    await check_source(reader, source, records=records, produce=produce, patience="500ms", **options)


async def test_a_consumer_keeps_its_promise() -> None:
    await check(ConsumeReader, unreachable=Consume(is_down=True))
    await check(ConsumeReader, key=lambda record: record["id"])


class Backwards(ConsumeReader):
    async def batches(self) -> AsyncIterator[Sequence[Any]]:
        assert self.queue is not None
        yield list(reversed([await self.queue.get() for _ in RECORDS]))


class Ending(ConsumeReader):
    async def batches(self) -> AsyncIterator[Sequence[Any]]:
        assert self.queue is not None
        yield [await self.queue.get()]


class Ended(ConsumeReader):
    async def batches(self) -> AsyncIterator[Sequence[Any]]:
        async for batch in super().batches():
            yield batch
            if batch[0]["id"] == 3:
                return


class Mute(ConsumeReader):
    async def batches(self) -> AsyncIterator[Sequence[Any]]:
        await asyncio.sleep(60)
        yield []


class Heaping(ConsumeReader):
    async def batches(self) -> AsyncIterator[Sequence[Any]]:
        yield [{"id": 1}] * (MOST_IN_BATCH + 1)


class Late(ConsumeReader):
    """Takes its place only when it is asked for records."""

    async def open(self, runtime: ReaderRuntime) -> None:
        self.group = runtime.group

    async def batches(self) -> AsyncIterator[Sequence[Any]]:
        self.queue = self.source.topic.subscribe(self.group)
        async for batch in super().batches():
            yield batch


class Sharing(ConsumeReader):
    """Shares although it has no group."""

    async def open(self, runtime: ReaderRuntime) -> None:
        self.queue = self.source.topic.subscribe("all")


class NotSharing(ConsumeReader):
    async def open(self, runtime: ReaderRuntime) -> None:
        self.queue = self.source.topic.subscribe(None)


class Stuck(ConsumeReader):
    async def aclose(self) -> None:
        await asyncio.sleep(60)


class Leaking(ConsumeReader):
    async def open(self, runtime: ReaderRuntime) -> None:
        await super().open(runtime)
        self.task = asyncio.create_task(asyncio.sleep(2))


class CarelessClose(ConsumeReader):
    async def aclose(self) -> None:
        assert self.queue is not None, "closed without having been opened"


class Deaf(ConsumeReader):
    async def batches(self) -> AsyncIterator[Sequence[Any]]:
        assert self.queue is not None
        while True:
            try:
                batch = [await self.queue.get()]
            except asyncio.CancelledError:
                await asyncio.sleep(0.8)
                return
            yield batch


@pytest.mark.parametrize(
    ("reader", "words"),
    [
        (Backwards, r"record 0 is \{'id': 3\} where \{'id': 1\} was expected"),
        (Ending, r"the source ended early: 1 records came where 3 were expected, the last is \{'id': 1\}"),
        (Ended, "should wait for more records, but raised StopAsyncIteration"),
        (Mute, "waiting for a batch did not end within 0.5 s"),
        (Heaping, "a batch has 1001 records, more than 1000"),
        (Late, "waiting for a batch did not end"),
        (Sharing, "waiting for a batch did not end"),
        (NotSharing, r"readers of a group of two got too often \{'id': 1\}"),
        (Stuck, r"aclose\(\)( while batches\(\) waits)? did not end"),
        (Leaking, "a closed reader left behind a task"),
        (CarelessClose, "closed without having been opened"),
        (Deaf, "a reader that was interrupted still ran"),
    ],
)
async def test_a_broken_promise_is_named(reader: Any, words: str) -> None:
    try:
        with pytest.raises(AssertionError, match=words):
            await check(reader)
    finally:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        if others:
            await asyncio.wait(others)


async def test_a_source_with_more_records_is_told() -> None:
    with pytest.raises(AssertionError, match="3 records came where 2 were expected, the last is 3"):
        await check_source(ListedReader, listed([1, 2, 3]), records=[1, 2])


async def test_a_source_that_opens_although_it_cannot_be_read_is_told() -> None:
    with pytest.raises(AssertionError, match="ended as if it could"):
        await check(ConsumeReader, unreachable=Consume())


async def test_a_raw_error_of_the_driver_is_told() -> None:
    class Raw(ConsumeReader):
        async def open(self, runtime: ReaderRuntime) -> None:
            if self.source.is_down:
                raise ConnectionRefusedError("nobody there")
            await super().open(runtime)

    with pytest.raises(AssertionError, match="make it a ServiceUnavailable"):
        await check(Raw, unreachable=Consume(is_down=True))
