"""What one minion keeps of one client."""

from __future__ import annotations

from typing import Any

from qalipsis.plugins.tcp.exchange import Connection


class Seat:
    """The minion's connection, and why it has none any more."""

    __slots__ = ("connection", "opener", "why_closed")

    def __init__(self) -> None:
        self.connection: Connection | None = None
        self.opener: Any = None
        """The request for which a connection is being opened."""
        self.why_closed = ""

    @property
    def is_busy(self) -> bool:
        connection = self.connection
        return self.opener is not None or (connection is not None and connection.exchange is not None)

    def gained(self, connection: Connection) -> None:
        self.connection = connection

    def lost(self, connection: Connection, why: str) -> None:
        if self.connection is connection:
            self.connection = None
            self.why_closed = why

    def leave(self, why: str) -> None:
        """Close in order."""
        if self.connection is not None:
            self.connection.close(why)

    def close(self) -> None:
        """The minion ends."""
        self.leave("the minion ended")
