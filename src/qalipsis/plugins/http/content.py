"""Undoes the Content-Encoding of a body, never beyond the size allowed."""

from __future__ import annotations

import zlib

import brotli
import zstandard

GZIP = 31  # zlib's window argument: 15 bits, with a gzip header
ZLIB = 15
RAW_DEFLATE = -15
ZSTD_SLICE = 1024  # four bytes may stand for 128 KiB: what one slice can become is bounded by 32 MiB


class TooLarge(Exception):
    """The body is larger than the client's `max_body`, as received or once decompressed."""


def decode(raw: bytes, encoding: bytes, max_body: int) -> bytes:
    """The body before `encoding` (the header's value, one or several codings) was applied.

    Codings nobody here knows leave the body as it is. Raises ValueError when the data is damaged or
    ends early, and TooLarge as soon as more than `max_body` bytes come out.
    """
    codings = [coding.strip().lower() for coding in encoding.split(b",")]
    for coding in reversed(codings):
        if not raw:
            return raw
        if coding in (b"gzip", b"x-gzip"):
            raw = _gzip(raw, max_body)
        elif coding == b"deflate":
            raw = _deflate(raw, max_body)
        elif coding == b"br":
            raw = _brotli(raw, max_body)
        elif coding == b"zstd":
            raw = _zstd(raw, max_body)
        elif coding not in (b"identity", b""):
            return raw
    return raw


def _inflate(raw: bytes, window: int, name: str, max_body: int) -> tuple[bytes, bytes]:
    """What comes out, and what follows the end of the compressed data."""
    inflater = zlib.decompressobj(window)
    try:
        plain = inflater.decompress(raw, max_body + 1)
    except zlib.error as error:
        raise ValueError(f"the {name} body is damaged: {error}") from error
    if len(plain) > max_body:
        raise TooLarge(f"the {name} body holds more than {max_body} bytes")
    if not inflater.eof:
        raise ValueError(f"the {name} body ends early")
    return plain, inflater.unused_data


def _gzip(raw: bytes, max_body: int) -> bytes:
    plain, rest = _inflate(raw, GZIP, "gzip", max_body)
    members = [plain]
    while rest.strip(b"\0"):  # members may follow each other, and some servers pad the end with zeros
        plain, rest = _inflate(rest, GZIP, "gzip", max_body - sum(map(len, members)))
        members.append(plain)
    return b"".join(members)


def _deflate(raw: bytes, max_body: int) -> bytes:
    # The standard means zlib's format; several servers send the bare stream instead.
    is_zlib = raw[0] & 0x0F == 8 and len(raw) > 1 and (raw[0] * 256 + raw[1]) % 31 == 0
    return _inflate(raw, ZLIB if is_zlib else RAW_DEFLATE, "deflate", max_body)[0]


def _brotli(raw: bytes, max_body: int) -> bytes:
    decompressor = brotli.Decompressor()
    plain: list[bytes] = []
    size = 0
    try:
        data = raw
        while True:
            piece = decompressor.process(data, output_buffer_limit=max_body + 1 - size)
            plain.append(piece)
            size += len(piece)
            if size > max_body:
                raise TooLarge(f"the br body holds more than {max_body} bytes")
            if decompressor.is_finished() or decompressor.can_accept_more_data():
                break
            data = b""
    except brotli.error as error:
        raise ValueError(f"the br body is damaged: {error}") from error
    if not decompressor.is_finished():
        raise ValueError("the br body ends early")
    return b"".join(plain)


def _zstd(raw: bytes, max_body: int) -> bytes:
    decompressor = zstandard.ZstdDecompressor()
    frame = decompressor.decompressobj()
    plain: list[bytes] = []
    size = 0
    try:
        for start in range(0, len(raw), ZSTD_SLICE):
            data = raw[start : start + ZSTD_SLICE]
            while data:
                if frame.eof:  # frames may follow each other
                    frame = decompressor.decompressobj()
                plain.append(frame.decompress(data))
                data = frame.unused_data if frame.eof else b""
                size += len(plain[-1])
                if size > max_body:
                    raise TooLarge(f"the zstd body holds more than {max_body} bytes")
    except zstandard.ZstdError as error:
        raise ValueError(f"the zstd body is damaged: {error}") from error
    if not frame.eof:
        raise ValueError("the zstd body ends early")
    return b"".join(plain)
