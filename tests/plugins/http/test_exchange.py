from __future__ import annotations

import asyncio
from typing import Any

import pytest

from qalipsis.plugins import http

from .bench import Bench, until
from .servers import Peer, answers, response

Serve = Any


async def test_one_connection_serves_request_after_request(serve: Serve, bench: Bench) -> None:
    server = await serve(answers(*(response(b"%d" % place) for place in range(20))))
    page, minion = http.client(server.url).get("/"), bench.minion()
    bodies = [(await bench.ask(page, minion)).body for _ in range(20)]
    assert bodies == [b"%d" % place for place in range(20)]
    assert server.connections == 1
    assert bench.books == (20, 20, 0)


async def test_a_response_carries_its_moments_and_its_bytes(serve: Serve, bench: Bench) -> None:
    server = await serve(answers(response(b"hello", x_a="1")))
    page, minion = http.client(server.url).get("/"), bench.minion()
    first, second = await bench.ask(page, minion), await bench.ask(page, minion)
    for got in (first, second):
        assert got.due <= got.sent <= got.done
        assert got.bytes_sent == len(server.requests[0])
        assert got.bytes_received == len(response(b"hello", x_a="1"))
        assert (got.status, got.reason, got.headers["x-a"], got.text) == (200, "OK", "1", "hello")
        assert min(got.timings.send, got.timings.wait, got.timings.receive) >= 0.0
    assert first.timings.connect > 0.0
    assert second.timings.connect == 0.0
    meters = bench.meters_of(page)
    assert meters.statuses == {200: 2}
    assert meters.bytes_received == 2 * first.bytes_received
    assert (meters.from_due.count, meters.phases["connect"].count, meters.phases["wait"].count) == (2, 1, 2)


@pytest.mark.parametrize("size", [0, 1, 70_000, 1_000_000])
async def test_a_body_arrives_whole_however_large(serve: Serve, bench: Bench, size: int) -> None:
    body = bytes(range(256)) * (size // 256 + 1)
    server = await serve(answers(response(body[:size])))
    page, minion = http.client(server.url).get("/"), bench.minion()
    for _ in range(3):
        assert (await bench.ask(page, minion)).body == body[:size]
    assert server.connections == 1


async def test_a_known_head_with_its_body_still_on_the_way_waits_for_it(serve: Serve, bench: Bench) -> None:
    whole = response(b"hello")

    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.say(whole)
        await peer.request()
        await peer.say(whole[:-2])
        halfway.set()
        await more.wait()
        await peer.say(whole[-2:])
        await peer.request()
        await peer.say(whole)

    halfway, more = asyncio.Event(), asyncio.Event()
    server = await serve(handler)
    page, minion = http.client(server.url).get("/"), bench.minion()
    assert (await bench.ask(page, minion)).text == "hello"
    line = await bench.start(page, minion)
    await halfway.wait()
    await asyncio.sleep(0.01)
    assert not line.future.done()
    more.set()
    assert (await line.future).text == "hello"
    assert (await bench.ask(page, minion)).text == "hello"


async def test_a_piece_of_a_body_that_looks_like_a_response_is_no_response(
    serve: Serve, bench: Bench
) -> None:
    inner = response(b"inner")
    outer = response(inner + inner)

    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.say(inner)
        await peer.request()
        for piece in (outer[: -len(inner) * 2], inner, inner):
            await peer.say(piece)
            await asyncio.sleep(0.01)  # so that each piece is read by itself
        await peer.closed()

    server = await serve(handler)
    page, minion = http.client(server.url).get("/"), bench.minion()
    assert (await bench.ask(page, minion)).body == b"inner"
    assert (await bench.ask(page, minion)).body == inner + inner


async def test_the_answer_to_head_does_not_spoil_the_next_get(serve: Serve, bench: Bench) -> None:
    head, body = response(b"hello")[:-5], b"hello"
    server = await serve(answers(head, head + body, head, head + body))
    client, minion = http.client(server.url), bench.minion()
    look, page = client.head("/"), client.get("/")
    for _ in range(2):
        assert (await bench.ask(look, minion)).body == b""
        assert (await bench.ask(page, minion)).body == b"hello"
    assert server.connections == 1


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
async def test_a_status_without_body_ends_at_its_head(serve: Serve, bench: Bench, status: str) -> None:
    server = await serve(answers(f"HTTP/1.1 {status}\r\nETag: x\r\n\r\n".encode()))
    page, minion = http.client(server.url).get("/"), bench.minion()
    assert [(await bench.ask(page, minion)).status for _ in range(3)] == [int(status[:3])] * 3
    assert server.connections == 1


async def test_chunks_make_one_body(serve: Serve, bench: Bench) -> None:
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
    server = await serve(answers(chunked))
    page, minion = http.client(server.url).get("/"), bench.minion()
    assert [(await bench.ask(page, minion)).text for _ in range(3)] == ["hello"] * 3
    assert server.connections == 1


async def test_a_server_may_close_after_any_response(serve: Serve, bench: Bench) -> None:
    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.say(response(b"one"))
        await peer.request()
        await peer.say(response(b"two", connection="close"))

    server = await serve(handler)
    page, minion = http.client(server.url).get("/"), bench.minion()
    bodies = [(await bench.ask(page, minion)).body for _ in range(6)]
    assert bodies == [b"one", b"two"] * 3
    assert server.connections == 3
    assert bench.books == (6, 6, 0)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        b"HTTP/1.0 200 OK\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\n\r\nhello",
    ],
)
async def test_a_body_may_end_with_the_connection(serve: Serve, bench: Bench, answer: bytes) -> None:
    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.say(answer)

    server = await serve(handler)
    page, minion = http.client(server.url).get("/"), bench.minion()
    assert [(await bench.ask(page, minion)).text for _ in range(2)] == ["hello"] * 2
    assert server.connections == 2


