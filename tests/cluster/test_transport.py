"""The promise of a transport, kept by each implementation."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from qalipsis.cluster.memory import MemoryTransport
from qalipsis.cluster.transport import Transport
from qalipsis.errors import TransportClosed

Opener = Callable[[], Transport]

every_transport = pytest.mark.parametrize("open_transport", [MemoryTransport])


async def take(bodies: AsyncIterator[bytes], count: int) -> list[bytes]:
    return [await asyncio.wait_for(anext(bodies), 5) for _ in range(count)]


@every_transport
async def test_messages_arrive_in_order_whenever_the_reader_comes(open_transport: Opener) -> None:
    transport = open_transport()
    sent = [str(number).encode() for number in range(200)]
    for body in sent[:100]:
        await transport.publish("news", body)
    reader = transport.subscribe("news")
    assert await take(reader, 100) == sent[:100]
    for body in sent[100:]:
        await transport.publish("news", body)
    assert await take(reader, 100) == sent[100:]
    await transport.aclose()


@every_transport
async def test_topics_do_not_meet(open_transport: Opener) -> None:
    transport = open_transport()
    await transport.publish("left", b"1")
    await transport.publish("right", b"2")
    assert await take(transport.subscribe("right"), 1) == [b"2"]
    assert await take(transport.subscribe("left"), 1) == [b"1"]
    await transport.aclose()


@every_transport
async def test_closing_ends_the_readers_and_refuses_what_comes_later(open_transport: Opener) -> None:
    transport = open_transport()

    async def read() -> list[bytes]:
        return [body async for body in transport.subscribe("news")]

    reading = asyncio.create_task(read())
    await asyncio.sleep(0)
    await transport.aclose()
    await transport.aclose()
    assert await asyncio.wait_for(reading, 5) == []
    with pytest.raises(TransportClosed, match="news"):
        await transport.publish("news", b"late")


async def test_a_full_topic_of_the_memory_makes_its_publisher_wait() -> None:
    transport = MemoryTransport(most_waiting=2)
    for body in (b"1", b"2"):
        await transport.publish("news", body)
    third = asyncio.create_task(transport.publish("news", b"3"))
    await asyncio.sleep(0)
    assert not third.done()
    assert await take(transport.subscribe("news"), 3) == [b"1", b"2", b"3"]
    await third


async def test_closing_releases_a_publisher_that_waits() -> None:
    transport = MemoryTransport(most_waiting=1)
    await transport.publish("news", b"1")
    waiting = asyncio.create_task(transport.publish("news", b"2"))
    await asyncio.sleep(0)
    await transport.aclose()
    with pytest.raises(TransportClosed):
        await waiting
