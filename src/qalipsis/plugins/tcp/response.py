"""What came back, as authors see it."""

from __future__ import annotations

from msgspec import Struct

from qalipsis.language.moments import Moments


class Response(Struct, Moments, gc=False):
    """A complete response. Its body is without the framing: no line end, delimiter or length.

    `bytes_sent` and `bytes_received` count what the connection carried, framing included, above TLS.
    """

    body: bytes
    due_stamp: float
    sent_stamp: float
    done_stamp: float
    bytes_sent: int
    bytes_received: int
    epoch_offset: float

    @property
    def text(self) -> str:
        """The body as UTF-8; what is not becomes the replacement character."""
        return self.body.decode("utf-8", "replace")

    @property
    def received_at(self) -> float:
        """The same as `done`: the moment of this record for joins."""
        return self.done
