"""What one minion keeps of one client."""

from __future__ import annotations

from typing import Any

from qalipsis.engine.step import StepError
from qalipsis.plugins.udp.exchange import DatagramSocket


class Seat:
    """The minion's socket. It is replaced by a new one when answers may still come for an earlier request."""

    __slots__ = ("is_open", "opener", "socket")

    def __init__(self) -> None:
        self.is_open = False
        """True from the first request that had a socket until a step closes it."""
        self.opener: Any = None
        """The request that waits for the address."""
        self.socket: DatagramSocket | None = None

    @property
    def is_busy(self) -> bool:
        socket = self.socket
        return self.opener is not None or (socket is not None and socket.exchange is not None)

    def leave(self, why: str) -> None:
        self.is_open = False
        socket, self.socket = self.socket, None
        if socket is not None:
            socket.fail(StepError("closed", why))

    def close(self) -> None:
        """The minion ends."""
        self.leave("the minion ended")
