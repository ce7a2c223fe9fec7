from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from qalipsis.plugins import http

from .bench import Bench, until
from .servers import Peer, answers, response

Serve = Any


@pytest.mark.parametrize("size", [10, 70_000, 5_000_000])
async def test_a_body_of_any_size_reaches_the_server(serve: Serve, bench: Bench, size: int) -> None:
    server = await serve(answers(response(b"ok")))
    send, minion = http.client(server.url).post("/", body=b"b" * size), bench.minion()
    for _ in range(2):
        got = await bench.ask(send, minion)
        assert got.bytes_sent == len(server.requests[-1])
        assert server.requests[-1].endswith(b"\r\n\r\n" + b"b" * size)
    assert server.connections == 1
    assert got.timings.send >= 0.0


def numbers() -> Iterator[bytes]:
    for place in range(300):
        yield b"%d," % place * 1000


async def numbers_later() -> AsyncIterator[bytes]:
    for piece in numbers():
        yield piece
        await asyncio.sleep(0)


@pytest.mark.parametrize("make", [numbers, numbers_later])
async def test_a_streamed_body_is_sent_in_chunks(serve: Serve, bench: Bench, make: Any) -> None:
    server = await serve(answers(response(b"ok")))
    send, minion = http.client(server.url).post("/", body=lambda value: make()), bench.minion()
    for _ in range(2):
        assert (await bench.ask(send, minion)).text == "ok"
    head, _, chunks = server.requests[-1].partition(b"\r\n\r\n")
    assert b"Transfer-Encoding: chunked" in head
    body = b""
    while chunks != b"0\r\n\r\n":
        size, _, rest = chunks.partition(b"\r\n")
        length = int(size, 16)
        body, chunks = body + rest[:length], rest[length + 2 :]
    assert body == b"".join(numbers())
    assert server.connections == 1


async def test_a_stream_is_read_only_as_fast_as_the_server_takes_it(serve: Serve, bench: Bench) -> None:
    produced = 0

    def endless() -> Iterator[bytes]:
        nonlocal produced
        while True:
            produced += 1
            yield b"x" * 65536

    async def handler(peer: Peer) -> None:
        await peer.head()
        await asyncio.Event().wait()

    server = await serve(handler)
    send = http.client(server.url).post("/", body=lambda value: endless())
    line = await bench.start(send)
    before = -1
    while produced != before:
        before = produced
        await asyncio.sleep(0.05)
    assert produced < 1000
    line.pending.cancel()
    assert bench.books == (1, 0, 1)


async def test_a_stream_that_breaks_fails_its_request(serve: Serve, bench: Bench) -> None:
    def broken() -> Iterator[bytes]:
        yield b"x"
        raise LookupError("no more")

    server = await serve(answers(response(b"ok")))
    send = http.client(server.url).post("/", body=lambda value: broken())
    with pytest.raises(LookupError, match="no more"):
        await bench.ask(send)
    assert bench.books == (1, 0, 1)
    await until(lambda: server.open_connections == 0)


async def test_a_response_before_the_body_was_sent_counts_and_ends_the_connection(
    serve: Serve, bench: Bench
) -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"x" * 65536

    async def handler(peer: Peer) -> None:
        await peer.head()
        await peer.say(response(b"no", status="413 Content Too Large"))
        await peer.closed()

    server = await serve(handler)
    send, minion = http.client(server.url).post("/", body=lambda value: endless()), bench.minion()
    for _ in range(2):
        got = await bench.ask(send, minion)
        assert (got.status, got.body) == (413, b"no")
        assert min(got.timings.send, got.timings.wait) >= 0.0
    assert server.connections == 2
    assert bench.books == (2, 2, 0)


async def test_a_body_waits_for_the_servers_consent(serve: Serve, bench: Bench) -> None:
    async def handler(peer: Peer) -> None:
        while True:
            head = await peer.head()
            assert b"Expect: 100-continue" in head
            await asyncio.sleep(0.02)
            assert not peer.reader._buffer  # type: ignore[attr-defined]
            await peer.say(b"HTTP/1.1 100 Continue\r\n\r\n")
            assert await peer.reader.readexactly(4) == b"body"
            await peer.say(response(b"thanks"))

    server = await serve(handler)
    send = http.client(server.url).post("/", body=b"body", headers={"Expect": "100-continue"})
    minion = bench.minion()
    for _ in range(2):
        got = await bench.ask(send, minion)
        assert (got.status, got.text) == (200, "thanks")
    assert server.connections == 1
    assert bench.books == (2, 2, 0)


async def test_a_body_is_sent_when_the_server_does_not_know_the_question(serve: Serve, bench: Bench) -> None:
    server = await serve(answers(response(b"thanks")))
    send = http.client(server.url).post("/", body=b"body", headers={"Expect": "100-continue"})
    got = await bench.ask(send)
    assert got.text == "thanks"
    assert got.timings.send >= 1.0
    assert server.requests[0].endswith(b"body")


async def test_a_body_that_is_not_wanted_is_not_sent(serve: Serve, bench: Bench) -> None:
    received: list[bytes] = []

    async def handler(peer: Peer) -> None:
        await peer.head()
        await peer.say(response(b"", status="417 Expectation Failed"))
        received.append(await peer.reader.read())

    server = await serve(handler)
    send = http.client(server.url).post("/", body=b"body", headers={"Expect": "100-continue"})
    assert (await bench.ask(send)).status == 417
    await until(lambda: server.open_connections == 0)
    assert received == [b""]
    assert bench.books == (1, 1, 0)


async def test_silence_after_a_long_upload_meets_the_read_timeout(serve: Serve, bench: Bench) -> None:
    async def handler(peer: Peer) -> None:
        await peer.request()
        await peer.closed()

    server = await serve(handler)
    send = http.client(server.url, read_timeout="50ms").post("/", body=b"b" * 1_000_000)
    assert (await bench.fails(send)).kind == "read-timeout"


async def test_an_upload_is_no_silence_however_slow_the_server_reads(serve: Serve, bench: Bench) -> None:
    async def handler(peer: Peer) -> None:
        await peer.head()
        await asyncio.sleep(0.15)
        await peer.reader.readexactly(20_000_000)
        await peer.say(response(b"ok"))

    server = await serve(handler)
    send = http.client(server.url, read_timeout="50ms").post("/", body=b"b" * 20_000_000)
    assert (await bench.ask(send)).text == "ok"
