"""Forms with files: what stands between the boundaries, as pieces whose total length is known."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from mimetypes import MimeTypes
from pathlib import PurePath
from typing import Any

from qalipsis.plugins.http.url import plain

FILE_CHUNK = 65536

_TYPES = MimeTypes()  # the types Python knows itself: the same on every machine
_ESCAPES = str.maketrans({'"': "%22", "\r": "%0D", "\n": "%0A"})

Piece = bytes | PurePath


def pieces(fields: Mapping[str, Any], boundary: bytes) -> list[Piece]:
    """The body in order: bytes, and the paths of files that are to be read when it is sent.

    A value is text, bytes, a number, a path, (file name, content) or (file name, content, media type), or a
    list of these; None leaves the name out. Raises ValueError for anything else.
    """
    if not isinstance(fields, Mapping):
        raise ValueError(f"{fields!r} should be a mapping")
    body: list[Piece] = []
    for name, value in fields.items():
        for one in value if isinstance(value, list) else [value]:
            if one is None:
                continue
            file_name, content, media_type = _described(name, one)
            head = f'Content-Disposition: form-data; name="{name.translate(_ESCAPES)}"'
            if file_name is not None:
                head += f'; filename="{file_name.translate(_ESCAPES)}"\r\nContent-Type: {media_type}'
            body += (b"--%b\r\n%b\r\n\r\n" % (boundary, head.encode()), content, b"\r\n")
    body.append(b"--%b--\r\n" % boundary)
    return _joined(body)


def size(body: list[Piece]) -> int:
    """The number of bytes; raises OSError when a file is not there."""
    return sum(os.stat(piece).st_size if isinstance(piece, PurePath) else len(piece) for piece in body)


def read(body: list[Piece], expected: int) -> Iterator[bytes]:
    """The bytes, in chunks. Raises ValueError when they are not as many as expected."""
    left = expected
    for piece in body:
        for chunk in _read_file(piece) if isinstance(piece, PurePath) else (piece,):
            left -= len(chunk)
            if left < 0:
                break
            yield chunk
    if left:
        raise ValueError("a file of the request body has changed its size while it was sent")


def _described(name: str, value: Any) -> tuple[str | None, Piece, str]:
    if isinstance(value, PurePath):
        return value.name, value, _guess(value.name)
    if isinstance(value, tuple):
        if len(value) not in (2, 3) or not isinstance(value[0], str):
            raise ValueError(
                f"multipart: {name!r} should be (file name, content) or (file name, content, type)"
            )
        media_type = str(value[2]) if len(value) == 3 else _guess(value[0])
        if not media_type.isprintable():
            raise ValueError(f"the media type of {name!r} contains a line break")
        return value[0], _content(name, value[1]), media_type
    return None, _content(name, value), ""


def _content(name: str, value: Any) -> Piece:
    if isinstance(value, bytes | PurePath):
        return value
    if isinstance(value, str | int | float):
        return plain(value).encode()
    raise ValueError(
        f"multipart: {name!r} should be text, bytes, a path or (file name, content), not {value!r}"
    )


def _guess(file_name: str) -> str:
    return _TYPES.guess_type(file_name)[0] or "application/octet-stream"


def _joined(body: list[Piece]) -> list[Piece]:
    """Neighbouring bytes become one piece, so that a form without files is a single one."""
    joined: list[Piece] = []
    run: list[bytes] = []
    for piece in body:
        if isinstance(piece, bytes):
            run.append(piece)
            continue
        joined += (b"".join(run), piece)
        run = []
    joined.append(b"".join(run))
    return joined


def _read_file(path: PurePath) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while chunk := file.read(FILE_CHUNK):
            yield chunk
