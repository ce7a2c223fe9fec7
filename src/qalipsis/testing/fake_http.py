"""A service that speaks HTTP and is a function: what it is asked, and what it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from http import HTTPStatus
from typing import Any

import msgspec

from qalipsis.language.durations import Duration, duration_problems, seconds
from qalipsis.plugins.http.response import Headers

BODILESS = frozenset({204, 304})


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeRequest:
    """What a scenario sent. `at` are seconds since the minions started, `number` counts from 0."""

    method: str
    url: str
    path: str
    """Without the query, escapes undone."""
    query: Mapping[str, str]
    raw_head: bytes
    body: bytes
    at: float
    number: int

    @property
    def headers(self) -> Headers:
        return Headers(self.raw_head)

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body read as JSON; raises a ValueError when it is none."""
        return msgspec.json.decode(self.body)


@dataclass(frozen=True, slots=True)
class FakeResponse:
    """What comes back `after` seconds, made by `fake_response`, `fake_reset` or `fake_silence`."""

    after: float
    head: bytes | None
    """None when the connection breaks instead."""
    body: bytes = b""
    is_silent: bool = False

    def wire(self, method: str) -> bytes:
        """The bytes of the response to a request with this method."""
        assert self.head is not None
        return self.head if method == "HEAD" else self.head + self.body


def fake_response(
    status: int = 200,
    *,
    json: Any = None,
    text: str | None = None,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    after: Duration = 0,
) -> FakeResponse:
    """A complete response, `after` so long since the request; at most one of json, text and body."""
    given = [part for part in (json, text, body) if part is not None]
    if len(given) > 1:
        raise ValueError("a fake response has one body: give json, text or body")
    if not 200 <= status <= 599:
        raise ValueError(f"a fake response has a status from 200 to 599, not {status!r}")
    content, kind = body or b"", None
    if json is not None:
        content, kind = msgspec.json.encode(json), "application/json"
    elif text is not None:
        content, kind = text.encode(), "text/plain; charset=utf-8"
    if content and status in BODILESS:
        raise ValueError(f"a response with status {status} has no body")
    lines = dict(headers or {})
    names = {name.lower() for name in lines}
    if kind is not None and "content-type" not in names:
        lines["Content-Type"] = kind
    if status not in BODILESS and "content-length" not in names:
        lines["Content-Length"] = str(len(content))
    written = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    head = f"HTTP/1.1 {status} {_reason(status)}\r\n{written}\r\n".encode("latin-1")
    return FakeResponse(_seconds(after), head, content)


def fake_reset(after: Duration = 0) -> FakeResponse:
    """The connection breaks: the step fails with the class `reset`."""
    return FakeResponse(_seconds(after), None)


def fake_silence() -> FakeResponse:
    """No answer ever: the step fails at its timeout."""
    return FakeResponse(0.0, None, is_silent=True)


Handler = Callable[[FakeRequest], FakeResponse]
Routes = Mapping[str, FakeResponse | Handler]


class NoRoute(Exception):
    """A scenario asked for what the fake does not know."""


@dataclass(slots=True)
class FakeHttp:
    """A fake service; made by `fake_http`, and good for any number of runs."""

    answer: Handler
    requests: int = field(default=0, init=False)
    """How many it was sent, over all runs."""


Answers = FakeResponse | Handler | Routes


def fake_http(target: Answers) -> FakeHttp:
    """Stands in for every HTTP service that a scenario talks to.

    `target` is one response for all requests, a function of a `FakeRequest`, or a mapping of routes such as
    `"GET /basket"` or `"/images/*"` (any method; `*` is any text), of which the first that fits counts. A
    request that fits none breaks the test.
    """
    if isinstance(target, FakeResponse):
        return FakeHttp(lambda request: target)
    if isinstance(target, Mapping):
        return FakeHttp(_router(target))
    if not callable(target):
        raise TypeError(f"fake_http takes a response, a function or a mapping of routes, not {target!r}")
    return FakeHttp(target)


def _router(routes: Routes) -> Handler:
    known = [(*_route(route), answer) for route, answer in routes.items()]

    def answer(request: FakeRequest) -> FakeResponse:
        for method, path, found in known:
            if method in ("", request.method) and fnmatchcase(request.path, path):
                return found if isinstance(found, FakeResponse) else found(request)
        raise NoRoute(f"no route for {request.method} {request.path}; the fake knows {', '.join(routes)}")

    return answer


def _route(route: str) -> tuple[str, str]:
    method, space, path = route.rpartition(" ")
    if not path.startswith(("/", "*")) or (space and not method.isupper()):
        raise ValueError(f'{route!r} is no route; write for example "GET /basket" or "/images/*"')
    return method, path


def _seconds(after: Duration) -> float:
    for problem in duration_problems("after", after):
        raise ValueError(problem)
    return seconds(after)


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""
