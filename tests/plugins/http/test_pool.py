from __future__ import annotations

import asyncio
from typing import Any

import pytest

from qalipsis.engine.step import StepError
from qalipsis.plugins import http

from .bench import Bench, until
from .servers import Handler, Peer, answers, response
from .test_connect import closed_port

Serve = Any
HELLO = response(b"hello")


class Gate:
    """Holds every request back until it is opened for it."""

    def __init__(self) -> None:
        self.waiting: list[asyncio.Future[None]] = []

    def handler(self) -> Handler:
        async def handle(peer: Peer) -> None:
            while True:
                request = await peer.request()
                gate: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self.waiting.append(gate)
                await gate
                await peer.say(response(request.split(b" ")[1]))

        return handle

    def open_one(self) -> None:
        self.waiting.pop(0).set_result(None)


async def test_every_minion_has_a_connection_of_its_own_and_keeps_it(serve: Serve, bench: Bench) -> None:
    server = await serve(answers(HELLO))
    client = http.client(server.url)
    for minion in (bench.minion(), bench.minion()):
        for path in ("/a", "/b"):
            await bench.ask(client.get(path), minion)
    assert server.connections == 2
    for minion in bench.minions:
        minion.close()
        minion.close()
    await until(lambda: server.open_connections == 0)


async def test_concurrent_branches_of_a_minion_do_not_wait_for_each_other(serve: Serve, bench: Bench) -> None:
    gate = Gate()
    server = await serve(gate.handler())
    client, minion = http.client(server.url), bench.minion()
    pages = [client.get(f"/{name}") for name in "abc"]
    for _ in range(2):
        lines = [await bench.start(page, minion) for page in pages]
        await until(lambda: len(gate.waiting) == 3)
        for _ in range(3):
            gate.open_one()
        assert [(await line.future).text for line in lines] == ["/a", "/b", "/c"]
    assert server.connections == 3
    minion.close()
    await until(lambda: server.open_connections == 0)


async def test_a_minion_may_visit_other_hosts_and_keeps_those_connections_apart(
    serve: Serve, bench: Bench
) -> None:
    shop, bank = await serve(answers(response(b"shop"))), await serve(answers(response(b"bank")))
    client, minion = http.client(shop.url), bench.minion()
    pages = [client.get(f"{bank.url}/"), client.get("/"), client.get(f"{bank.url}/"), client.get("/")]
    texts = [(await bench.ask(page, minion)).text for page in pages]
    assert texts == ["bank", "shop", "bank", "shop"]
    assert (shop.connections, bank.connections) == (1, 1)


async def test_on_demand_every_request_has_a_new_connection(serve: Serve, bench: Bench) -> None:
    server = await serve(answers(HELLO))
    client, minion = http.client(server.url, connections="on-demand"), bench.minion()
    for _ in range(3):
        got = await bench.ask(client.get("/"), minion)
        assert got.timings.connect > 0.0
    assert server.connections == 3
    await until(lambda: server.open_connections == 0)


async def test_a_pool_never_holds_more_than_its_size_and_serves_in_order(serve: Serve, bench: Bench) -> None:
    gate = Gate()
    server = await serve(gate.handler())
    client = http.client(server.url, connections="pool", pool_size=2)
    lines = [await bench.start(client.get(f"/{place}")) for place in range(7)]
    await until(lambda: len(gate.waiting) == 2)  # on a busy machine one connection may come much later
    for _ in range(7):
        await until(lambda: bool(gate.waiting))
        gate.open_one()
    texts = [(await line.future).text for line in lines]
    assert texts == [f"/{place}" for place in range(7)]
    assert server.connections == 2
    assert [request.split(b" ")[1] for request in server.requests[2:]] == [b"/%d" % n for n in range(2, 7)]
    assert bench.books == (7, 7, 0)


async def test_waiting_for_the_pool_shows_from_due_and_not_from_sent(serve: Serve, bench: Bench) -> None:
    gate = Gate()
    server = await serve(gate.handler())
    client = http.client(server.url, connections="pool", pool_size=1)
    first, second = await bench.start(client.get("/a")), await bench.start(client.get("/b"))
    await until(lambda: bool(gate.waiting))
    await asyncio.sleep(0.05)
    gate.open_one()
    await first.future
    await until(lambda: bool(gate.waiting))
    gate.open_one()
    got = await second.future
    assert got.sent - got.due > 0.04
    assert got.timings.connect == 0.0


