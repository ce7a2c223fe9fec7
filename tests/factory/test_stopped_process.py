"""A factory whose processes stand still, with real workers, requests and Redis."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from qalipsis.cluster.messages import (
    AssignFactory,
    CloseCampaign,
    DeclareMinions,
    Final,
    LeaseEnded,
    StartMinions,
    WarmUp,
)
from qalipsis.metrics.ledger import Slot
from tests.factory.played_head import PlayedHead, factory_at
from tests.services.redis import Redis

WORKERS = 2
LEASE = 2.0

CHAIN = """
    from qalipsis import scenario
    from qalipsis.plugins import http

    shop = http.client("http://127.0.0.1:{port}")
    walk = scenario("shop", minions=8).start().then(shop.get("/")).named("page").iterate(1_000_000)
"""
JOURNEY = """
    from qalipsis import Minion, journey
    from qalipsis.plugins import http

    shop = http.client("http://127.0.0.1:{port}")

    @journey("shop", minions=8)
    async def walk(minion: Minion) -> None:
        while True:
            try:
                await minion.do(shop.get("/"), name="page")
            except Exception:
                pass
"""


class Shop:
    """Answers everything, and remembers when it was asked."""

    def __init__(self) -> None:
        self.port = 0
        self.asked: list[float] = []
        self.is_busy = asyncio.Event()

    def since(self, moment: float) -> int:
        return sum(at >= moment for at in self.asked)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.readuntil(b"\r\n\r\n"):
                self.asked.append(time.monotonic())
                if len(self.asked) >= 50:
                    self.is_busy.set()
                await asyncio.sleep(0.02)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def open_shop() -> AsyncIterator[Shop]:
    shop = Shop()
    server = await asyncio.start_server(shop.serve, "127.0.0.1", 0)
    shop.port = server.sockets[0].getsockname()[1]
    async with server:
        yield shop


async def start(head: PlayedHead, shop: Shop) -> None:
    await head.accepts()
    assigned = AssignFactory(
        campaign=head.campaign, zones=(WORKERS,), first_worker=0, seed=1, speed_factor=1.0
    )
    await head.say(assigned, head.campaign)
    for directive in (DeclareMinions(minions={"shop": 8}), WarmUp(), StartMinions(at=time.time() + 0.2)):
        await head.direct(directive)
        await asyncio.sleep(0.3)
    await shop.is_busy.wait()


async def accounts(head: PlayedHead) -> list[int]:
    """The sums over all workers."""
    await head.direct(CloseCampaign())
    final = await head.hears(Final)
    rows = [row for rows in final.ledgers.values() for row in rows.values()]
    return [sum(column) for column in zip(*rows, strict=True)]


async def test_a_factory_that_stood_still_sends_no_more_after_its_lease(
    redis_server: Redis, tmp_path: Path
) -> None:
    async with open_shop() as shop:
        text = CHAIN.format(port=shop.port)
        async with factory_at(redis_server, tmp_path, text, lease=LEASE, workers=WORKERS) as head:
            await start(head, shop)
            head.signal_all(signal.SIGSTOP)
            await asyncio.sleep(LEASE + 0.5)
            resumed = time.monotonic()
            head.signal_all(signal.SIGCONT)
            await head.hears(LeaseEnded)
            await asyncio.sleep(0.5)
            assert shop.since(resumed) <= WORKERS
            counts = await accounts(head)
            assert counts[Slot.MINIONS_STARTED] == counts[Slot.MINIONS_ABORTED] == 8
            assert counts[Slot.REQUESTS_ATTEMPTED] == counts[Slot.REQUESTS_OK] + counts[Slot.REQUESTS_ERROR]
            assert abs(counts[Slot.REQUESTS_ATTEMPTED] - len(shop.asked)) <= WORKERS


async def test_a_supervisor_that_stands_still_does_not_keep_its_workers_sending(
    redis_server: Redis, tmp_path: Path
) -> None:
    async with open_shop() as shop:
        text = JOURNEY.format(port=shop.port)
        async with factory_at(redis_server, tmp_path, text, lease=LEASE, workers=WORKERS) as head:
            await start(head, shop)
            head.process.send_signal(signal.SIGSTOP)
            await asyncio.sleep(LEASE)
            ended = time.monotonic()
            await asyncio.sleep(1.0)
            assert shop.since(ended) == 0
            head.process.send_signal(signal.SIGCONT)
            await head.hears(LeaseEnded)
            counts = await accounts(head)
            assert counts[Slot.MINIONS_STARTED] == counts[Slot.MINIONS_ABORTED] == 8
            assert counts[Slot.REQUESTS_ATTEMPTED] == len(shop.asked)
