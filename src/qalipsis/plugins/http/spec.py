"""What an author says about HTTP: a client, and the requests it makes. Nothing here connects to anything."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import PurePath
from typing import Any, ClassVar, Generic, Literal, TypedDict, TypeVar, Unpack, overload

from qalipsis.language.context import Context
from qalipsis.language.durations import Duration, seconds
from qalipsis.language.location import NOWHERE, Location, caller
from qalipsis.language.spec import Spec
from qalipsis.language.steps import duration_problems
from qalipsis.plugins.http.response import Response
from qalipsis.plugins.http.url import Proxy, Target, parse_base, parse_proxy, resolve, shown

In = TypeVar("In", contravariant=True)

Connections = Literal["per-minion", "pool", "on-demand"]
CONNECTIONS = ("per-minion", "pool", "on-demand")

Scalar = str | int | float | bool | None
HeaderFields = Mapping[str, Scalar | Sequence[str]]
Query = str | Mapping[str, Scalar | Sequence[Scalar]] | Sequence[tuple[str, Scalar]]
Form = Mapping[str, Scalar | Sequence[Scalar]] | Sequence[tuple[str, Scalar]]
Content = str | bytes | PurePath
File = tuple[str, Content] | tuple[str, Content, str]
"""File name, content, and media type when it cannot be guessed from the name."""
Multipart = Mapping[str, Scalar | Content | File | Sequence[Content | File]]
Body = str | bytes | PurePath | Iterable[bytes] | AsyncIterable[bytes]

DEFAULT_TIMEOUT = 30.0
DEFAULT_CONNECT_TIMEOUT = 10.0
DEFAULT_POOL_SIZE = 10

_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~\-]+")
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kKMG]?)(i?)[bB]?")
_FACTORS = {"": 1, "k": 1, "m": 2, "g": 3}
_FRAMING = ("content-length", "transfer-encoding")


@dataclass(frozen=True, slots=True)
class Basic:
    """User name and password, sent with every request."""

    user: Any = field(repr=False)
    password: Any = field(repr=False)


@dataclass(frozen=True, slots=True)
class Bearer(Generic[In]):
    """A token, or a function that finds it in the value or in (context, value)."""

    token: Any = field(repr=False)


def basic(user: str, password: str) -> Basic:
    """Basic authentication."""
    return Basic(user, password)


@overload
def bearer(token: str | Callable[[In], str]) -> Bearer[In]: ...
@overload
def bearer(token: Callable[[Context, In], str]) -> Bearer[In]: ...
def bearer(token: Any) -> Bearer[Any]:
    """Bearer authentication, with a token or a function that finds it."""
    return Bearer(token)


class Parts(TypedDict, Generic[In], total=False):
    """What a request may say, each a value or a function of the step's input.

    At most one of json, form, multipart and body. None leaves a part out.
    """

    query: Query | Callable[[In], Query | None] | None
    headers: HeaderFields | Callable[[In], HeaderFields | None] | None
    cookies: Mapping[str, str] | Callable[[In], Mapping[str, str] | None] | None
    json: object | Callable[[In], object]
    form: Form | Callable[[In], Form | None] | None
    multipart: Multipart | Callable[[In], Multipart | None] | None
    body: Body | Callable[[In], Body | None] | None
    auth: Basic | Bearer[In] | Callable[[In], Basic | Bearer[In] | None] | None
    timeout: Duration | None


class ContextParts(TypedDict, Generic[In], total=False):
    """As `Parts`, with functions of (context, input)."""

    query: Query | Callable[[Context, In], Query | None] | None
    headers: HeaderFields | Callable[[Context, In], HeaderFields | None] | None
    cookies: Mapping[str, str] | Callable[[Context, In], Mapping[str, str] | None] | None
    json: object | Callable[[Context, In], object]
    form: Form | Callable[[Context, In], Form | None] | None
    multipart: Multipart | Callable[[Context, In], Multipart | None] | None
    body: Body | Callable[[Context, In], Body | None] | None
    auth: Basic | Bearer[In] | Callable[[Context, In], Basic | Bearer[In] | None] | None
    timeout: Duration | None


@dataclass(frozen=True, slots=True)
class Settings:
    """A client's options once checked: seconds, bytes and addresses instead of what the author wrote."""

    target: Target
    credentials: tuple[str, str] | None = field(repr=False)
    """User and password written in the base URL."""
    connections: Connections
    warm_up: bool
    pool_size: int
    timeout: float
    connect_timeout: float
    read_timeout: float | None
    verify: bool | str
    """True, False, or the path of a file or folder of CA certificates."""
    cert: tuple[str, str | None] | None
    proxy: Proxy | None
    follow_redirects: bool
    max_redirects: int
    decompress: bool
    max_body: int
    hosts: dict[str, str]
    dns_ttl: float


