"""Between what authors write or read and the bytes of a record."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import json

JSON = "json"
Decode = Callable[[bytes], Any]
Encode = Callable[[Any], bytes | None]
Pairs = list[tuple[str, bytes | None]]


def decoder(wanted: Any) -> Decode | None:
    """Reads the bytes of a key or value as the author wants them; None leaves them as they are."""
    if wanted is bytes:
        return None
    if wanted is str:
        return bytes.decode
    if wanted == JSON:
        return json.Decoder().decode
    given: Decode = wanted
    return given


def encoder(wanted: Any) -> Encode:
    """Makes the bytes of a key or value: by the author's function, or as `encoded` does."""
    if wanted is None:
        return encoded
    make: Encode = json.encode if wanted == JSON else wanted

    def encode(value: Any) -> bytes | None:
        if value is None:
            return None
        made = make(value)
        if not isinstance(made, bytes):
            raise TypeError(f"the serialiser returned {type(made).__name__}, not bytes")
        return made

    return encode


def encoded(value: Any) -> bytes | None:
    """Bytes as they are, text as UTF-8, null for None, anything else as JSON; raises TypeError."""
    if value is None or isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytearray | memoryview):
        return bytes(value)
    return json.encode(value)


def header_pairs(headers: Any) -> Pairs:
    """A mapping, or (name, value) pairs, as the wire wants them; raises TypeError."""
    if headers is None:
        return []
    return [_pair(pair) for pair in (headers.items() if isinstance(headers, Mapping) else headers)]


def _pair(pair: Any) -> tuple[str, bytes | None]:
    try:
        name, value = pair
    except (TypeError, ValueError):
        raise TypeError(f"a header is a pair (name, value), not {pair!r}") from None
    if not isinstance(name, str):
        raise TypeError(f"the name of a header is a text, not {name!r}")
    return name, encoded(value)
