"""What came back: cheap to make, read only as far as somebody asks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from msgspec import Struct
from msgspec.json import decode

from qalipsis.language.moments import Moments

_CHARSET = re.compile(r"charset\s*=\s*\"?([A-Za-z0-9_.:\-]+)", re.IGNORECASE)
_FOLD = re.compile(r"\r?\n[ \t]+")
_FOLD_BYTES = re.compile(rb"\r?\n[ \t]+")


class Sent(Protocol):
    """The message that was answered."""

    @property
    def url(self) -> str: ...


class Timings(Struct, frozen=True, gc=False):
    """Seconds spent in each phase; dns, connect and tls are 0 on a connection that was open already."""

    dns: float
    connect: float
    tls: float
    send: float
    wait: float
    receive: float


class Headers(Mapping[str, str]):
    """Names compare without case; a name that came several times has its values joined by commas.

    Use `all(name)` where a comma would be ambiguous, as in Set-Cookie.
    """

    __slots__ = ("_fields",)

    def __init__(self, head: bytes) -> None:
        fields: dict[str, list[str]] = {}
        for name, value in header_lines(head):
            fields.setdefault(name.lower(), []).append(value)
        self._fields = fields

    def __getitem__(self, name: str) -> str:
        return ", ".join(self._fields[name.lower()])

    def __iter__(self) -> Iterator[str]:
        return iter(self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._fields

    def all(self, name: str) -> tuple[str, ...]:
        """Every value of the name, in the order received."""
        return tuple(self._fields.get(name.lower(), ()))

    def __repr__(self) -> str:
        return f"Headers({dict(self)})"


class Response(Struct, Moments, gc=False):
    """A complete response, its body already decompressed unless the client says otherwise.

    `due`, `sent` and `done` are epoch seconds: when the request was planned, when its first byte was
    handed to the socket, and when the last byte of the response was read.
    """

    status: int
    raw_head: bytes
    body: bytes
    message: Sent
    due_stamp: float
    sent_stamp: float
    written_stamp: float
    first_byte_stamp: float
    done_stamp: float
    bytes_sent: int
    bytes_received: int
    epoch_offset: float
    connect_timings: tuple[float, float, float] | None = None
    """Seconds of dns, connect and tls when the request opened its connection."""
    _headers: Headers | None = None

    @property
    def reason(self) -> str:
        line = self.raw_head.partition(b"\n")[0].rstrip(b"\r")
        words = line.split(b" ", 2)
        return words[2].decode("latin-1").strip() if len(words) == 3 else ""

    @property
    def headers(self) -> Headers:
        headers = self._headers
        if headers is None:
            headers = self._headers = Headers(self.raw_head)
        return headers

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies this response sets, by name."""
        found = {}
        for line in self.headers.all("set-cookie"):
            name, separator, value = line.partition(";")[0].partition("=")
            if separator and name.strip():
                found[name.strip()] = value.strip().strip('"')
        return found

    @property
    def url(self) -> str:
        """Of the last request, after redirects."""
        return self.message.url

    @property
    def text(self) -> str:
        """The body in the charset the response names, UTF-8 otherwise; undecodable bytes are replaced."""
        named = _CHARSET.search(self.headers.get("content-type", ""))
        try:
            return self.body.decode(named[1] if named else "utf-8", "replace")
        except LookupError:
            return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body read as JSON; raises a ValueError when it is none."""
        return decode(self.body.removeprefix(b"\xef\xbb\xbf"))

    @property
    def timings(self) -> Timings:
        dns, connect, tls = self.connect_timings or (0.0, 0.0, 0.0)
        return Timings(
            dns,
            connect,
            tls,
            self.written_stamp - self.sent_stamp,
            self.first_byte_stamp - self.written_stamp,
            self.done_stamp - self.first_byte_stamp,
        )

    def __repr__(self) -> str:
        return f"<Response {self.status} {self.url} {len(self.body)} bytes>"


def header_lines(head: bytes) -> list[tuple[str, str]]:
    """Names and values of a raw head, in order; folded lines are joined, lines without a colon left out."""
    text = head.decode("latin-1")
    if "\n " in text or "\n\t" in text:
        text = _FOLD.sub(" ", text)
    lines = []
    for line in text.split("\n")[1:]:
        name, colon, value = line.partition(":")
        if colon:
            lines.append((name.strip(), value.strip()))
    return lines


def header_values(head: bytes, name: bytes) -> list[bytes]:
    """Every value of a header given in lower case; the other headers are not made objects."""
    start = b"\n%b:" % name
    lower = head.lower()
    values = []
    at = lower.find(start)
    while at >= 0:
        first = at + len(start)
        end = head.find(b"\n", first)
        while head[end + 1 : end + 2] in (b" ", b"\t"):  # a folded line goes on
            end = head.find(b"\n", end + 1)
        end = len(head) if end < 0 else end
        values.append(_FOLD_BYTES.sub(b" ", head[first:end]).strip())
        at = lower.find(start, end)
    return values
