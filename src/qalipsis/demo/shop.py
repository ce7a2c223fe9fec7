"""The demo shop: a small real HTTP/1.1 server in a process of its own.

    python -m qalipsis.demo.shop --port 0 --delay 20ms --errors 0.01

Its first line of output is its address. It ends with SIGTERM, or, with `--until-stdin-closes`, together with
the process that started it.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import ssl
import sys
import time
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from typing import cast
from urllib.parse import parse_qs, unquote

import httptools
import uvloop

from qalipsis.demo.storefront import COOKIE, Request, Response, Storefront
from qalipsis.language.durations import seconds

MAX_BODY_BYTES = 1_000_000
BACKLOG = 4096  # every client of a load test may connect in the same instant
SPIN_SECONDS = 0.002  # the loop's timers have a resolution of one millisecond and fire up to one early


class Connection(asyncio.Protocol):
    """One client: parses its requests, answers them in order, each after its delay.

    With `is_exact` the last two milliseconds of a delay are spent polling, which costs CPU and makes the
    delay exact to some microseconds; otherwise answers are up to a millisecond late, and never early.
    """

    def __init__(self, storefront: Storefront, delay_seconds: float, is_exact: bool) -> None:
        self._storefront = storefront
        self._delay_seconds = delay_seconds
        self._is_exact = is_exact
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[tuple[float, bytes, bool]] = deque()
        self._is_closing = False
        self._url = b""
        self._session: str | None = None
        self._body = bytearray()

    # asyncio's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast: the transports of uvloop are none of asyncio's classes.
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._is_closing = True
        self._waiting.clear()

    def data_received(self, data: bytes) -> None:
        self._arrived = time.monotonic()
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._send(Response(400, {"error": "this is no HTTP/1.1 request"}), self._arrived, is_last=True)

    # the parser's side

    def on_message_begin(self) -> None:
        self._url = b""
        self._session = None
        self._body = bytearray()

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        match name.lower():
            case b"cookie":
                self._session = read_session(value)
            case b"expect" if value.lower() == b"100-continue":
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, data: bytes) -> None:
        if len(self._body) <= MAX_BODY_BYTES:
            self._body += data

    def on_message_complete(self) -> None:
        if self._is_closing:
            return
        method = self._parser.get_method().decode("ascii")
        is_last = not self._parser.should_keep_alive()
        is_head = method == "HEAD"
        if len(self._body) > MAX_BODY_BYTES:
            reason = f"a body has at most {MAX_BODY_BYTES} bytes"
            self._send(Response(413, {"error": reason}), self._arrived, is_last=True)
            return
        try:
            path, delay, errors = read_url(self._url, self._delay_seconds)
        except (ValueError, httptools.HttpParserInvalidURLError) as error:
            self._send(Response(400, {"error": str(error)}), self._arrived, is_last, is_head)
            return
        response = self._storefront.answer(Request(method, path, self._session, bytes(self._body)), errors)
        self._send(response, self._arrived + delay, is_last, is_head)

    # answers

    def _send(self, response: Response, due: float, is_last: bool, is_head: bool = False) -> None:
        self._is_closing = is_last
        if self._waiting:  # answers keep the order of the requests
            due = max(due, self._waiting[-1][0])
        self._waiting.append((due, render(response, is_last, is_head), is_last))
        if len(self._waiting) == 1:
            self._release()

    def _release(self) -> None:
        while self._waiting:
            due, answer, is_last = self._waiting[0]
            left = due - time.monotonic()
            if left > 0:
                self._call_back(left)
                return
            self._waiting.popleft()
            self._transport.write(answer)
            if is_last:
                self._transport.close()

    def _call_back(self, left: float) -> None:
        if not self._is_exact:
            self._loop.call_later(left + 0.001, self._release)
        elif left > SPIN_SECONDS:
            self._loop.call_later(left - SPIN_SECONDS, self._release)
        else:
            self._loop.call_soon(self._release)


def read_session(cookies: bytes) -> str | None:
    try:
        morsel = SimpleCookie(cookies.decode("latin-1")).get(COOKIE)
    except CookieError:
        return None
    return morsel.value if morsel is not None else None


def read_url(url: bytes, delay_seconds: float) -> tuple[str, float, float | None]:
    """Path, delay and error share: `?delay=200ms&errors=0.5` asks for both for this one request."""
    parsed = httptools.parse_url(url)
    path = unquote((parsed.path or b"/").decode("latin-1"))
    if not parsed.query:
        return path, delay_seconds, None
    query = parse_qs(parsed.query.decode("latin-1"))
    delay = seconds(query["delay"][0]) if "delay" in query else delay_seconds
    errors = float(query["errors"][0]) if "errors" in query else None
    return path, delay, errors


def render(response: Response, is_last: bool, is_head: bool) -> bytes:
    body = response.body
    lines = [
        f"HTTP/1.1 {response.status} {HTTPStatus(response.status).phrase}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in response.headers),
    ]
    if is_last:
        lines.append("Connection: close")
    head = "\r\n".join((*lines, "", "")).encode("latin-1")
    return head if is_head else head + body


async def serve(
    storefront: Storefront,
    host: str,
    port: int,
    delay_seconds: float,
    is_exact: bool,
    ends_with_stdin: bool,
    tls: ssl.SSLContext | None = None,
) -> None:
    """Listen, print the address, and answer until a signal (or the end of stdin) says stop."""
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopped.set)

    server = await loop.create_server(
        lambda: Connection(storefront, delay_seconds, is_exact), host, port, backlog=BACKLOG, ssl=tls
    )
    if ends_with_stdin:
        await watch_stdin(stopped.set)
    address = server.sockets[0].getsockname()
    print(f"{'http' if tls is None else 'https'}://{address[0]}:{address[1]}", flush=True)
    await stopped.wait()
    server.close()


async def watch_stdin(on_end: Callable[[], None]) -> None:
    """Call back when whoever holds the other end of stdin is gone."""

    class Watch(asyncio.Protocol):
        def connection_lost(self, error: Exception | None) -> None:
            on_end()

    await asyncio.get_running_loop().connect_read_pipe(Watch, sys.stdin)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m qalipsis.demo.shop", description="A small shop to load.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 (the default) takes a free one")
    parser.add_argument("--delay", type=seconds, default=0.0, help="of every answer, for example 20ms")
    parser.add_argument("--errors", type=float, default=0.0, help="share of answers that are a 500, 0 to 1")
    parser.add_argument("--seed", type=int, default=1, help="repeats the choice of errors and the sessions")
    parser.add_argument("--exact", action="store_true", help="exact to microseconds, at the cost of CPU")
    parser.add_argument("--certificate", help="speak TLS with this PEM file, which may hold the key as well")
    parser.add_argument("--key", help="the certificate's key, where it has a file of its own")
    parser.add_argument("--until-stdin-closes", action="store_true")
    given = parser.parse_args()
    tls = None
    if given.certificate:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            tls.load_cert_chain(given.certificate, given.key)
        except (OSError, ssl.SSLError) as error:
            sys.exit(f"cannot use the certificate {given.certificate}: {error}")
    storefront = Storefront(errors=given.errors, seed=given.seed)
    try:
        uvloop.run(
            serve(storefront, given.host, given.port, given.delay, given.exact, given.until_stdin_closes, tls)
        )
    except OSError as error:
        sys.exit(f"cannot listen on {given.host}:{given.port}: {error}")


if __name__ == "__main__":
    main()
