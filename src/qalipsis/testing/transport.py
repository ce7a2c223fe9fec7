"""The promise of `cluster.transport.Transport` as a suite that every implementation passes.

    async def open_mine() -> Transport: ...

    async def test_my_transport_keeps_its_promise() -> None:
        await check_transport(open_mine)

Each check opens a transport of its own and uses topics that nobody used before: brokers may be shared.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from typing import Final, TypeVar
from uuid import uuid4

from qalipsis.cluster import topics
from qalipsis.cluster.codec import MAX_BYTES, Sender, decode
from qalipsis.cluster.messages import ScenarioEnded, SnapshotTaken
from qalipsis.cluster.transport import MOST_ATTEMPTS, Delivery, Subscription, Transport
from qalipsis.errors import TransportClosed

_Result = TypeVar("_Result")

OpenTransport = Callable[[], Awaitable[Transport]]

PATIENCE_SECONDS: Final = 20.0
"""For each step of a check; brokers on a busy machine need a moment."""


async def check_transport(open_transport: OpenTransport) -> None:
    """Run every check; raises AssertionError, or TimeoutError where something never came."""
    for check in CHECKS:
        await run_check(check, open_transport)


async def run_check(check: Check, open_transport: OpenTransport) -> None:
    """One check, after which neither a task nor a connection of its transport may be left."""
    tasks, sockets = asyncio.all_tasks(), _sockets()
    transport = await open_transport()
    try:
        await check(transport)
    finally:
        await _soon(transport.aclose())
    await _nothing_is_left(tasks, sockets)


async def messages_arrive_in_order_whenever_the_reader_comes(transport: Transport) -> None:
    topic, source = _topic(), Source("a")
    sent = [source.say() for _ in range(200)]
    await _publish(transport, topic, sent[:100])
    async with Reading(transport, topic) as reader:
        assert await reader.bodies(100) == sent[:100]
        await _publish(transport, topic, sent[100:])
        assert await reader.bodies(100) == sent[100:]


async def what_is_published_waits_for_the_first_reader(transport: Transport) -> None:
    topic, body = _topic(), Source("a").say()
    await _publish(transport, topic, [body])
    await asyncio.sleep(0.2)
    async with Reading(transport, topic) as reader:
        [delivery] = await reader.take(1)
        assert (delivery.topic, delivery.body, delivery.attempt) == (topic, body, 1)


async def topics_do_not_meet(transport: Transport) -> None:
    names = [topics.HANDSHAKE + uuid4().hex, topics.node(uuid4().hex, 1)]
    campaign = uuid4().hex
    names += [topics.feedback(campaign), topics.directives(campaign, "a"), topics.directives(campaign, "b")]
    source = Source("a")
    sent = {name: [source.say() for _ in range(20)] for name in names}
    for number in range(20):
        for name in names:
            await _soon(transport.publish(name, sent[name][number]))

    async def read(name: str) -> list[bytes]:
        async with Reading(transport, name) as reader:
            return await reader.bodies(20)

    assert await asyncio.gather(*map(read, names)) == [sent[name] for name in names]
    for name in names:
        await _soon(transport.remove(name))


async def many_publishers_keep_each_its_order(transport: Transport) -> None:
    topic = _topic()
    sources = [Source(str(number)) for number in range(20)]
    sent = {source.name: [source.say() for _ in range(50)] for source in sources}
    async with Reading(transport, topic) as reader:
        publishing = [asyncio.create_task(_publish(transport, topic, bodies)) for bodies in sent.values()]
        got = await reader.bodies(1000)
        await _soon(asyncio.gather(*publishing))
    for name, bodies in sent.items():
        assert [body for body in got if decode(body).source == name] == bodies


async def what_was_not_acknowledged_comes_again_first_and_in_order(transport: Transport) -> None:
    topic, source = _topic(), Source("a")
    sent = [source.say() for _ in range(12)]
    await _publish(transport, topic, sent[:10])
    async with Reading(transport, topic, acknowledges=False) as reader:
        deliveries = await reader.take(8)
        for number in (5, 0, 1, 3):
            deliveries[number].acknowledge()
            deliveries[number].acknowledge()
    await _publish(transport, topic, sent[10:])
    async with Reading(transport, topic) as reader:
        again = await reader.take(8)
        assert [each.body for each in again] == [sent[number] for number in (2, 4, 6, 7, 8, 9, 10, 11)]
        assert [each.attempt for each in again[:4]] == [2, 2, 2, 2]


async def what_is_acknowledged_does_not_come_again(transport: Transport) -> None:
    topic, source = _topic(), Source("a")
    for _ in range(5):
        sent = [source.say() for _ in range(20)]
        await _publish(transport, topic, sent)
        async with Reading(transport, topic) as reader:
            assert await reader.bodies(20) == sent


async def a_later_reader_takes_over(transport: Transport) -> None:
    topic, source = _topic(), Source("a")
    sent = [source.say() for _ in range(3)]
    await _publish(transport, topic, sent[:2])
    async with Reading(transport, topic, acknowledges=False) as before:
        held = await before.take(2)
        waiting = asyncio.create_task(before.take(1))
        await asyncio.sleep(0.05)
        async with Reading(transport, topic) as reader:
            assert await reader.bodies(2) == sent[:2]
            await _publish(transport, topic, sent[2:])
            assert await reader.bodies(1) == sent[2:]
            await _is_told_that_it_is_closed(waiting, topic)
            held[0].acknowledge()


async def what_no_reader_survives_is_set_aside(transport: Transport) -> None:
    topic, source = _topic(), Source("a")
    poison, good = source.say(), source.say()
    await _publish(transport, topic, [poison])
    for attempt in range(1, MOST_ATTEMPTS + 1):
        async with Reading(transport, topic, acknowledges=False) as reader:
            [delivery] = await reader.take(1)
            assert (delivery.body, delivery.attempt) == (poison, attempt)
    await _publish(transport, topic, [good])
    async with Reading(transport, topic) as reader:
        assert await reader.bodies(1) == [good]


async def what_a_reader_sets_aside_stops_nobody(transport: Transport) -> None:
    topic, source = _topic(), Source("a")
    poison, good = source.say(), source.say()
    await _publish(transport, topic, [poison, good])
    async with Reading(transport, topic, acknowledges=False) as reader:
        [delivery] = await reader.take(1)
        assert delivery.body == poison
        delivery.set_aside("it is no message")
        delivery.acknowledge()
    async with Reading(transport, topic) as reader:
        assert await reader.bodies(1) == [good]


async def bodies_are_carried_as_they_are(transport: Transport) -> None:
    topic, source = _topic(), Source("a")
    every_byte = bytes(range(256))
    sent = [source.say(every_byte), source.say(), *(source.longest() for _ in range(8))]
    assert len(sent[-1]) == MAX_BYTES
    async with Reading(transport, topic) as reader:
        publishing = asyncio.create_task(_publish(transport, topic, sent))
        got = await reader.bodies(len(sent))
        await _soon(publishing)
        assert got == sent


async def a_topic_that_was_removed_is_empty(transport: Transport) -> None:
    topic, source = _topic(), Source("a")
    await _publish(transport, topic, [source.say() for _ in range(10)])
    async with Reading(transport, topic) as reader:
        await reader.take(5)
    await _soon(transport.remove(topic))
    await _soon(transport.remove(topic))
    body = source.say()
    await _publish(transport, topic, [body])
    async with Reading(transport, topic) as reader:
        assert await reader.bodies(1) == [body]


async def closing_ends_the_readers_and_refuses_what_comes_later(transport: Transport) -> None:
    topic, source = _topic(), Source("a")
    has_read = asyncio.Event()

    async def read(name: str) -> int:
        read = set()
        async for delivery in transport.subscribe(name):
            delivery.acknowledge()
            read.add(delivery.body)
            has_read.set()
        return len(read)

    await _publish(transport, topic, [source.say()])
    reading, idling = asyncio.create_task(read(topic)), asyncio.create_task(read(_topic()))
    await _soon(has_read.wait())
    await asyncio.sleep(0.1)  # the other one is reading by now, as a rule
    await _soon(transport.aclose())
    await _soon(transport.aclose())
    assert (await _soon(reading), await _soon(idling)) == (1, 0)
    assert await _soon(read(topic)) == 0
    await _is_told_that_it_is_closed(transport.publish(topic, source.say()), topic)


async def waiting_for_a_delivery_can_be_given_up(transport: Transport) -> None:
    topic, source = _topic(), Source("a")
    sent = [source.say() for _ in range(20)]
    async with Reading(transport, topic) as reader:
        publishing = asyncio.create_task(_publish(transport, topic, sent, pause_seconds=0.005))
        got: list[bytes] = []
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(got) < len(sent):
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.003):
                        got += await reader.bodies(1)
        await publishing
        assert got == sent


Check = Callable[[Transport], Awaitable[None]]

CHECKS: tuple[Check, ...] = (
    messages_arrive_in_order_whenever_the_reader_comes,
    what_is_published_waits_for_the_first_reader,
    topics_do_not_meet,
    many_publishers_keep_each_its_order,
    what_was_not_acknowledged_comes_again_first_and_in_order,
    what_is_acknowledged_does_not_come_again,
    a_later_reader_takes_over,
    what_no_reader_survives_is_set_aside,
    what_a_reader_sets_aside_stops_nobody,
    bodies_are_carried_as_they_are,
    a_topic_that_was_removed_is_empty,
    closing_ends_the_readers_and_refuses_what_comes_later,
    waiting_for_a_delivery_can_be_given_up,
)


class Source:
    """Somebody who speaks: each message has the next sequence."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._sender = Sender(name, 1)

    def say(self, data: bytes = b"") -> bytes:
        """The next message."""
        if not data:
            return self._sender.encode(ScenarioEnded(scenario="checkout", at=0.0))[1]
        return self._sender.encode(SnapshotTaken(worker=0, piece=0, pieces=1, data=data))[1]

    def longest(self) -> bytes:
        """A message as long as they may be."""
        return self.say(os.urandom(MAX_BYTES - len(self.say(b"-" * 100_000)) + 100_000))


