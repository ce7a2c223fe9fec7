"""Tells many sockets when there is something to read."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from selectors import EVENT_READ, DefaultSelector


class Watch:
    """One selector for all sockets of a client, which itself is what the event loop watches.

    The readers of uvloop go deaf for good at the first error of a socket, and a datagram that is refused is
    such an error. A selector only ever becomes readable; it also hands over all that came at once.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._selector: DefaultSelector | None = DefaultSelector()
        self._loop.add_reader(self._selector.fileno(), self._look)

    def add(self, sock: socket.socket, is_readable: Callable[[], None]) -> None:
        """Call when the socket can be read or has an error; again and again while that is so."""
        assert self._selector is not None
        self._selector.register(sock, EVENT_READ, is_readable)

    def remove(self, sock: socket.socket) -> None:
        """Before the socket is closed. What came together with others may still be told once."""
        if self._selector is not None:
            self._selector.unregister(sock)

    def close(self) -> None:
        """Watch nothing any more; safe to call twice."""
        selector, self._selector = self._selector, None
        if selector is not None:
            self._loop.remove_reader(selector.fileno())
            selector.close()

    def _look(self) -> None:
        if self._selector is not None:
            for key, _ in self._selector.select(0):
                key.data()
