from __future__ import annotations

import asyncio
from typing import Any

import pytest

from qalipsis.plugins import http

from .bench import Bench, until
from .servers import answers, response
from .test_connect import deaf_port

Serve = Any
HELLO = response(b"hello")


async def test_a_pool_is_closed_with_its_step(serve: Serve, bench: Bench) -> None:
    server = await serve(answers(HELLO))
    page = http.client(server.url, connections="pool").get("/")
    await bench.ask(page)
    assert server.open_connections == 1
    await (await bench.step(page)).aclose()
    await until(lambda: server.open_connections == 0)


@pytest.mark.parametrize(("mode", "expected"), [("per-minion", 5), ("pool", 3)])
async def test_warming_up_connects_and_sends_nothing(
    serve: Serve, bench: Bench, mode: Any, expected: int
) -> None:
    server = await serve(answers(HELLO))
    options = {"pool_size": 3} if mode == "pool" else {}
    client = http.client(server.url, connections=mode, warm_up=True, **options)
    one, other = client.get("/a"), client.get("/b")
    minions = [bench.minion() for _ in range(5)]
    for page in (one, other):
        step = await bench.step(page)
        assert step.is_warmed_up
        await step.warm_up(minions)
    await until(lambda: server.connections == expected)
    assert (server.requests, bench.books) == ([], (0, 0, 0))
    for minion in minions:
        await bench.ask(one, minion)
    assert server.connections == expected
    assert bench.meters_of(one).phases["connect"].count == expected


async def test_closing_a_step_ends_what_still_connects(bench: Bench) -> None:
    with deaf_port() as port:
        page = http.client(f"http://127.0.0.1:{port}", connect_timeout="1h").get("/")
        line = await bench.start(page)
        await asyncio.sleep(0)
        step = await bench.step(page)
        await step.aclose()
        await step.aclose()
    assert not line.future.done()


async def test_steps_of_one_client_share_its_connections_and_steps_of_two_do_not(
    serve: Serve, bench: Bench
) -> None:
    server = await serve(answers(HELLO))
    one, other, minion = http.client(server.url), http.client(server.url), bench.minion()
    for page in (one.get("/a"), one.post("/b"), other.get("/c"), one.get("/d")):
        await bench.ask(page, minion)
    assert server.connections == 2
