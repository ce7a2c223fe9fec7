"""Real services, and the bench that drives steps as the engine does."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import uvloop

from tests.plugins.http.bench import Bench

Answer = Callable[[bytes], list[bytes | float]]
"""What to send back for a datagram, in order; a number is a pause in seconds."""


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that workers run on."""
    return {"uvloop": uvloop.new_event_loop}


class Service(asyncio.DatagramProtocol):
    """Answers datagrams, and remembers what came from where."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.seen: list[tuple[bytes, int]] = []
        """Datagrams and the ports they came from."""
        self.port = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def ports(self) -> set[int]:
        return {port for _, port in self.seen}

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, address: Any) -> None:
        self.seen.append((data, address[1]))
        after = 0.0
        for piece in self._answer(data):
            if isinstance(piece, float):
                after += piece
            elif after:
                asyncio.get_running_loop().call_later(after, self.say, piece, address)
            else:
                self.say(piece, address)

    def say(self, data: bytes, address: Any) -> None:
        if not self.transport.is_closing():
            self.transport.sendto(data, address)


@pytest.fixture
async def serve() -> AsyncIterator[Callable[[Answer], Awaitable[Service]]]:
    services: list[Service] = []

    async def start(answer: Answer) -> Service:
        _, service = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: Service(answer), local_addr=("127.0.0.1", 0)
        )
        services.append(service)
        return service

    yield start
    for service in services:
        service.transport.close()
    await asyncio.sleep(0)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    await bench.aclose()
    attempted, ok, error = bench.books
    assert attempted == ok + error, "the books of the requests do not close"
    gc.collect()  # what was leaked warns now, and warnings are errors


@pytest.fixture
def silent_port() -> int:
    """A port at which nobody listens, and nobody will."""
    import socket

    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
