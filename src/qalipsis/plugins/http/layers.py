"""The head of a request in layers, from the weakest to the strongest, most of them known beforehand."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from msgspec import Struct

from qalipsis.language.callables import takes_context
from qalipsis.plugins.http.auth import Basic, Bearer
from qalipsis.plugins.http.fields import (
    COOKIE,
    Fields,
    authorization_fields,
    bearer_fields,
    cookie_fields,
    header_fields,
)
from qalipsis.plugins.http.settings import Settings
from qalipsis.plugins.http.spec import RequestSpec
from qalipsis.plugins.http.url import Target

Layer = Fields | Callable[[Any], Fields]
"""Lines that are known already, or a function that finds them in the context."""

DEFAULTS = header_fields({"User-Agent": f"qalipsis/{version('qalipsis')}", "Accept": "*/*"})
DECOMPRESSING = header_fields({"Accept-Encoding": "gzip, deflate, br, zstd"})


class Lines(Struct, gc=False):
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
    layers: list[Layer] = [DEFAULTS, DECOMPRESSING if settings.decompress else {}]
    if content_type is not None:
        layers.append(header_fields({"Content-Type": content_type}))
    layers.append(_layer(client.headers, header_fields))
    if spec.auth is not None:
        layers.append(_auth_layer(spec.auth))
    elif not is_foreign and client.auth is not None:
        layers.append(_auth_layer(client.auth))
    elif not is_foreign and settings.credentials is not None:
        layers.append(authorization_fields(Basic(*settings.credentials)))
    return _folded([*layers, _layer(spec.headers, header_fields), _layer(spec.cookies, cookie_fields)])


def with_host(target: Target, layers: list[Layer]) -> list[Layer]:
    """The layers for one target, the Host line first."""
    return _folded([{b"host": b"Host: %b\r\n" % target.host_header.encode()}, *layers])


def lines_of(layers: list[Layer], context: Any) -> Lines:
    """The lines for one request; the context may be None when no layer is a function."""
    fields: Fields = {}
    for layer in layers:
        fields.update(layer if isinstance(layer, dict) else layer(context))
    return Lines(
        b"".join(fields.values()),
        fields[b"cookie"][len(COOKIE) : -2] if b"cookie" in fields else b"",
        b"expect" in fields and fields[b"expect"].lower().startswith(b"expect: 100-continue"),
    )


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
        return lambda context: bearer_fields(find_token(context))
    if callable(auth):
        find = bound(auth)
        return lambda context: _now(_auth_layer(find(context)), context)
    return authorization_fields(auth)


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
