from __future__ import annotations

import asyncio
from base64 import b64encode
from ipaddress import ip_address
from typing import Any

import pytest

from qalipsis.plugins import http

from .bench import Bench
from .certificates import Certificates
from .servers import Handler, Peer, Server, answers, response

Serve = Any
HELLO = response(b"hello")


async def pipe(peer: Peer, host: str, port: int) -> None:
    """Carry bytes both ways until one side closes."""
    reader, writer = await asyncio.open_connection(host, port)

    async def carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(65536):
            sink.write(data)
            await sink.drain()
        sink.close()

    await asyncio.gather(carry(peer.reader, writer), carry(reader, peer.writer), return_exceptions=True)


def connect_proxy(asked: list[str], address: str = "127.0.0.1") -> Handler:
    """Opens a tunnel to the port asked for, on this machine."""

    async def handler(peer: Peer) -> None:
        method, authority, _ = (await peer.head()).split(b" ", 2)
        assert method == b"CONNECT"
        asked.append(authority.decode())
        await peer.say(b"HTTP/1.1 200 Connection established\r\nVia: test\r\n\r\n")
        await pipe(peer, address, int(authority.rpartition(b":")[2]))

    return handler


def socks_proxy(asked: list[str], user: bytes = b"", password: bytes = b"", status: int = 0) -> Handler:
    """A SOCKS5 server as RFC 1928 and 1929 have it."""

    async def handler(peer: Peer) -> None:
        version, count = await peer.reader.readexactly(2)
        assert version == 5
        methods = await peer.reader.readexactly(count)
        wanted = 2 if user else 0
        if wanted not in methods:
            await peer.say(b"\x05\xff")
            return
        await peer.say(bytes((5, wanted)))
        if user:
            version, length = await peer.reader.readexactly(2)
            given = await peer.reader.readexactly(length)
            [length] = await peer.reader.readexactly(1)
            given_password = await peer.reader.readexactly(length)
            is_right = (given, given_password) == (user, password)
            await peer.say(b"\x01\x00" if is_right else b"\x01\x01")
            if not is_right:
                return
        _, command, _, kind = await peer.reader.readexactly(4)
        assert command == 1
        if kind == 3:
            [length] = await peer.reader.readexactly(1)
            host = (await peer.reader.readexactly(length)).decode()
        else:
            host = str(ip_address(await peer.reader.readexactly(4 if kind == 1 else 16)))
        port = int.from_bytes(await peer.reader.readexactly(2), "big")
        asked.append(f"{host}:{port}")
        await peer.say(bytes((5, status, 0, 1)) + bytes(4) + bytes(2))
        if not status:
            await pipe(peer, "127.0.0.1", port)

    return handler


async def test_an_http_proxy_gets_the_whole_url(serve: Serve, bench: Bench) -> None:
    proxy = await serve(answers(HELLO))
    client = http.client("http://shop.invalid/api", proxy=f"http://ada:lovelace@127.0.0.1:{proxy.port}")
    minion = bench.minion()
    for _ in range(2):
        assert (await bench.ask(client.get("/a", query={"b": 1}), minion)).text == "hello"
    assert proxy.connections == 1
    head = proxy.requests[0]
    assert head.startswith(b"GET http://shop.invalid/api/a?b=1 HTTP/1.1\r\n")
    assert b"\r\nHost: shop.invalid\r\n" in head
    assert b"\r\nProxy-Authorization: Basic " + b64encode(b"ada:lovelace") + b"\r\n" in head


async def test_https_goes_through_a_tunnel(serve: Serve, bench: Bench, certificates: Certificates) -> None:
    asked: list[str] = []
    server = await serve(answers(HELLO), tls=certificates.server_context())
    proxy = await serve(connect_proxy(asked))
    client = http.client(
        f"https://shop.example:{server.port}", verify=certificates.ca, proxy=f"http://127.0.0.1:{proxy.port}"
    )
    page, minion = client.get("/a"), bench.minion()
    for _ in range(2):
        got = await bench.ask(page, minion)
        assert got.text == "hello"
    assert asked == [f"shop.example:{server.port}"]  # the proxy resolves the name, and is asked once
    assert server.requests[0].startswith(b"GET /a HTTP/1.1\r\n")
    assert b"Proxy-Authorization" not in server.requests[0]


