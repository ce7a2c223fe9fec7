"""The promise of a transport, kept by those that need no service; those of Redis are in `redis/`."""

from __future__ import annotations

import asyncio
from itertools import count

import pytest

from qalipsis.cluster.memory import MemoryTransport
from qalipsis.cluster.transport import Subscription, Transport
from qalipsis.errors import TransportClosed
from qalipsis.testing.chaos import ChaosTransport
from qalipsis.testing.transport import CHECKS, Check, OpenTransport, check_transport, run_check

seeds = count(1)


async def open_memory() -> Transport:
    return MemoryTransport()


async def open_chaos() -> Transport:
    return ChaosTransport(MemoryTransport(), next(seeds))


async def open_worse_chaos() -> Transport:
    return ChaosTransport(MemoryTransport(), next(seeds), drop=0.4, duplicate=0.4, reorder=0.4)


async def take(deliveries: Subscription, count: int) -> list[bytes]:
    taken = []
    for _ in range(count):
        delivery = await asyncio.wait_for(anext(deliveries), 5)
        delivery.acknowledge()
        taken.append(delivery.body)
    return taken


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("open_transport", [open_memory, open_chaos, open_worse_chaos])
async def test_transports_of_one_process_keep_the_promise(
    open_transport: OpenTransport, check: Check
) -> None:
    await run_check(check, open_transport)


async def test_the_suite_can_be_run_at_once() -> None:
    await check_transport(open_memory)


async def test_a_full_topic_of_the_memory_makes_its_publishers_wait_in_order() -> None:
    transport = MemoryTransport(most_held=2)
    for body in (b"1", b"2"):
        await transport.publish("news", body)
    waiting = [asyncio.create_task(transport.publish("news", body)) for body in (b"3", b"4", b"5")]
    await asyncio.sleep(0)
    reader = transport.subscribe("news")
    first = await anext(reader)
    await asyncio.sleep(0)
    assert not any(task.done() for task in waiting)  # until it is acknowledged
    first.acknowledge()
    late = asyncio.create_task(transport.publish("news", b"6"))
    assert await take(reader, 5) == [b"2", b"3", b"4", b"5", b"6"]
    await asyncio.gather(*waiting, late)


@pytest.mark.parametrize("how", ["closed", "removed"])
async def test_nobody_waits_for_room_in_a_topic_that_is_over(how: str) -> None:
    transport = MemoryTransport(most_held=1)
    await transport.publish("news", b"1")
    waiting = [asyncio.create_task(transport.publish("news", body)) for body in (b"2", b"3")]
    await asyncio.sleep(0)
    if how == "removed":
        await transport.remove("news")
        await asyncio.wait_for(asyncio.gather(*waiting), 5)
        return
    await transport.aclose()
    for task in waiting:
        with pytest.raises(TransportClosed):
            await task


async def test_dead_letters_of_the_memory_are_kept(caplog: pytest.LogCaptureFixture) -> None:
    transport = MemoryTransport()
    await transport.publish("news", b"1")
    (await anext(transport.subscribe("news"))).set_aside("nobody understands it")
    assert list(transport.dead_letters) == [("news", b"1")]
    assert "nobody understands it" in caplog.text
