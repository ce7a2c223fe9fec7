"""The example is the acceptance of the plugin: what the service saw is what the report says."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import uvloop

from benchmarks.campaign import run_campaign

pytestmark = pytest.mark.alone  # the example expects latencies of its own, which need the cores of a user

EXAMPLE = Path(__file__).parents[2] / "examples" / "tcp_echo.py"


class Counting(asyncio.Protocol):
    """Sends lines back, and counts for the whole server."""

    seen = {"connections": 0, "lines": 0, "farewells": 0}  # noqa: RUF012 (shared on purpose)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.seen["connections"] += 1

    def data_received(self, data: bytes) -> None:
        self.seen["lines"] += data.count(b"\n")
        self.transport.write(data)  # type: ignore[attr-defined]

    def eof_received(self) -> None:
        self.seen["farewells"] += 1


@contextmanager
def echo_server() -> Iterator[int]:
    """In a thread of its own; yields the port."""
    ready = threading.Event()
    port = 0
    loop = uvloop.new_event_loop()

    async def serve() -> None:
        nonlocal port, stop
        stop = asyncio.Event()
        server = await loop.create_server(Counting, "127.0.0.1", 0, backlog=2000)
        port = server.sockets[0].getsockname()[1]
        ready.set()
        await stop.wait()
        server.close()

    stop = asyncio.Event()
    thread = threading.Thread(target=lambda: loop.run_until_complete(serve()))
    thread.start()
    try:
        assert ready.wait(10)
        yield port
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


def test_the_service_saw_exactly_the_requests_in_the_books() -> None:
    with echo_server() as port:
        run = run_campaign(EXAMPLE, {"echo.port": port}, timeout_seconds=60)
        seen = dict(Counting.seen)
    assert run.exit_code == 0, run.output
    assert run.report["campaign"]["status"] == "SUCCESSFUL"
    books = run.report["ledger"]["requests"]
    assert seen["lines"] == books["attempted"] == books["ok"] == 11_000
    # One more connection: before the start the worker looked whether somebody is there.
    assert seen["connections"] == seen["farewells"] == 1_001
    assert run.step("talk")["executions"]["successful"] == 10_000
    assert run.step("leave")["executions"]["successful"] == 1_000
