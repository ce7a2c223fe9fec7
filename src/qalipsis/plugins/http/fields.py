"""Header lines of a request, checked so that no value can break out of its line."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from qalipsis.plugins.http.auth import Basic, Bearer, basic_credentials
from qalipsis.plugins.http.url import plain

Fields = dict[bytes, bytes]
"""Lines with their line ends, by lower-case name; an empty line leaves the header out."""

AUTHORIZATION = b"Authorization: "
COOKIE = b"Cookie: "
FRAMING = (b"content-length", b"transfer-encoding")

TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~\-]+")
FORBIDDEN = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
COOKIE_UNSAFE = re.compile(r"[\x00-\x20\";,\x7f]")


def header_fields(headers: Any) -> Fields:
    """Header lines of a mapping; raises ValueError for a name or a value that would break the request."""
    if headers is None:
        return {}
    if not isinstance(headers, Mapping):
        raise ValueError(f"headers should be a mapping, not {headers!r}")
    fields: Fields = {}
    for name, value in headers.items():
        key, start = _name(name)
        if isinstance(value, list | tuple):
            fields[key] = b"".join([_line(start, one) for one in value if one is not None])
        else:
            fields[key] = b"" if value is None else _line(start, value)
    return fields


def cookie_fields(cookies: Any) -> Fields:
    if cookies is None:
        return {}
    if not isinstance(cookies, Mapping):
        raise ValueError(f"cookies should be a mapping, not {cookies!r}")
    pairs = []
    for name, value in cookies.items():
        text = plain(value)
        if not TOKEN.fullmatch(str(name)) or COOKIE_UNSAFE.search(text):
            raise ValueError(f"the cookie {name!r} contains a character that no cookie can have")
        pairs.append(f"{name}={text}")
    return {b"cookie": b"%b%b\r\n" % (COOKIE, "; ".join(pairs).encode())} if pairs else {}


def authorization_fields(auth: Any) -> Fields:
    if auth is None:
        return {}
    if isinstance(auth, Basic):
        return {b"authorization": _line(AUTHORIZATION, basic_credentials(auth.user, auth.password))}
    if isinstance(auth, Bearer):
        return bearer_fields(auth.token)
    raise ValueError(f"auth should be http.basic(…) or http.bearer(…), not a {type(auth).__name__}")


def bearer_fields(token: Any) -> Fields:
    if not isinstance(token, str):
        raise ValueError(f"the function for the bearer token returned a {type(token).__name__}, not a text")
    return {b"authorization": _line(AUTHORIZATION, f"Bearer {token}")}


@lru_cache(maxsize=1024)
def _name(name: str) -> tuple[bytes, bytes]:
    """A header's key and the start of its line, checked once per name."""
    if not isinstance(name, str) or not TOKEN.fullmatch(name):
        raise ValueError(f"{name!r} is no name for a header")
    key = name.lower().encode()
    if key in FRAMING:
        raise ValueError(f"the header {name} follows from the body; leave it out")
    return key, f"{name}: ".encode()


def _line(start: bytes, value: Any) -> bytes:
    text = plain(value).strip()
    if not text.isprintable() and FORBIDDEN.search(text):
        # The value is not shown: it may be a token that came with a line break at its end.
        name = start.decode().rstrip(": ")
        raise ValueError(f"the value of {name} contains a line break or another control character")
    return b"%b%b\r\n" % (start, text.encode())
