"""The bytes of a request: assembled once when nothing depends on the context, filled in otherwise."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import partial
from typing import Any

from msgspec import Struct

from qalipsis.engine.step import StepContext
from qalipsis.plugins.http import body as bodies
from qalipsis.plugins.http.body import Body, Stream
from qalipsis.plugins.http.layers import Lines, bound, layers_of, lines_of, with_host
from qalipsis.plugins.http.spec import RequestSpec
from qalipsis.plugins.http.url import Target, encode_query, follow, resolve, with_query

REDIRECTS = frozenset({301, 302, 303, 307, 308})
EXPECTS_BODY = frozenset({"POST", "PUT", "PATCH"})
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
        self._make_foreign_layers = partial(layers_of, spec, settings, content_type, is_foreign=True)
        is_foreign = self._target is not self._base
        self._layers = with_host(self._target, layers_of(spec, settings, content_type, is_foreign))
        self._lines: Lines | None = None
        if not any(map(callable, self._layers)):
            self._lines = lines_of(self._layers, None)
        self._message: Message | None = None
        is_fixed = self._path_of is None and self._query_of is None and self._lines is not None
        if is_fixed and isinstance(self._body_of, Body):
            self._message = self._build(None)

    @property
    def static(self) -> bool:
        """True when every execution sends the same message, apart from the minion's cookies."""
        return self._message is not None

    def fill(self, context: StepContext) -> Message:
        """The message for this execution; the minion's cookies come by its `with_cookies`.

        Raises ValueError when the request would be no valid one, OSError for a missing file, or whatever an
        author's function raised.
        """
        return self._message or self._build(context)

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
        if target is not self._target:
            lines = lines_of(with_host(target, self._make_foreign_layers()), context)
        elif lines is None:
            lines = lines_of(self._layers, context)
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


def without(head: bytes, names: tuple[bytes, ...]) -> bytes:
    """The head without the header lines that start with one of the names, given in lower case."""
    first, *lines = head.split(b"\r\n")
    return b"\r\n".join([first, *(line for line in lines if not line.lower().startswith(names))])


def _body(spec: RequestSpec[Any]) -> tuple[Body | Callable[[Any], Body], str | None]:
    """The body, or the function that makes it, and its media type."""
    nothing = bodies.EMPTY if spec.method in EXPECTS_BODY else bodies.NONE
    if spec.json is not None:
        return _made(spec.json, bodies.of_json), "application/json"
    if spec.form is not None:
        made = _made(spec.form, lambda fields: nothing if fields is None else bodies.of_form(fields))
        return made, "application/x-www-form-urlencoded"
    if spec.multipart is not None:
        boundary = secrets.token_hex(16).encode()
        made = _made(
            spec.multipart,
            lambda fields: nothing if fields is None else bodies.of_multipart(fields, boundary),
        )
        return made, f"multipart/form-data; boundary={boundary.decode()}"
    return _made(spec.body, lambda content: nothing if content is None else bodies.of_content(content)), None


def _made(part: Any, make: Callable[[Any], Body]) -> Body | Callable[[Any], Body]:
    if callable(part):
        find = bound(part)
        return lambda context: make(find(context))
    body = make(part)
    return body if body.reopen is None else lambda context: make(part)  # a stream is read by one request
