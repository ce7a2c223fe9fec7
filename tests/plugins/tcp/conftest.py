"""Real servers, and the bench that drives steps as the engine does."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import uvloop

from tests.plugins.http.bench import Bench
from tests.plugins.http.certificates import Certificates

from .servers import Handler, Server


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that workers run on."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def serve() -> AsyncIterator[Callable[..., Awaitable[Server]]]:
    """`server = await serve(handler)`; a mistake of a handler fails the test."""
    servers: list[Server] = []

    async def start(handler: Handler, **options: Any) -> Server:
        server = Server(handler)
        await server.start(**options)
        servers.append(server)
        return server

    yield start
    for server in servers:
        await server.stop()
    assert [mistake for server in servers for mistake in server.mistakes] == []


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    await bench.aclose()
    attempted, ok, error = bench.books
    assert attempted == ok + error, "the books of the requests do not close"
    gc.collect()  # what was leaked warns now, and warnings are errors


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))