class Reading:
    """One reader of a topic, which forgets a message that it has seen, as all readers do."""

    def __init__(self, transport: Transport, topic: str, acknowledges: bool = True) -> None:
        self.subscription: Subscription = transport.subscribe(topic)
        self._acknowledges = acknowledges
        self._seen: set[bytes] = set()

    async def take(self, count: int) -> list[Delivery]:
        """The next new deliveries."""
        taken: list[Delivery] = []
        while len(taken) < count:
            async with asyncio.timeout(PATIENCE_SECONDS):
                delivery = await anext(self.subscription)
            is_new = delivery.body not in self._seen
            if is_new:
                taken.append(delivery)
                self._seen.add(delivery.body)
            if self._acknowledges or not is_new:
                delivery.acknowledge()
        return taken

    async def bodies(self, count: int) -> list[bytes]:
        return [each.body for each in await self.take(count)]

    async def __aenter__(self) -> Reading:
        return self

    async def __aexit__(self, *_: object) -> None:
        await _soon(self.subscription.aclose())


async def _soon(awaited: Awaitable[_Result]) -> _Result:
    return await asyncio.wait_for(awaited, PATIENCE_SECONDS)


async def _publish(
    transport: Transport, topic: str, bodies: Iterable[bytes], pause_seconds: float = 0.0
) -> None:
    for body in bodies:
        await _soon(transport.publish(topic, body))
        if pause_seconds:
            await asyncio.sleep(pause_seconds)


async def _is_told_that_it_is_closed(asking: Awaitable[object], topic: str) -> None:
    try:
        answer = await _soon(asking)
    except TransportClosed as error:
        if topic in str(error):
            return
        raise AssertionError(f"{error} does not name {topic}") from error
    raise AssertionError(f"TransportClosed should be raised for {topic}, and {answer!r} was returned")


def _topic() -> str:
    return topics.feedback(uuid4().hex)


def _sockets() -> set[str]:
    """The sockets of this process; no system but Linux tells."""
    found = set()
    with suppress(OSError):
        for entry in os.scandir("/proc/self/fd"):
            with suppress(OSError):
                if (target := os.readlink(entry.path)).startswith("socket:"):
                    found.add(target)
    return found


async def _nothing_is_left(tasks: set[asyncio.Task[object]], sockets: set[str]) -> None:
    for _ in range(100):
        left: Sequence[object] = [*(asyncio.all_tasks() - tasks), *(_sockets() - sockets)]
        if not left:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"closing left {left}")