@dataclass(frozen=True, eq=False)
class HttpClient:
    """Requests to one base URL with the same options; made by `client`.

    Options are kept as written, so that every mistake is found at once when the scenario is compiled.
    """

    base_url: Any
    connections: Any = "per-minion"
    warm_up: Any = False
    pool_size: Any = None
    timeout: Any = None
    connect_timeout: Any = None
    read_timeout: Any = None
    headers: Any = None
    auth: Any = None
    verify: Any = True
    cert: Any = None
    proxy: Any = None
    follow_redirects: Any = True
    max_redirects: Any = 10
    decompress: Any = True
    max_body: Any = "10MB"
    hosts: Any = None
    dns_ttl: Any = "60s"
    location: Location = NOWHERE

    @property
    def get(self) -> Verb:
        return Verb(self, "GET")

    @property
    def head(self) -> Verb:
        return Verb(self, "HEAD")

    @property
    def post(self) -> Verb:
        return Verb(self, "POST")

    @property
    def put(self) -> Verb:
        return Verb(self, "PUT")

    @property
    def patch(self) -> Verb:
        return Verb(self, "PATCH")

    @property
    def delete(self) -> Verb:
        return Verb(self, "DELETE")

    @property
    def options(self) -> Verb:
        return Verb(self, "OPTIONS")

    @overload
    def request(
        self, method: str, path: str | Callable[[In], str], **parts: Unpack[Parts[In]]
    ) -> RequestSpec[In]: ...
    @overload
    def request(
        self, method: str, path: str | Callable[[Context, In], str], **parts: Unpack[ContextParts[In]]
    ) -> RequestSpec[In]: ...
    def request(self, method: str, path: Any, **parts: Any) -> RequestSpec[Any]:
        """A request with any method."""
        return RequestSpec(self, method, path, location=caller(), **parts)

    def settings(self) -> Settings:
        """The checked options; call only when `problems()` is empty."""
        target, credentials = parse_base(self.base_url)
        cert = self.cert
        return Settings(
            target=target,
            credentials=credentials,
            connections=self.connections,
            warm_up=self.warm_up,
            pool_size=DEFAULT_POOL_SIZE if self.pool_size is None else self.pool_size,
            timeout=DEFAULT_TIMEOUT if self.timeout is None else seconds(self.timeout),
            connect_timeout=(
                DEFAULT_CONNECT_TIMEOUT if self.connect_timeout is None else seconds(self.connect_timeout)
            ),
            read_timeout=None if self.read_timeout is None else seconds(self.read_timeout),
            verify=self.verify if isinstance(self.verify, bool) else os.fspath(self.verify),
            cert=None if cert is None else _cert_files(cert),
            proxy=None if self.proxy is None else parse_proxy(self.proxy),
            follow_redirects=self.follow_redirects,
            max_redirects=self.max_redirects,
            decompress=self.decompress,
            max_body=body_bytes(self.max_body),
            hosts={name.lower(): address for name, address in (self.hosts or {}).items()},
            dns_ttl=seconds(self.dns_ttl),
        )

    def problems(self) -> list[str]:
        """Every mistake in the options, each as a sentence that says what to write instead."""
        return list(_client_problems(self))

    def __repr__(self) -> str:
        return f"HttpClient({shown(self.base_url) if isinstance(self.base_url, str) else self.base_url!r})"