async def test_a_connection_closed_while_idle_is_replaced_and_nobody_notices(
    serve: Serve, bench: Bench
) -> None:
    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.say(response(b"%d" % server.connections))

    server = await serve(handler)
    page, minion = http.client(server.url).get("/"), bench.minion()
    for place in range(1, 4):
        assert (await bench.ask(page, minion)).body == b"%d" % place
        await until(lambda: next(iter(minion.resources.values())).connection is None)
    assert bench.books == (3, 3, 0)


@pytest.mark.parametrize("excess", [b"x", response(b"not yours"), b"HTTP/1.1 2"])
async def test_what_follows_a_response_is_never_the_answer_to_the_next_request(
    serve: Serve, bench: Bench, excess: bytes
) -> None:
    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.say(response(b"%d" % server.connections) + excess)
        await peer.closed()

    server = await serve(handler)
    page, minion = http.client(server.url).get("/"), bench.minion()
    assert [(await bench.ask(page, minion)).body for _ in range(3)] == [b"1", b"2", b"3"]
    assert bench.books == (3, 3, 0)


async def test_what_comes_unasked_closes_the_connection(serve: Serve, bench: Bench) -> None:
    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.say(response(b"mine"))
        await asyncio.sleep(0.01)
        await peer.say(response(b"not yours"))
        await peer.closed()

    server = await serve(handler)
    page, minion = http.client(server.url).get("/"), bench.minion()
    assert (await bench.ask(page, minion)).body == b"mine"
    await until(lambda: server.open_connections == 0)
    assert (await bench.ask(page, minion)).body == b"mine"
    assert server.connections == 2


async def close_at_once(peer: Peer) -> None:
    await peer.request()


async def reset_at_once(peer: Peer) -> None:
    await peer.request()
    peer.reset()


async def close_in_the_middle(peer: Peer) -> None:
    await peer.request()
    await peer.say(response(b"hello")[:-2])


async def close_in_the_head(peer: Peer) -> None:
    await peer.request()
    await peer.say(b"HTTP/1.1 200 OK\r\nContent-")


