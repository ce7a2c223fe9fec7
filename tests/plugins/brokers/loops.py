"""What the tests of all brokers need around them."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Callable

import pytest
import uvloop

from tests.plugins.brokers.bench import Bench


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop that workers run on."""
    return {"uvloop": uvloop.new_event_loop}


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    await bench.aclose()
    attempted, ok, error = bench.books
    assert attempted == ok + error, "the books of the requests do not close"
    gc.collect()  # what was leaked warns now, and warnings are errors