def client(
    base_url: str,
    connections: Connections = "per-minion",
    warm_up: bool = False,
    pool_size: int | None = None,
    timeout: Duration | None = None,
    connect_timeout: Duration | None = None,
    read_timeout: Duration | None = None,
    headers: HeaderFields | Callable[..., HeaderFields | None] | None = None,
    auth: Basic | Bearer[Any] | Callable[..., Basic | Bearer[Any] | None] | None = None,
    verify: bool | str | PurePath = True,
    cert: str | PurePath | tuple[str | PurePath, str | PurePath] | None = None,
    proxy: str | None = None,
    follow_redirects: bool = True,
    max_redirects: int = 10,
    decompress: bool = True,
    max_body: str | int = "10MB",
    hosts: Mapping[str, str] | None = None,
    dns_ttl: Duration = "60s",
) -> HttpClient:
    """Describe how requests to `base_url` are made; the page docs/http.md explains every option.

    Share one client between the steps of a scenario: a minion then keeps its connection and its cookies
    from step to step. `timeout` is the total per request, redirects included, 30 s when not given.
    """
    return HttpClient(
        base_url=base_url,
        connections=connections,
        warm_up=warm_up,
        pool_size=pool_size,
        timeout=timeout,
        connect_timeout=connect_timeout,
        read_timeout=read_timeout,
        headers=headers,
        auth=auth,
        verify=verify,
        cert=cert,
        proxy=proxy,
        follow_redirects=follow_redirects,
        max_redirects=max_redirects,
        decompress=decompress,
        max_body=max_body,
        hosts=hosts,
        dns_ttl=dns_ttl,
        location=caller(),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Verb:
    """A client's method such as `shop.get`, ready to be given a path."""

    client: HttpClient
    method: str

    @overload
    def __call__(self, path: str | Callable[[In], str], **parts: Unpack[Parts[In]]) -> RequestSpec[In]: ...
    @overload
    def __call__(
        self, path: str | Callable[[Context, In], str], **parts: Unpack[ContextParts[In]]
    ) -> RequestSpec[In]: ...
    def __call__(self, path: Any, **parts: Any) -> RequestSpec[Any]:
        """The request for `path` below the base URL, or for an absolute URL."""
        return RequestSpec(self.client, self.method, path, location=caller(), **parts)


@dataclass(frozen=True, eq=False, repr=False)
class RequestSpec(Spec[In, Response], Generic[In]):
    """One request, from a value of type In to a `Response`; parts are kept as written."""

    kind: ClassVar[str] = "http.request"

    client: HttpClient
    method: Any
    path: Any
    query: Any = None
    headers: Any = None
    cookies: Any = None
    json: Any = None
    form: Any = None
    multipart: Any = None
    body: Any = None
    auth: Any = None
    timeout: Any = None
    location: Location = NOWHERE

    def timeout_seconds(self) -> float | None:
        """The request's own total timeout; None when the client's holds."""
        return None if self.timeout is None else seconds(self.timeout)

    def problems(self) -> list[str]:
        return [*_request_problems(self), *self.client.problems()]

    def default_name(self) -> str:
        method = _slug(str(self.method)) or "request"
        if not isinstance(self.path, str):
            return method
        path = self.path.partition("://")[2].partition("/")[2] if "://" in self.path else self.path
        return f"{method}-{_slug(re.split('[?#]', path)[0]) or 'root'}"

    def __repr__(self) -> str:
        path = self.path if isinstance(self.path, str) else "…"
        return f"<{self.method} {shown(path)} with {self.client!r}>"


def body_bytes(size: str | int) -> int:
    """The number of bytes in `"10MB"`, `"512 KiB"` or a plain number; raises ValueError."""
    if isinstance(size, int) and not isinstance(size, bool):
        return size
    found = _SIZE.fullmatch(size.strip()) if isinstance(size, str) else None
    if found is None:
        raise ValueError(f'{size!r} is no size; write for example "10MB", "512KiB" or a number of bytes')
    number, unit, binary = found.groups()
    return (
        int(float(number) * (1024 if binary else 1000) ** _FACTORS[unit.lower()])
        if unit
        else int(float(number))
    )


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60].rstrip("-")


