"""The bytes of a request: assembled once when nothing depends on the context, filled in otherwise."""

from __future__ import annotations

import re
import secrets
from base64 import b64encode
from collections.abc import Callable, Mapping
from functools import lru_cache
from importlib.metadata import version
from typing import Any, NamedTuple

from msgspec import Struct
from msgspec.json import encode as encode_json

from qalipsis.engine.step import StepContext
from qalipsis.language.callables import takes_context
from qalipsis.plugins.http import body as bodies
from qalipsis.plugins.http import multipart
from qalipsis.plugins.http.body import Body, Stream
from qalipsis.plugins.http.spec import Basic, Bearer, RequestSpec, Settings
from qalipsis.plugins.http.url import Target, encode_query, follow, plain, resolve, with_query

Fields = dict[bytes, bytes]
"""Header lines with their line ends, by lower-case name; an empty line leaves the header out."""
Layer = Fields | Callable[[Any], Fields]

REDIRECTS = frozenset({301, 302, 303, 307, 308})
ACCEPT_ENCODING = "gzip, deflate, br, zstd"

NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~\-]+")
FORBIDDEN = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
COOKIE_UNSAFE = re.compile(r"[\x00-\x20\";,\x7f]")
EXPECTS_BODY = frozenset({"POST", "PUT", "PATCH"})
FRAMING = (b"content-length", b"transfer-encoding")
OF_BODIES = (b"content-", b"transfer-encoding:", b"expect:")
OF_ORIGINS = (b"authorization:", b"proxy-authorization:", b"host:")


class Message(Struct, gc=False):
    """One request as bytes: `head` ends with the empty line.

    An iterator as body yields what goes to the wire, chunk framing included; it can be read once.
    """

    head: bytes
    body: bytes | Stream | None
    expect_continue: bool
    method: str
    target: Target
    path: str
    own_cookies: bytes = b""
    """The author's cookies, which stand in the head already."""
    reopen: Callable[[], Stream] | None = None
    """Makes a streamed body anew; None when it can be read once only."""

    @property
    def url(self) -> str:
        return f"{self.target}{self.path}"

    def with_cookies(self, header: bytes) -> Message:
        """The message with the minion's cookies; the author's own win over cookies of the same name."""
        head, own = self.head, self.own_cookies
        if own:
            names = {pair.partition(b"=")[0] for pair in own.split(b"; ")}
            others = [pair for pair in header.split(b"; ") if pair.partition(b"=")[0] not in names]
            header = b"; ".join([*others, own])
            head = without(head, (b"cookie:",))
        return Message(
            b"%bCookie: %b\r\n\r\n" % (head[:-2], header),
            self.body,
            self.expect_continue,
            self.method,
            self.target,
            self.path,
            own,
            self.reopen,
        )

    def head_for_proxy(self, authorization: bytes | None = None) -> bytes:
        """The head as an HTTP proxy wants it: with the whole URL, and the proxy's own authorization."""
        _, _, fields = self.head.partition(b"\r\n")
        line = b"" if authorization is None else b"Proxy-Authorization: %b\r\n" % authorization
        return b"%b %b HTTP/1.1\r\n%b%b" % (self.method.encode(), self.url.encode(), line, fields)


class Lines(NamedTuple):
    """The header lines of a message, and what was found in them."""

    block: bytes
    cookies: bytes
    expects_continue: bool


