"""Serves the application from a loop that does other things too, and leaves it clean.

uvicorn, because it is a coroutine on our loop: it takes an open socket, leaves signals alone when told so,
and ends its connections in order. granian has workers of its own, to be stopped from outside.
"""

from __future__ import annotations

import asyncio
import gc
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn
from litestar import Litestar

from qalipsis.errors import ServiceUnavailable

GRACE_SECONDS: Final = 3
"""For answers on their way, when the server is stopped."""


def listen(host: str, port: int) -> socket.socket:
    """A socket at this address; raises ServiceUnavailable when it cannot be had."""
    try:
        family, _, _, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        return socket.create_server(address[:2], family=family, backlog=1024)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ServiceUnavailable(
            f"cannot listen on {host}, port {port}: {reason}; choose another server.host or server.port"
        ) from error


class ApiServer:
    """The application on one socket, which it closes."""

    def __init__(self, app: Litestar, listener: socket.socket) -> None:
        self._listener = listener
        self._ended = asyncio.Event()
        self._server = _Server(
            uvicorn.Config(
                app,
                loop="none",
                http="httptools",
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="critical",
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=GRACE_SECONDS,
            )
        )

    @property
    def address(self) -> str:
        """Where clients on this machine find it."""
        host, port = self._listener.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def serve(self) -> None:
        """Answer requests until `aclose`."""
        with _settled():
            await self._serve()

    async def _serve(self) -> None:
        try:
            await self._server.serve([self._listener])
        finally:
            self._listener.close()
            self._ended.set()

    async def aclose(self) -> None:
        """Take no more requests, and wait until those that are served have their answers."""
        self._server.should_exit = True
        await self._ended.wait()


@contextmanager
def _settled() -> Iterator[None]:
    """Keeps what is there already, mostly code, out of the garbage collector's sight.

    A hundred thousand objects of frameworks that never become garbage make a full collection take 80 ms, in
    which nobody is answered; without them it takes one or two.
    """
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the command's."""
        yield