async def close_in_a_chunk(peer: Peer) -> None:
    await peer.request()
    await peer.say(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")


@pytest.mark.parametrize(
    "handler", [close_at_once, reset_at_once, close_in_the_middle, close_in_the_head, close_in_a_chunk]
)
async def test_a_response_cut_short_is_a_failure_and_no_short_response(
    serve: Serve, bench: Bench, handler: Any
) -> None:
    server = await serve(handler)
    page, minion = http.client(server.url).get("/"), bench.minion()
    for _ in range(2):
        assert (await bench.fails(page, minion)).kind == "reset"
    assert bench.books == (2, 0, 2)
    assert bench.meters_of(page).failures == {"reset": 2}
    assert len(server.requests) == 2  # nothing was sent a second time in secret


async def test_what_is_no_http_is_a_failure(serve: Serve, bench: Bench) -> None:
    server = await serve(answers(b"220 mail.example ESMTP\r\n"))
    page = http.client(server.url).get("/")
    assert (await bench.fails(page)).kind == "protocol"
    assert bench.books == (1, 0, 1)
    await until(lambda: server.open_connections == 0)


async def test_a_body_beyond_the_limit_is_not_read_to_its_end(serve: Serve, bench: Bench) -> None:
    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            await peer.say(b"x" * 65536)

    server = await serve(handler)
    page = http.client(server.url, max_body="1MB").get("/")
    failure = await bench.fails(page)
    assert (failure.kind, "1000000" in str(failure)) == ("too-large", True)
    await until(lambda: server.open_connections == 0)


async def silent(peer: Peer) -> None:
    await peer.request()
    await peer.closed()


async def test_silence_beyond_the_timeout_is_a_failure(serve: Serve, bench: Bench) -> None:
    server = await serve(silent)
    page = http.client(server.url, timeout="50ms").get("/")
    began = bench.clock.now()
    assert (await bench.fails(page)).kind == "timeout"
    assert 0.05 <= bench.clock.now() - began < 1.0
    assert bench.books == (1, 0, 1)
    await until(lambda: server.open_connections == 0)


async def test_a_request_has_a_timeout_of_its_own(serve: Serve, bench: Bench) -> None:
    server = await serve(silent)
    page = http.client(server.url, timeout="1h").get("/", timeout="20ms")
    assert (await bench.fails(page)).kind == "timeout"


async def test_a_shorter_timeout_holds_on_a_connection_that_had_a_longer_one(
    serve: Serve, bench: Bench
) -> None:
    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.say(response(b"hello"))
        await silent(peer)

    server = await serve(handler)
    client, minion = http.client(server.url, timeout="1h"), bench.minion()
    await bench.ask(client.get("/"), minion)
    assert (await bench.fails(client.get("/", timeout="20ms"), minion)).kind == "timeout"
    assert server.connections == 1


async def test_a_longer_timeout_outlives_the_timer_of_a_shorter_one(serve: Serve, bench: Bench) -> None:
    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.say(response(b"hello"))
        await peer.request()
        await asyncio.sleep(0.08)
        await peer.say(response(b"late"))

    server = await serve(handler)
    client, minion = http.client(server.url), bench.minion()
    await bench.ask(client.get("/", timeout="50ms"), minion)
    assert (await bench.ask(client.get("/", timeout="10s"), minion)).text == "late"


async def test_a_server_that_falls_silent_fails_by_the_read_timeout(serve: Serve, bench: Bench) -> None:
    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.say(response(b"hello")[:-1])
        await peer.closed()

    server = await serve(handler)
    page = http.client(server.url, read_timeout="40ms").get("/")
    failure = await bench.fails(page)
    assert failure.kind == "read-timeout"
    assert bench.meters_of(page).bytes_received == len(response(b"hello")) - 1


async def test_a_server_that_trickles_meets_the_total_timeout_only(serve: Serve, bench: Bench) -> None:
    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.say(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            await peer.say(b"x")
            await asyncio.sleep(0.01)

    server = await serve(handler)
    page = http.client(server.url, timeout="150ms", read_timeout="60ms").get("/")
    assert (await bench.fails(page)).kind == "timeout"


async def test_giving_up_closes_the_connection_and_counts_what_was_sent(serve: Serve, bench: Bench) -> None:
    server = await serve(silent)
    page = http.client(server.url).get("/")
    line = await bench.start(page)
    await until(lambda: len(server.requests) == 1)
    line.pending.cancel()
    await until(lambda: server.open_connections == 0)
    assert not line.future.done()
    assert bench.books == (1, 0, 1)
    assert bench.meters_of(page).failures == {"cancelled": 1}
    line.pending.cancel()
    assert bench.books == (1, 0, 1)


async def test_giving_up_late_does_not_touch_the_next_request(serve: Serve, bench: Bench) -> None:
    server = await serve(answers(response(b"hello")))
    page, minion = http.client(server.url).get("/"), bench.minion()
    line = await bench.start(page, minion)
    await line.future
    following = await bench.start(page, minion)
    line.pending.cancel()
    assert (await following.future).text == "hello"
    assert server.connections == 1


async def test_nothing_is_sent_once_the_lease_has_expired(serve: Serve, bench: Bench) -> None:
    server = await serve(answers(response(b"hello")))
    page, minion = http.client(server.url).get("/"), bench.minion()
    await bench.ask(page, minion)
    bench.ledger.lease[0] = bench.clock.now()
    assert (await bench.fails(page, minion)).kind == "fenced"
    assert (await bench.fails(page)).kind == "fenced"
    assert bench.books == (1, 1, 0)
    assert len(server.requests) == 1


async def test_a_lease_that_expires_while_connecting_stops_the_request(serve: Serve, bench: Bench) -> None:
    server = await serve(answers(response(b"hello")))
    page = http.client(server.url).get("/")
    line = await bench.start(page)
    bench.ledger.lease[0] = 0.0
    with pytest.raises(Exception, match="lease"):
        await line.future
    assert bench.books == (0, 0, 0)