class RequestTemplate:
    """Makes the messages of one request; what does not depend on the context is prepared here, once."""

    def __init__(self, spec: RequestSpec[Any]) -> None:
        settings = spec.client.settings()
        self._method: str = spec.method
        self._base = settings.target
        self._path_of = bound(spec.path) if callable(spec.path) else None
        self._query_of = bound(spec.query) if callable(spec.query) else None
        self._target, self._path = resolve(self._base, "" if callable(spec.path) else spec.path)
        self._query = None if spec.query is None or callable(spec.query) else encode_query(spec.query)
        self._body_of, content_type = _body(spec)
        self._layers = _layers(spec, settings, content_type, is_foreign=False)
        self._foreign_layers = _layers(spec, settings, content_type, is_foreign=True)
        self._lines: Lines | None = None
        layers = self._layers_for(self._target)
        if not any(map(callable, layers)):
            self._lines = _lines(self._target, layers, None)
        self._message: Message | None = None
        is_fixed = self._path_of is None and self._query_of is None and self._lines is not None
        if is_fixed and isinstance(self._body_of, Body):
            self._message = self._build(None)

    @property
    def static(self) -> bool:
        """True when every execution sends the same message, apart from the minion's cookies."""
        return self._message is not None

    def fill(self, context: StepContext, cookie_header: bytes | None = None) -> Message:
        """The message for this execution.

        `cookie_header` is the jar's for the message's target and path. When they depend on the context, fill
        first, ask the jar, and add its header by `with_cookies`. Raises ValueError when the request would be
        no valid one, OSError for a missing file, or whatever an author's function raised.
        """
        message = self._message
        if message is None:
            message = self._build(context)
        return message if cookie_header is None else message.with_cookies(cookie_header)

    def _build(self, context: Any) -> Message:
        target, path = self._target, self._path
        if self._path_of is not None:
            path = self._path_of(context)
            if not isinstance(path, str):
                raise ValueError(f"the path's function returned {path!r} instead of a text")
            target, path = resolve(self._base, path)
        if self._query is not None:
            path = with_query(path, self._query)
        elif self._query_of is not None:
            path = with_query(path, encode_query(self._query_of(context)))
        lines = self._lines
        if lines is None or target is not self._target:
            lines = _lines(target, self._layers_for(target), context)
        body = self._body_of
        if not isinstance(body, Body):
            body = body(context)
        return Message(
            f"{self._method} {path} HTTP/1.1\r\n".encode() + lines.block + body.framing,
            body.data,
            lines.expects_continue and body.data is not None,
            self._method,
            target,
            path,
            lines.cookies,
            body.reopen,
        )

    def _layers_for(self, target: Target) -> list[Layer]:
        return self._layers if target is self._base else self._foreign_layers


def redirected(message: Message, status: int, location: bytes | str) -> Message:
    """The message that follows a redirect; whether and how often to follow is the caller's decision.

    The minion's cookies are left out, because the jar decides anew for the new address. Another origin gets
    neither credentials nor the author's cookies. Raises ValueError when the location cannot be followed, or
    when the body would have to be sent again and can be read once only.
    """
    text = location.decode("utf-8", "replace") if isinstance(location, bytes) else location
    target, path = follow(message.target, message.path, text)
    is_same_origin = target is message.target
    method, body, reopen = message.method, message.body, message.reopen
    is_get = method != "HEAD" and (status == 303 or (status in (301, 302) and method == "POST"))
    unwanted: tuple[bytes, ...] = (b"cookie:",)
    if is_get:
        method, body, reopen = "GET", None, None
        unwanted += OF_BODIES
    elif body is not None and not isinstance(body, bytes):
        if reopen is None:
            raise ValueError(
                f"the redirect to {target}{path} asks for the body again, "
                "which came from an iterator that is used up"
            )
        body = reopen()
    own_cookies = message.own_cookies if is_same_origin else b""
    added = b""
    if not is_same_origin:
        unwanted += OF_ORIGINS
        added = b"Host: %b\r\n" % target.host_header.encode()
    fields = without(message.head, unwanted).partition(b"\r\n")[2]
    if own_cookies:
        added += b"Cookie: %b\r\n" % own_cookies
    return Message(
        f"{method} {path} HTTP/1.1\r\n".encode() + added + fields,
        body,
        message.expect_continue and body is not None,
        method,
        target,
        path,
        own_cookies,
        reopen,
    )


def bound(fn: Callable[..., Any]) -> Callable[[Any], Any]:
    """An author's function of the value, or of (context, value), as a function of the context."""
    if takes_context(fn):
        return lambda context: fn(context, context.value)
    return lambda context: fn(context.value)


def without(head: bytes, names: tuple[bytes, ...]) -> bytes:
    """The head without the header lines that start with one of the names, given in lower case."""
    first, *lines = head.split(b"\r\n")
    return b"\r\n".join([first, *(line for line in lines if not line.lower().startswith(names))])


def _body(spec: RequestSpec[Any]) -> tuple[Body | Callable[[Any], Body], bytes | None]:
    """The body, or the function that makes it, and its media type."""
    nothing = bodies.EMPTY if spec.method in EXPECTS_BODY else bodies.NONE
    if spec.json is not None:
        return _made(spec.json, lambda value: bodies.of_bytes(encode_json(value))), b"application/json"
    if spec.form is not None:
        made = _made(spec.form, lambda fields: nothing if fields is None else bodies.of_form(fields))
        return made, b"application/x-www-form-urlencoded"
    if spec.multipart is not None:
        boundary = secrets.token_hex(16).encode()
        made = _made(
            spec.multipart,
            lambda fields: bodies.of_pieces(multipart.pieces({} if fields is None else fields, boundary)),
        )
        return made, b"multipart/form-data; boundary=" + boundary
    return _made(spec.body, lambda content: nothing if content is None else bodies.of_content(content)), None


