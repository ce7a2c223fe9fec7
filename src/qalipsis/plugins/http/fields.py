"""The header lines of a request: from the weakest layer to the strongest, most of them known beforehand."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib.metadata import version
from typing import Any, NamedTuple

from qalipsis.language.callables import takes_context
from qalipsis.plugins.http.spec import Basic, Bearer, RequestSpec, Settings
from qalipsis.plugins.http.url import Target, plain

Fields = dict[bytes, bytes]
"""Lines with their line ends, by lower-case name; an empty line leaves the header out."""

Layer = Fields | Callable[[Any], Fields]
"""Lines that are known already, or a function that finds them in the context."""

ACCEPT_ENCODING = "gzip, deflate, br, zstd"
AUTHORIZATION = b"Authorization: "
COOKIE = b"Cookie: "
FRAMING = (b"content-length", b"transfer-encoding")

NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~\-]+")
FORBIDDEN = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
COOKIE_UNSAFE = re.compile(r"[\x00-\x20\";,\x7f]")


class Lines(NamedTuple):
    """All lines of a head, and what was found in them."""

    block: bytes
    cookies: bytes
    """The author's cookies, as they stand in the block."""
    expects_continue: bool


def layers_of(
    spec: RequestSpec[Any], settings: Settings, content_type: str | None, is_foreign: bool
) -> list[Layer]:
    """What the defaults, the client and the request say, each replacing lines of the same name before it.

    A request to another origin than the client's goes without the client's credentials.
    """
    client = spec.client
    basics: dict[str, Any] = {"User-Agent": f"qalipsis/{version('qalipsis')}", "Accept": "*/*"}
    if settings.decompress:
        basics["Accept-Encoding"] = ACCEPT_ENCODING
    if content_type is not None:
        basics["Content-Type"] = content_type
    layers: list[Layer] = [header_fields(basics), _layer(client.headers, header_fields)]
    if spec.auth is not None:
        layers.append(_auth_layer(spec.auth))
    elif not is_foreign and client.auth is not None:
        layers.append(_auth_layer(client.auth))
    elif not is_foreign and settings.credentials is not None:
        layers.append(_authorization(Basic(*settings.credentials)))
    return _folded([*layers, _layer(spec.headers, header_fields), _layer(spec.cookies, _cookies)])


def lines_of(target: Target, layers: list[Layer], context: Any) -> Lines:
    """The lines for one request; the context may be None when no layer is a function."""
    fields: Fields = {b"host": b"Host: %b\r\n" % target.host_header.encode()}
    for layer in layers:
        fields.update(_now(layer, context))
    return Lines(
        b"".join(fields.values()),
        fields[b"cookie"][len(COOKIE) : -2] if b"cookie" in fields else b"",
        b"expect" in fields and fields[b"expect"].lower().startswith(b"expect: 100-continue"),
    )


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


def basic_credentials(user: str, password: str) -> str:
    """The value of an Authorization or Proxy-Authorization header."""
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


def bound(fn: Callable[..., Any]) -> Callable[[Any], Any]:
    """An author's function of the value, or of (context, value), as a function of the context."""
    if takes_context(fn):
        return lambda context: fn(context, context.value)
    return lambda context: fn(context.value)


def _layer(part: Any, make: Callable[[Any], Fields]) -> Layer:
    if callable(part):
        find = bound(part)
        return lambda context: make(find(context))
    return make(part)


def _auth_layer(auth: Any) -> Layer:
    if isinstance(auth, Bearer) and callable(auth.token):
        find_token = bound(auth.token)
        return lambda context: _bearer(find_token(context))
    if callable(auth):
        find = bound(auth)
        return lambda context: _now(_auth_layer(find(context)), context)
    return _authorization(auth)


def _now(layer: Layer, context: Any) -> Fields:
    return layer(context) if callable(layer) else layer


def _folded(layers: list[Layer]) -> list[Layer]:
    """The same layers, neighbours that are known already merged into one."""
    folded: list[Layer] = []
    for layer in layers:
        last = folded[-1] if folded else None
        if isinstance(layer, dict) and isinstance(last, dict):
            folded[-1] = last | layer
        else:
            folded.append(layer)
    return folded


@lru_cache(maxsize=1024)
def _name(name: str) -> tuple[bytes, bytes]:
    """A header's key and the start of its line, checked once per name."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name for a header")
    key = name.lower().encode()
    if key in FRAMING:
        raise ValueError(f"the header {name} follows from the body; leave it out")
    return key, f"{name}: ".encode()


def _line(start: bytes, value: Any) -> bytes:
    text = plain(value).strip()
    if not text.isprintable() and FORBIDDEN.search(text):
        # The value is not shown: it may be a token that came with a line break at its end.
        raise ValueError(f"the header {start.decode().rstrip(': ')} would contain a control character")
    return b"%b%b\r\n" % (start, text.encode())


def _cookies(cookies: Any) -> Fields:
    if cookies is None:
        return {}
    if not isinstance(cookies, Mapping):
        raise ValueError(f"cookies should be a mapping, not {cookies!r}")
    pairs = []
    for name, value in cookies.items():
        text = plain(value)
        if not NAME.fullmatch(str(name)) or COOKIE_UNSAFE.search(text):
            raise ValueError(f"the cookie {name!r} contains a character that no cookie can have")
        pairs.append(f"{name}={text}")
    return {b"cookie": b"%b%b\r\n" % (COOKIE, "; ".join(pairs).encode())} if pairs else {}


def _authorization(auth: Any) -> Fields:
    if auth is None:
        return {}
    if isinstance(auth, Basic):
        return {b"authorization": _line(AUTHORIZATION, basic_credentials(auth.user, auth.password))}
    if isinstance(auth, Bearer):
        return _bearer(auth.token)
    raise ValueError(f"auth should be http.basic(…) or http.bearer(…), not a {type(auth).__name__}")


def _bearer(token: Any) -> Fields:
    if not isinstance(token, str):
        raise ValueError(f"the function for the bearer token returned a {type(token).__name__}, not a text")
    return {b"authorization": _line(AUTHORIZATION, f"Bearer {token}")}