def _cert_files(cert: Any) -> tuple[str, str | None]:
    if isinstance(cert, tuple | list):
        return os.fspath(cert[0]), os.fspath(cert[1])
    return os.fspath(cert), None


def _client_problems(client: HttpClient) -> Iterator[str]:
    try:
        parse_base(client.base_url)
    except ValueError as error:
        yield f"http.client base_url: {error}"
    if client.connections not in CONNECTIONS:
        modes = ", ".join(map(repr, CONNECTIONS))
        yield f"http.client connections={client.connections!r} should be one of {modes}"
    for name in ("timeout", "connect_timeout", "read_timeout"):
        value = getattr(client, name)
        if value is not None:
            yield from _limit_problems(f"http.client {name}", value)
    yield from duration_problems("http.client dns_ttl", client.dns_ttl)
    for name in ("warm_up", "follow_redirects", "decompress"):
        if not isinstance(getattr(client, name), bool):
            yield f"http.client {name}={getattr(client, name)!r} should be True or False"
    if client.pool_size is not None:
        if not _is_count(client.pool_size, 1):
            yield f"http.client pool_size={client.pool_size!r} should be a whole number of at least 1"
        elif client.connections != "pool":
            yield 'http.client pool_size is given without connections="pool"; add that, or leave the size out'
    if client.warm_up is True and client.connections == "on-demand":
        yield 'http.client warm_up=True has no effect with connections="on-demand"; leave one of them out'
    if not _is_count(client.max_redirects, 0):
        yield f"http.client max_redirects={client.max_redirects!r} should be a whole number of at least 0"
    try:
        if body_bytes(client.max_body) < 0:
            yield f"http.client max_body cannot be negative: {client.max_body!r}"
    except ValueError as error:
        yield f"http.client max_body: {error}"
    if not isinstance(client.verify, bool):
        yield from _file_problems("http.client verify", client.verify, "True, False or the path of a CA file")
    if client.cert is not None:
        yield from _cert_problems(client.cert)
    if client.proxy is not None:
        try:
            parse_proxy(client.proxy)
        except ValueError as error:
            yield f"http.client proxy: {error}"
    yield from _hosts_problems(client.hosts)
    yield from _header_problems("http.client headers", client.headers)
    yield from _auth_problems("http.client auth", client.auth, client.headers)


def _request_problems(spec: RequestSpec[Any]) -> Iterator[str]:
    if not isinstance(spec.method, str) or not _TOKEN.fullmatch(spec.method):
        yield f"the method {spec.method!r} should be a word such as 'GET'"
    if isinstance(spec.path, str):
        try:
            resolve(Target("http", "h", 80, "", "h", False), spec.path)
        except ValueError as error:
            yield f"path: {error}"
    elif not callable(spec.path):
        yield f"the path {spec.path!r} should be a text such as '/basket', or a function that returns one"
    bodies = [name for name in ("json", "form", "multipart", "body") if getattr(spec, name) is not None]
    if len(bodies) > 1:
        yield f"the request has {' and '.join(bodies)}; give one of them"
    if spec.timeout is not None:
        yield from _limit_problems("the request's timeout", spec.timeout)
    for name in ("query", "form"):
        value = getattr(spec, name)
        if not (
            value is None
            or callable(value)
            or _is_fields(value)
            or (name == "query" and isinstance(value, str))
        ):
            yield f"{name}={value!r} should be a mapping, a list of pairs or a function that returns one"
    for name in ("cookies", "multipart"):
        value = getattr(spec, name)
        if not (value is None or callable(value) or isinstance(value, Mapping)):
            yield f"{name}={value!r} should be a mapping, or a function that returns one"
    yield from _header_problems("headers", spec.headers)
    yield from _auth_problems("auth", spec.auth, spec.headers)
    yield from _body_problems(spec.body)