async def test_who_waits_too_long_for_the_pool_fails_and_the_others_go_on(serve: Serve, bench: Bench) -> None:
    gate = Gate()
    server = await serve(gate.handler())
    client = http.client(server.url, connections="pool", pool_size=1)
    first = await bench.start(client.get("/a"))
    impatient = await bench.start(client.get("/b", timeout="30ms"))
    patient = await bench.start(client.get("/c"))
    with pytest.raises(StepError, match="pool") as caught:
        await impatient.future
    assert caught.value.kind == "timeout"
    for line in (first, patient):
        await until(lambda: bool(gate.waiting))
        gate.open_one()
        await line.future
    assert bench.books == (2, 2, 0)


async def test_who_gave_up_waiting_is_passed_over(serve: Serve, bench: Bench) -> None:
    gate = Gate()
    server = await serve(gate.handler())
    client = http.client(server.url, connections="pool", pool_size=1)
    lines = [await bench.start(client.get(f"/{place}")) for place in range(3)]
    lines[1].pending.cancel()
    for line in (lines[0], lines[2]):
        await until(lambda: bool(gate.waiting))
        gate.open_one()
        await line.future
    assert len(server.requests) == 2
    assert bench.books == (2, 2, 0)


async def test_a_connection_that_breaks_makes_room_for_who_waits(serve: Serve, bench: Bench) -> None:
    async def handler(peer: Peer) -> None:
        await peer.request()
        if server.connections == 1:
            peer.reset()
        else:
            await peer.say(HELLO)
            await peer.closed()

    server = await serve(handler)
    client = http.client(server.url, connections="pool", pool_size=1)
    broken, waiting = await bench.start(client.get("/")), await bench.start(client.get("/"))
    with pytest.raises(StepError, match="connection"):
        await broken.future
    assert (await waiting.future).text == "hello"
    assert bench.books == (2, 1, 1)


async def test_giving_up_a_request_makes_room_for_who_waits(serve: Serve, bench: Bench) -> None:
    gate = Gate()
    server = await serve(gate.handler())
    client = http.client(server.url, connections="pool", pool_size=1)
    first, second = await bench.start(client.get("/a")), await bench.start(client.get("/b"))
    await until(lambda: len(gate.waiting) == 1)
    first.pending.cancel()
    await until(lambda: len(gate.waiting) == 2)
    gate.waiting[1].set_result(None)
    assert (await second.future).text == "/b"
    assert server.connections == 2


async def test_giving_up_while_the_pool_connects_makes_room_for_who_waits(serve: Serve, bench: Bench) -> None:
    server = await serve(answers(HELLO))
    client = http.client(server.url, connections="pool", pool_size=1)
    first, second = await bench.start(client.get("/a")), await bench.start(client.get("/b"))
    first.pending.cancel()
    assert (await second.future).text == "hello"
    assert bench.books == (1, 1, 0)


async def test_a_pool_that_cannot_connect_fails_everybody_and_holds_nobody(bench: Bench) -> None:
    client = http.client(f"http://127.0.0.1:{closed_port()}", connections="pool", pool_size=2)
    lines = [await bench.start(client.get("/")) for _ in range(5)]
    outcomes = await asyncio.gather(*(line.future for line in lines), return_exceptions=True)
    assert [getattr(outcome, "kind", "") for outcome in outcomes] == ["connect-refused"] * 5
    assert bench.books == (0, 0, 0)


async def test_an_expired_lease_fails_everybody_in_the_queue(serve: Serve, bench: Bench) -> None:
    gate = Gate()
    server = await serve(gate.handler())
    client = http.client(server.url, connections="pool", pool_size=1)
    lines = [await bench.start(client.get("/")) for _ in range(50)]
    await until(lambda: bool(gate.waiting))
    bench.ledger.lease[0] = 0.0
    gate.open_one()
    outcomes = await asyncio.gather(*(line.future for line in lines), return_exceptions=True)
    assert [getattr(outcome, "kind", "") for outcome in outcomes] == ["", *["fenced"] * 49]
    assert len(server.requests) == 1


async def test_a_pooled_connection_closed_while_idle_is_replaced(serve: Serve, bench: Bench) -> None:
    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.say(HELLO)

    server = await serve(handler)
    client = http.client(server.url, connections="pool", pool_size=1)
    for place in range(1, 4):
        await bench.ask(client.get("/"))
        await until(lambda: server.open_connections == 0)
        await asyncio.sleep(0.01)
        assert server.connections == place
    assert bench.books == (3, 3, 0)
