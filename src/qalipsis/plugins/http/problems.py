"""What is wrong with a client or a request as an author wrote it: one sentence per mistake."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_address
from typing import Any

from qalipsis.language.durations import duration_problems, limit_problems
from qalipsis.language.security import security_problems
from qalipsis.language.sizes import size_bytes
from qalipsis.plugins.http.auth import Basic, Bearer
from qalipsis.plugins.http.body import of_content, of_form, of_json, of_multipart
from qalipsis.plugins.http.fields import TOKEN, cookie_fields, header_fields
from qalipsis.plugins.http.settings import CONNECTIONS
from qalipsis.plugins.http.url import Target, encode_query, parse_base, parse_proxy, resolve

MAKERS: dict[str, Callable[[Any], object]] = {
    "json": of_json,
    "form": of_form,
    "multipart": lambda fields: of_multipart(fields, b"boundary"),
    "body": of_content,
}


def client_problems(client: Any) -> Iterator[str]:
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
            yield from limit_problems(f"http.client {name}", value)
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
        if size_bytes(client.max_body) < 0:
            yield f"http.client max_body cannot be negative: {client.max_body!r}"
    except ValueError as error:
        yield f"http.client max_body: {error}"
    yield from security_problems("http.client", client.verify, client.cert)
    if client.proxy is not None:
        try:
            parse_proxy(client.proxy)
        except ValueError as error:
            yield f"http.client proxy: {error}"
    yield from _hosts_problems(client.hosts)
    yield from _header_problems("http.client headers", client.headers)
    yield from _auth_problems("http.client auth", client.auth, client.headers)


def request_problems(spec: Any) -> Iterator[str]:
    if not isinstance(spec.method, str) or not TOKEN.fullmatch(spec.method):
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
        yield from limit_problems("the request's timeout", spec.timeout)
    if not callable(spec.query):
        yield from _tried("query", encode_query, spec.query)
    if spec.cookies is not None and not callable(spec.cookies):
        yield from _tried("cookies", cookie_fields, spec.cookies)
    yield from _header_problems("headers", spec.headers)
    yield from _auth_problems("auth", spec.auth, spec.headers)
    yield from _body_problems(spec)


def _is_count(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


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
        yield from _tried(what, header_fields, {name: value})


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


def _body_problems(spec: Any) -> Iterator[str]:
    for name, make in MAKERS.items():
        part = getattr(spec, name)
        if part is None or callable(part):
            continue
        if hasattr(part, "__next__") or hasattr(part, "__anext__"):
            yield f"{name} is an iterator, which one request would use up; give a function that makes one"
        else:
            yield from _tried(name, make, part)


def _tried(what: str, make: Callable[[Any], object], part: Any) -> Iterator[str]:
    """What stands against a part that depends on nothing: the reason why making it fails."""
    try:
        make(part)
    except OSError as error:
        yield f"{what}: cannot read {error.filename!r} ({error.strerror})"
    except (TypeError, ValueError) as error:
        yield f"{what}: {error}"
