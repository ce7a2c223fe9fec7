"""The body of a request, and the header lines that announce its length."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Mapping
from pathlib import PurePath
from typing import Any
from urllib.parse import urlencode

from msgspec import Struct
from msgspec.json import encode

from qalipsis.plugins.http import multipart
from qalipsis.plugins.http.url import pairs

Stream = Iterator[bytes] | AsyncIterator[bytes]

CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"


class Body(Struct, gc=False):
    """`framing` ends the head. A stream yields bytes for the wire, chunk framing included."""

    data: bytes | Stream | None
    framing: bytes
    reopen: Callable[[], Stream] | None = None
    """Makes the stream anew; None when it can be read once only."""


NONE = Body(None, b"\r\n")
EMPTY = Body(None, b"Content-Length: 0\r\n\r\n")


def of_bytes(data: bytes) -> Body:
    return Body(data, b"Content-Length: %d\r\n\r\n" % len(data))


def of_json(value: Any) -> Body:
    return of_bytes(encode(value))


def of_form(fields: Any) -> Body:
    """A form's fields, URL-encoded."""
    return of_bytes(urlencode(pairs(fields)).encode())


def of_multipart(fields: Any, boundary: bytes) -> Body:
    """Fields and files between boundaries; raises OSError when a file is not there."""
    return of_pieces(multipart.pieces(fields, boundary))


def of_pieces(pieces: list[multipart.Piece]) -> Body:
    """Files are read when they are sent; their size is announced. Raises OSError when one is not there."""
    if all(isinstance(piece, bytes) for piece in pieces):
        return of_bytes(b"".join(piece for piece in pieces if isinstance(piece, bytes)))
    size = multipart.size(pieces)

    def reopen() -> Iterator[bytes]:
        return multipart.read(pieces, size)

    return Body(reopen(), b"Content-Length: %d\r\n\r\n" % size, reopen)


def of_content(content: Any) -> Body:
    """What an author may give as `body`; raises ValueError for anything else."""
    if isinstance(content, bytes):
        return of_bytes(content)
    if isinstance(content, str):
        return of_bytes(content.encode())
    if isinstance(content, PurePath):
        return of_pieces([content])
    if isinstance(content, bytearray | memoryview):
        return of_bytes(bytes(content))
    if isinstance(content, AsyncIterable):
        return _chunked(content, lambda: _async_chunks(content))
    if isinstance(content, Iterable) and not isinstance(content, Mapping):
        return _chunked(content, lambda: _chunks(content))
    raise ValueError(f"the body should be text, bytes, a path or an iterable of bytes, not {content!r}")


def _chunked(content: object, reopen: Callable[[], Stream]) -> Body:
    is_used_up = hasattr(content, "__next__") or hasattr(content, "__anext__")
    return Body(reopen(), CHUNKED, None if is_used_up else reopen)


def _chunks(content: Iterable[bytes]) -> Iterator[bytes]:
    for piece in content:
        if piece:  # an empty chunk would end the body
            yield _chunk(piece)
    yield LAST_CHUNK


async def _async_chunks(content: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    async for piece in content:
        if piece:
            yield _chunk(piece)
    yield LAST_CHUNK


def _chunk(piece: bytes) -> bytes:
    if not isinstance(piece, bytes):
        raise ValueError(f"a body given as an iterable should consist of bytes, not {type(piece).__name__}")
    return b"%x\r\n%b\r\n" % (len(piece), piece)
