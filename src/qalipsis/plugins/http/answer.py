"""A response on its way in: where it ends is httptools' word, what its head says stays raw."""

from __future__ import annotations

from httptools import HttpParserError, HttpResponseParser

from qalipsis.plugins.http.content import TooLarge

HEAD_END = b"\r\n\r\n"
MAX_HEAD = 65_536
"""Bytes; servers and proxies stop far below."""

START = b"HTTP/1."
INFORMATIONAL = 0x31
"""The digit 1 at the first place of the status."""
STATUS_AT = 9
SWITCHING_PROTOCOLS = 101


class ProtocolViolation(Exception):
    """What came is no response to the request that was sent."""


class Answer:
    """Fed with what the socket gives until it is complete; `expect` makes it ready for the next one."""

    __slots__ = (
        "_begun",
        "_body",
        "_body_bytes",
        "_is_head_only",
        "_lowered",
        "_max_body",
        "_parser",
        "_waiting",
        "body",
        "first_byte",
        "has_excess",
        "head",
        "is_complete",
        "keeps_alive",
        "received",
        "status",
        "told_to_continue",
    )

    def __init__(self, max_body: int) -> None:
        self._max_body = max_body
        self._parser = HttpResponseParser(self)
        self.expect()

    def expect(self, is_head_only: bool = False) -> None:
        """Be ready for a response; `is_head_only` when it answers a HEAD request."""
        self._is_head_only = is_head_only
        self._begun = 0
        self._waiting = b""
        self._lowered = ""
        self._body: list[bytes] = []
        self._body_bytes = 0
        self.head = b""
        self.body = b""
        self.status = 0
        self.first_byte = 0.0
        self.received = 0
        self.is_complete = False
        self.keeps_alive = False
        self.has_excess = False
        self.told_to_continue = False

    def feed(self, data: bytes, now: float) -> None:
        """Take in what came. Raises ProtocolViolation or TooLarge; the connection is then of no more use."""
        self.received += len(data)
        if not self.head:
            end = data.find(HEAD_END) + 4
            if end > 4 and not self._waiting and data.startswith(START) and data[STATUS_AT] != INFORMATIONAL:
                self.head = data[:end]
                self.first_byte = now
            else:
                data = self._take_head(data, now)
                if not data:
                    return
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            if not self.is_complete:
                raise ProtocolViolation(f"the response is no valid HTTP: {error}") from error
            self.has_excess = True
        if self._begun > 1:
            self.has_excess = True
        if self._is_head_only:
            self.status = self._parser.get_status_code()
            self.is_complete = True
            self.keeps_alive = self._keeps_alive_by_head()
        elif self._body_bytes > self._max_body:
            raise TooLarge(f"the response's body has more than the {self._max_body} bytes of max_body")

    def feed_end(self) -> bool:
        """The server closed; True when that is how this response ends."""
        if not self.head or self.is_complete or self._is_head_only or self._has_framing():
            return self.is_complete
        self.status = self._parser.get_status_code()
        self.is_complete = True
        self.body = b"".join(self._body)
        return True

    @property
    def lowered(self) -> str:
        """The head in lower case; looking for a name takes half the time in a text that it takes in bytes."""
        if not self._lowered:
            self._lowered = self.head.lower().decode("latin-1")
        return self._lowered

    @property
    def is_plain(self) -> bool:
        """True when the head asks for nothing: no cookie to keep, and a body that is so many bytes.

        Every response with this very head has then a body of this very length, unless HEAD was asked.
        """
        lowered = self.lowered
        return (
            "-encoding:" not in lowered
            and "\nset-cookie:" not in lowered
            and self.keeps_alive
            and not self.has_excess
            and not self._is_head_only
        )

    @property
    def sets_cookies(self) -> bool:
        return "\nset-cookie:" in self.lowered

    @property
    def is_encoded(self) -> bool:
        return "\ncontent-encoding:" in self.lowered

    @property
    def is_clean(self) -> bool:
        """True when nothing is left in the parser, so that the next response can follow."""
        return self.keeps_alive and not self.has_excess and not self._is_head_only

    def close(self) -> None:
        """Let go of the parser: it and this object hold each other."""
        del self._parser

    def on_message_begin(self) -> None:
        self._begun += 1

    def on_body(self, piece: bytes) -> None:
        if self._is_head_only or self._begun > 1:
            self.has_excess = True
            return
        self._body_bytes += len(piece)
        if self._body_bytes <= self._max_body:
            self._body.append(piece)

    def on_message_complete(self) -> None:
        if self._begun == 1 and not self._is_head_only:
            # Asked here: once the data is consumed the parser has forgotten.
            self.status = self._parser.get_status_code()
            self.keeps_alive = self._parser.should_keep_alive()
            self.is_complete = True
            body = self._body
            if body:
                self.body = body[0] if len(body) == 1 else b"".join(body)

    def _take_head(self, data: bytes, now: float) -> bytes:
        """Look for the end of the head; returns what the parser may have, nothing until the head is there."""
        if self._waiting:
            data = self._waiting + data
        else:
            self.first_byte = now
        while True:
            end = data.find(HEAD_END)
            if end < 0:
                if not data.startswith(START[: len(data)]) or b"\n\n" in data:
                    raise ProtocolViolation(f"the response is no HTTP/1: it starts with {data[:40]!r}")
                if len(data) > MAX_HEAD:
                    raise ProtocolViolation(f"the response's head has more than {MAX_HEAD} bytes")
                self._waiting = data
                return b""
            end += len(HEAD_END)
            if not data.startswith(START):
                raise ProtocolViolation(f"the response is no HTTP/1: it starts with {data[:40]!r}")
            if data[STATUS_AT] != INFORMATIONAL:
                self.head = data if end == len(data) else data[:end]
                self._waiting = b""
                return data
            # 100 and its like come before the response: they have no body and answer nothing.
            if data[STATUS_AT : STATUS_AT + 3] == b"100":
                self.told_to_continue = True
            elif data[STATUS_AT : STATUS_AT + 3] == b"101":
                raise ProtocolViolation("the server switched protocols, which nobody asked for")
            self.first_byte = now
            data = data[end:]
            if not data:
                self._waiting = b""
                return b""

    def _has_framing(self) -> bool:
        return "\ncontent-length:" in self.lowered or "\ntransfer-encoding:" in self.lowered

    def _keeps_alive_by_head(self) -> bool:
        """Without asking for a length, which the parser wants and a HEAD response may lack."""
        connection = self.lowered.partition("\nconnection:")[2].partition("\r\n")[0]
        if self.head.startswith(b"HTTP/1.0"):
            return "keep-alive" in connection
        return "close" not in connection
