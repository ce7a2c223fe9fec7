from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from qalipsis.demo.shop import MAX_BODY_BYTES, Connection
from qalipsis.demo.storefront import Storefront


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass
class Client:
    """A raw connection: what is on the wire is the point of these tests."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, method: str, path: str, body: bytes = b"", headers: str = "") -> None:
        head = f"{method} {path} HTTP/1.1\r\nHost: shop\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
        self.writer.write(head.encode() + body)

    async def receive(self, has_body: bool = True) -> Answer:
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        headers = dict(line.lower().split(": ", 1) for line in lines)
        body = await self.reader.readexactly(int(headers.get("content-length", 0))) if has_body else b""
        return Answer(int(first.split()[1]), headers, body)

    async def ask(self, method: str, path: str, body: bytes = b"", headers: str = "") -> Answer:
        self.send(method, path, body, headers)
        return await self.receive(has_body=method != "HEAD")


@pytest.fixture(params=[False, True], ids=["timed", "exact"])
async def client(request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(Storefront(), 0.0, request.param), "127.0.0.1", 0
    )
    client = Client(*await asyncio.open_connection(*server.sockets[0].getsockname()))
    yield client
    client.writer.close()
    server.close()


async def test_requests_are_answered_one_after_the_other_on_one_connection(client: Client) -> None:
    assert [(await client.ask("GET", "/catalogue")).status for _ in range(3)] == [200, 200, 200]


async def test_a_session_travels_in_a_cookie(client: Client) -> None:
    login = await client.ask("POST", "/login", b'{"user": "ada"}')
    cookie = f"Cookie: other=1; {login.headers['set-cookie'].split(';')[0]}\r\n"
    await client.ask("POST", "/basket", b'{"product": 1}', cookie)
    order = await client.ask("POST", "/checkout", b"", cookie)
    assert (order.status, json.loads(order.body)["order"]) == (201, 1)


async def test_the_session_does_not_stick_to_the_connection(client: Client) -> None:
    login = await client.ask("POST", "/login", b'{"user": "ada"}')
    cookie = f"Cookie: {login.headers['set-cookie'].split(';')[0]}\r\n"
    assert (await client.ask("GET", "/basket", b"", cookie)).status == 200
    assert (await client.ask("GET", "/basket")).status == 401


async def test_pipelined_requests_are_answered_in_order_whatever_their_delays(client: Client) -> None:
    for path in ("/catalogue/1?delay=30ms", "/catalogue/2", "/catalogue/3?delay=10ms"):
        client.send("GET", path)
    assert [json.loads((await client.receive()).body)["id"] for _ in range(3)] == [1, 2, 3]


async def test_a_delay_is_never_cut_short(client: Client) -> None:
    loop = asyncio.get_running_loop()
    before = loop.time()
    await client.ask("GET", "/health?delay=25ms")
    assert loop.time() - before >= 0.025


async def test_one_request_may_ask_for_an_error(client: Client) -> None:
    assert (await client.ask("GET", "/catalogue?errors=1")).status == 500


@pytest.mark.parametrize("query", ["delay=soon", "errors=many"])
async def test_a_query_that_means_nothing_is_a_bad_request(client: Client, query: str) -> None:
    assert (await client.ask("GET", f"/catalogue?{query}")).status == 400


async def test_a_head_request_gets_no_body(client: Client) -> None:
    answer = await client.ask("HEAD", "/catalogue")
    assert int(answer.headers["content-length"]) > 0
    assert (await client.ask("GET", "/health")).status == 200


async def test_the_connection_closes_when_the_client_asks_for_it(client: Client) -> None:
    answer = await client.ask("GET", "/health", headers="Connection: close\r\n")
    assert answer.headers["connection"] == "close"
    assert await client.reader.read() == b""


async def test_what_is_no_http_is_refused_and_the_connection_closed(client: Client) -> None:
    client.writer.write(b"HELO shop\r\n\r\n")
    assert (await client.receive()).status == 400
    assert await client.reader.read() == b""


async def test_a_body_without_end_is_refused(client: Client) -> None:
    client.send("POST", "/login", b"x" * (MAX_BODY_BYTES + 1))
    assert (await client.receive()).status == 413


async def test_a_client_that_waits_for_leave_to_send_gets_it(client: Client) -> None:
    body = b'{"user": "ada"}'
    head = f"POST /login HTTP/1.1\r\nContent-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n"
    client.writer.write(head.encode())
    assert (await client.receive()).status == 100
    client.writer.write(body)
    assert (await client.receive()).status == 200