async def test_a_proxy_learns_its_own_credentials(
    serve: Serve, bench: Bench, certificates: Certificates
) -> None:
    asked: list[str] = []
    server = await serve(answers(HELLO), tls=certificates.server_context())
    proxy = await serve(connect_proxy(asked))
    client = http.client(
        f"https://shop.example:{server.port}", verify=False, proxy=f"http://u:p@127.0.0.1:{proxy.port}"
    )
    await bench.ask(client.get("/"))
    assert b"\r\nProxy-Authorization: Basic " + b64encode(b"u:p") + b"\r\n" in proxy.requests[0]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "407"),
        (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n", "502"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "SSH"),
        (b"HTTP/1.1 200 OK\r\n\r\nsurprise", "more than"),
        (b"HTTP/1.1 200 OK\r\n", "no complete answer"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"y" * 20_000, "no complete answer"),
    ],
)
async def test_a_proxy_that_opens_no_tunnel_is_a_failure_of_the_proxy(
    serve: Serve, bench: Bench, answer: bytes, words: str
) -> None:
    async def handler(peer: Peer) -> None:
        await peer.head()
        await peer.say(answer)

    proxy = await serve(handler)
    client = http.client("https://shop.invalid", proxy=f"http://127.0.0.1:{proxy.port}", verify=False)
    failure = await bench.fails(client.get("/"))
    assert (failure.kind, words in str(failure)) == ("proxy", True)
    assert bench.books == (0, 0, 0)


async def socks(
    serve: Serve, bench: Bench, handler: Handler, url: str, host: str, **options: Any
) -> tuple[Server, Any]:
    server = await serve(answers(HELLO))
    proxy = await serve(handler)
    client = http.client(f"http://{host}:{server.port}", proxy=url.format(proxy.port), **options)
    return server, client


async def test_socks_is_given_an_address(serve: Serve, bench: Bench) -> None:
    asked: list[str] = []
    server, client = await socks(
        serve, bench, socks_proxy(asked), "socks5://127.0.0.1:{}", "shop.invalid",
        hosts={"shop.invalid": "127.0.0.1"},
    )  # fmt: skip
    assert (await bench.ask(client.get("/"))).text == "hello"
    assert asked == [f"127.0.0.1:{server.port}"]
    assert server.requests[0].startswith(b"GET / HTTP/1.1\r\n")


async def test_socks_with_an_h_is_given_the_name(serve: Serve, bench: Bench) -> None:
    asked: list[str] = []
    server, client = await socks(serve, bench, socks_proxy(asked), "socks5h://127.0.0.1:{}", "shop.invalid")
    assert (await bench.ask(client.get("/"))).text == "hello"
    assert asked == [f"shop.invalid:{server.port}"]


async def test_socks_carries_tls(serve: Serve, bench: Bench, certificates: Certificates) -> None:
    server = await serve(answers(HELLO), tls=certificates.server_context())
    proxy = await serve(socks_proxy([]))
    client = http.client(
        f"https://shop.example:{server.port}",
        verify=certificates.ca,
        proxy=f"socks5h://127.0.0.1:{proxy.port}",
    )
    assert (await bench.ask(client.get("/"))).text == "hello"


async def test_socks_takes_user_and_password(serve: Serve, bench: Bench) -> None:
    handler = socks_proxy([], b"ada", b"love lace")
    _, client = await socks(serve, bench, handler, "socks5://ada:love%20lace@127.0.0.1:{}", "127.0.0.1")
    assert (await bench.ask(client.get("/"))).text == "hello"


@pytest.mark.parametrize(
    ("url", "handler", "words"),
    [
        ("socks5://127.0.0.1:{}", socks_proxy([], b"ada", b"x"), "wants authentication"),
        ("socks5://ada:y@127.0.0.1:{}", socks_proxy([], b"ada", b"x"), "does not accept the user"),
        ("socks5://127.0.0.1:{}", socks_proxy([], status=5), "refused"),
        ("socks5://127.0.0.1:{}", socks_proxy([], status=99), "99"),
        ("socks5://127.0.0.1:{}", answers(HELLO), "closed the connection"),
    ],
)
async def test_a_socks_server_that_refuses_is_a_failure_of_the_proxy(
    serve: Serve, bench: Bench, url: str, handler: Handler, words: str
) -> None:
    async def closing(peer: Peer) -> None:
        await peer.reader.read(1)

    _, client = await socks(
        serve, bench, closing if words.startswith("closed") else handler, url, "127.0.0.1"
    )
    failure = await bench.fails(client.get("/"))
    assert (failure.kind, words in str(failure)) == ("proxy", True), str(failure)


async def test_a_proxy_that_is_not_there_is_named(bench: Bench) -> None:
    client = http.client("http://shop.invalid", proxy="http://127.0.0.1:1")
    failure = await bench.fails(client.get("/"))
    assert (failure.kind, "127.0.0.1:1" in str(failure)) == ("connect-refused", True)
