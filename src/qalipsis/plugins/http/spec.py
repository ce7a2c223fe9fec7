"""What an author says about HTTP: a client, and the requests it makes. Nothing here connects to anything."""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypedDict, Unpack, overload

from msgspec import Struct

from qalipsis.language.context import Context
from qalipsis.language.durations import Duration, seconds
from qalipsis.language.location import NOWHERE, Location, caller
from qalipsis.language.of_client import OfClient
from qalipsis.language.spec import Spec, slug
from qalipsis.plugins.http.auth import Basic, Bearer
from qalipsis.plugins.http.problems import client_problems, request_problems
from qalipsis.plugins.http.response import Response
from qalipsis.plugins.http.settings import Connections, Settings, settled
from qalipsis.plugins.http.url import shown

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    # The default lets a request without functions be kept in a variable and be used after any step.
    In = TypeVar("In", contravariant=True, default=Any)
else:
    from typing import TypeVar

    In = TypeVar("In", contravariant=True)


class Dataclass(Protocol):
    """What `@dataclass` makes."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


Scalar = str | int | float | bool | None
HeaderFields = Mapping[str, Scalar | Sequence[str]]
Query = str | Mapping[str, Scalar | Sequence[Scalar]] | Sequence[tuple[str, Scalar]]
Form = Mapping[str, Scalar | Sequence[Scalar]] | Sequence[tuple[str, Scalar]]
Data = Mapping[Any, Any] | Sequence[Any] | str | int | float | Struct | Dataclass
Content = str | bytes | PurePath
File = tuple[str, Content] | tuple[str, Content, str]
"""File name, content, and media type when it cannot be guessed from the name."""
Multipart = Mapping[str, Scalar | Content | File | Sequence[Content | File]]
Body = str | bytes | PurePath | Iterable[bytes] | AsyncIterable[bytes]


class Parts(TypedDict, Generic[In], total=False):
    """What a request may say, each a value or a function of the step's input.

    At most one of json, form, multipart and body. None leaves a part out.
    """

    query: Query | Callable[[In], Query | None] | None
    headers: HeaderFields | Callable[[In], HeaderFields | None] | None
    cookies: Mapping[str, str] | Callable[[In], Mapping[str, str] | None] | None
    json: Data | Callable[[In], object] | None
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
    json: Data | Callable[[Context, In], object] | None
    form: Form | Callable[[Context, In], Form | None] | None
    multipart: Multipart | Callable[[Context, In], Multipart | None] | None
    body: Body | Callable[[Context, In], Body | None] | None
    auth: Basic | Bearer[In] | Callable[[Context, In], Basic | Bearer[In] | None] | None
    timeout: Duration | None


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
        return self._settings

    def problems(self) -> list[str]:
        """Every mistake in the options, each as a sentence that says what to write instead."""
        return list(self._problems)

    # Journeys make requests while they run, so that these are asked for again and again.

    @cached_property
    def _settings(self) -> Settings:
        return settled(self)

    @cached_property
    def _problems(self) -> tuple[str, ...]:
        return tuple(client_problems(self))

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
class RequestSpec(OfClient, Spec[In, Response], Generic[In]):
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

    def own_problems(self) -> Iterator[str]:
        return request_problems(self)

    def default_name(self) -> str:
        method = slug(str(self.method)) or "request"
        if not isinstance(self.path, str):
            return method
        path = self.path.partition("://")[2].partition("/")[2] if "://" in self.path else self.path
        return f"{method}-{slug(re.split('[?#]', path)[0]) or 'root'}"

    def __repr__(self) -> str:
        path = self.path if isinstance(self.path, str) else "…"
        return f"<{self.method} {shown(path)} with {self.client!r}>"