def _limit_problems(what: str, value: Any) -> Iterator[str]:
    found = duration_problems(what, value)
    yield from found
    if not found and seconds(value) == 0:
        yield f"{what} cannot be zero"


def _is_count(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_fields(value: Any) -> bool:
    if isinstance(value, Mapping):
        return True
    return isinstance(value, list | tuple) and all(
        isinstance(pair, list | tuple) and len(pair) == 2 for pair in value
    )


def _file_problems(what: str, path: Any, expected: str) -> Iterator[str]:
    if not isinstance(path, str | PurePath):
        yield f"{what}={path!r} should be {expected}"
    elif not os.path.exists(path):
        yield f"{what}: there is no {os.fspath(path)!r}"


def _cert_problems(cert: Any) -> Iterator[str]:
    if isinstance(cert, tuple | list):
        if len(cert) != 2:
            yield f"http.client cert has {len(cert)} items; write (certificate file, key file)"
        for path in cert:
            yield from _file_problems("http.client cert", path, "the path of a PEM file")
    else:
        yield from _file_problems("http.client cert", cert, "the path of a PEM file, or (certificate, key)")


def _hosts_problems(hosts: Any) -> Iterator[str]:
    if hosts is None:
        return
    if not isinstance(hosts, Mapping):
        yield f"http.client hosts={hosts!r} should be a mapping such as {{'shop.example': '127.0.0.1'}}"
        return
    for name, address in hosts.items():
        try:
            ip_address(address)
        except ValueError:
            yield f"http.client hosts: {name!r} should lead to an IP address, not {address!r}"


def _header_problems(what: str, headers: Any) -> Iterator[str]:
    if headers is None or callable(headers):
        return
    if not isinstance(headers, Mapping):
        yield f"{what}={headers!r} should be a mapping, or a function that returns one"
        return
    for name, value in headers.items():
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            yield f"{what}: {name!r} is no name for a header"
            continue
        if name.lower() in _FRAMING:
            yield f"{what}: {name} follows from the body; leave it out (an iterable as body is sent chunked)"
        for text in value if isinstance(value, list | tuple) else (value,):
            if isinstance(text, str) and any(character in text for character in "\r\n\0"):
                yield f"{what}: the value of {name} contains a line break"


def _auth_problems(what: str, auth: Any, headers: Any) -> Iterator[str]:
    if auth is None:
        return
    if isinstance(headers, Mapping) and any(str(name).lower() == "authorization" for name in headers):
        yield f"{what} and an Authorization header are both given; give one of them"
    if isinstance(auth, Basic):
        if not isinstance(auth.user, str) or not isinstance(auth.password, str):
            yield f"{what}: http.basic needs texts; for other users use a function that returns http.basic(…)"
        elif ":" in auth.user:
            yield f"{what}: the user name of http.basic cannot contain a colon"
    elif isinstance(auth, Bearer):
        if not isinstance(auth.token, str) and not callable(auth.token):
            yield f"{what}: http.bearer needs a text, or a function that returns one"
    elif not callable(auth):
        yield f"{what} should be http.basic(…), http.bearer(…) or a function that returns one"


def _body_problems(body: Any) -> Iterator[str]:
    if body is None or isinstance(body, str | bytes) or callable(body):
        return
    if isinstance(body, PurePath):
        yield from _file_problems("body", body, "a path")
    elif hasattr(body, "__next__") or hasattr(body, "__anext__"):
        yield "body is an iterator, which the first request would use up; give a function that makes one"
    elif not isinstance(body, Iterable | AsyncIterable) or isinstance(body, Mapping):
        yield f"body={body!r} should be text, bytes, a path or an iterable of bytes; use json= for data"