def _made(part: Any, make: Callable[[Any], Body]) -> Body | Callable[[Any], Body]:
    if callable(part):
        find = bound(part)
        return lambda context: make(find(context))
    body = make(part)
    return body if body.reopen is None else lambda context: make(part)  # a stream is read by one request


def _layers(
    spec: RequestSpec[Any], settings: Settings, content_type: bytes | None, is_foreign: bool
) -> list[Layer]:
    """Header lines from the weakest to the strongest; later ones replace earlier ones of the same name.

    The client's credentials stay out of requests to another origin than the client's.
    """
    client = spec.client
    basics: dict[str, Any] = {"User-Agent": f"qalipsis/{version('qalipsis')}", "Accept": "*/*"}
    if settings.decompress:
        basics["Accept-Encoding"] = ACCEPT_ENCODING
    if content_type is not None:
        basics["Content-Type"] = content_type.decode()
    layers: list[Layer] = [header_fields(basics), _layer(client.headers, header_fields)]
    if spec.auth is not None:
        layers.append(_layer(spec.auth, _authorization))
    elif not is_foreign and client.auth is not None:
        layers.append(_layer(client.auth, _authorization))
    elif not is_foreign and settings.credentials is not None:
        layers.append(_authorization(Basic(*settings.credentials)))
    return [*layers, _layer(spec.headers, header_fields), _layer(spec.cookies, _cookie)]


def _layer(part: Any, make: Callable[[Any], Fields]) -> Layer:
    if isinstance(part, Bearer) and callable(part.token):
        find_token = bound(part.token)
        return lambda context: make(Bearer(find_token(context)))
    if callable(part):
        find = bound(part)
        return lambda context: _layer_now(find(context), make, context)
    return make(part) if part is not None else {}


def _layer_now(part: Any, make: Callable[[Any], Fields], context: Any) -> Fields:
    layer = _layer(part, make)
    return layer(context) if callable(layer) else layer


def _lines(target: Target, layers: list[Layer], context: Any) -> Lines:
    fields: Fields = {b"host": b"Host: %b\r\n" % target.host_header.encode()}
    for layer in layers:
        fields.update(layer(context) if callable(layer) else layer)
    expects = fields.get(b"expect", b"").lower().startswith(b"expect: 100-continue")
    cookies = fields.get(b"cookie", b"")[len(b"Cookie: ") : -2]
    return Lines(b"".join(fields.values()), cookies, expects)


def header_fields(headers: Any) -> Fields:
    """Header lines of a mapping; raises ValueError for a name or a value that would break the request."""
    if not isinstance(headers, Mapping):
        raise ValueError(f"headers should be a mapping, not {headers!r}")
    fields: Fields = {}
    for name, value in headers.items():
        key, shown = _name(name)
        several = value if isinstance(value, list | tuple) else (value,)
        fields[key] = b"".join(
            b"%b: %b\r\n" % (shown, _text(name, one)) for one in several if one is not None
        )
    return fields


@lru_cache(maxsize=1024)
def _name(name: str) -> tuple[bytes, bytes]:
    """The key and the wire form of a header's name, checked once per name."""
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name for a header")
    key = name.lower().encode()
    if key in FRAMING:
        raise ValueError(f"the header {name} follows from the body; leave it out")
    return key, name.encode()


def _text(name: str, value: Any) -> bytes:
    text = plain(value).strip()
    if not text.isprintable() and FORBIDDEN.search(text):
        raise ValueError(f"the header {name} would contain a control character: {text!r}")
    return text.encode()


def _cookie(cookies: Any) -> Fields:
    if not isinstance(cookies, Mapping):
        raise ValueError(f"cookies should be a mapping, not {cookies!r}")
    pairs = []
    for name, value in cookies.items():
        text = plain(value)
        if not NAME.fullmatch(name) or COOKIE_UNSAFE.search(text):
            raise ValueError(f"the cookie {name!r} contains a character that a cookie cannot have: {text!r}")
        pairs.append(f"{name}={text}")
    return {b"cookie": f"Cookie: {'; '.join(pairs)}\r\n".encode()} if pairs else {}


def _authorization(auth: Any) -> Fields:
    if auth is None:
        return {}
    if isinstance(auth, Basic):
        return header_fields({"Authorization": basic_credentials(auth.user, auth.password)})
    if isinstance(auth, Bearer):
        if not isinstance(auth.token, str):
            raise ValueError("the function for the bearer token should return a text")
        return header_fields({"Authorization": f"Bearer {auth.token}"})
    raise ValueError(f"auth should be http.basic(…) or http.bearer(…), not a {type(auth).__name__}")


def basic_credentials(user: str, password: str) -> str:
    """The value of an Authorization or Proxy-Authorization header."""
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()
