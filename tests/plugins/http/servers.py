"""Servers that say exactly what a test wants."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable

Handler = Callable[["Peer"], Awaitable[None]]


class Peer:
    """The server's end of one connection."""

    def __init__(self, server: Server, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._server = server
        self.reader = reader
        self.writer = writer

    async def request(self) -> bytes:
        """The next request, body included; EOFError when the client closed."""
        head = await self.head()
        lower = head.lower()
        body = b""
        if b"\r\ncontent-length:" in lower:
            length = int(lower.partition(b"\r\ncontent-length:")[2].partition(b"\r\n")[0])
            body = await self.reader.readexactly(length)
        elif b"\r\ntransfer-encoding: chunked" in lower:
            while not body.endswith(b"0\r\n\r\n"):
                body += await self.reader.readuntil(b"\r\n")
        self._server.requests[-1] = head + body
        return head + body

    async def head(self) -> bytes:
        """The head of the next request."""
        head = await self.reader.readuntil(b"\r\n\r\n")
        self._server.requests.append(head)
        return head

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def closed(self) -> None:
        """Until the client has closed; what it still says is dropped."""
        while await self.reader.read(65536):
            pass

    def reset(self) -> None:
        """Close without good manners."""
        self.writer.transport.abort()


class Server:
    """Runs a handler for each connection and remembers what came."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.host = "127.0.0.1"
        self.port = 0
        self.connections = 0
        self.open_connections = 0
        self.requests: list[bytes] = []
        self.mistakes: list[BaseException] = []

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    async def start(self, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        self._server = await asyncio.start_server(self._accept, host, 0, ssl=tls)
        self.host = host
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.sleep(0)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.get_running_loop().create_task(self._serve(Peer(self, reader, writer)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, peer: Peer) -> None:
        self.open_connections += 1
        try:
            await self._handler(peer)
        except (EOFError, ConnectionError):
            pass  # the client left
        except Exception as error:
            self.mistakes.append(error)
        finally:
            self.open_connections -= 1
            peer.writer.close()


def answers(*payloads: bytes) -> Handler:
    """Answer each request of a connection with the next payload, the last one for ever."""

    async def handler(peer: Peer) -> None:
        place = 0
        while True:
            await peer.request()
            await peer.say(payloads[min(place, len(payloads) - 1)])
            place += 1

    return handler


def response(body: bytes = b"", status: str = "200 OK", **headers: str) -> bytes:
    """A complete response with its length; keyword `set_cookie` becomes `Set-Cookie`."""
    lines = "".join(f"{name.replace('_', '-').title()}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status}\r\n{lines}Content-Length: {len(body)}\r\n\r\n".encode() + body
