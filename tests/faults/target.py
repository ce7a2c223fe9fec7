"""The service under test: a small HTTP server whose own count is the truth."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.services.home import HOST, free_port

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Target:
    """Answers every request at once, and remembers when each came, by the monotonic clock.

    The first part of a path says who sent it, so that each factory is counted apart.
    """

    def __init__(self, host: str, port: int) -> None:
        self.url = f"http://{host}:{port}"
        self.port = port
        self.moments: list[float] = []
        self.senders: dict[str, list[float]] = {}

    def count(self, since: float = 0.0, until: float = float("inf"), sender: str | None = None) -> int:
        moments = self.moments if sender is None else self.senders.get(sender, [])
        return bisect_left(moments, until) - bisect_left(moments, since)

    def rate(self, since: float, until: float) -> float:
        return self.count(since, until) / (until - since)

    def peak(self, since: float = 0.0) -> int:
        """The most requests in any window of one second."""
        moments = self.moments[bisect_left(self.moments, since) :]
        return max((bisect_left(moments, at + 1.0) - i for i, at in enumerate(moments)), default=0)

    @property
    def last(self) -> float:
        return self.moments[-1] if self.moments else 0.0

    def forget(self) -> None:
        self.moments.clear()
        self.senders.clear()

    def note(self, request: bytes) -> None:
        at = time.monotonic()
        self.moments.append(at)
        self.senders.setdefault(request.split(b"/", 2)[1].decode(), []).append(at)


class _Client(asyncio.Protocol):
    def __init__(self, target: Target) -> None:
        self._target = target
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        *requests, self._rest = (self._rest + data).split(b"\r\n\r\n")
        for request in requests:
            self._target.note(request)
            self._transport.write(ANSWER)


@asynccontextmanager
async def open_target() -> AsyncIterator[Target]:
    port = free_port()
    target = Target(HOST, port)
    loop = asyncio.get_running_loop()
    # On all addresses, for factories in a network of their own.
    server = await loop.create_server(lambda: _Client(target), "0.0.0.0", port, backlog=1024)
    try:
        yield target
    finally:
        server.close()
