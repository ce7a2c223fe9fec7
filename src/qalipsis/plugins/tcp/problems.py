"""What is wrong with a client or a request as an author wrote it: one sentence per mistake."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from qalipsis.language.addresses import parse_address
from qalipsis.language.durations import limit_problems
from qalipsis.language.payloads import payload_problems
from qalipsis.language.security import security_problems
from qalipsis.language.sizes import size_bytes
from qalipsis.plugins.tcp.until import Exactly, Until


def client_problems(client: Any) -> Iterator[str]:
    try:
        parse_address(client.address, client.port)
    except ValueError as error:
        yield f"tcp.client: {error}"
    for name in ("connect_timeout", "timeout"):
        yield from limit_problems(f"tcp.client {name}", getattr(client, name))
    for name in ("tls", "no_delay"):
        if not isinstance(getattr(client, name), bool):
            yield f"tcp.client {name}={getattr(client, name)!r} should be True or False"
    yield from security_problems("tcp.client", client.verify, client.cert)
    name = client.server_name
    if name is not None and (not isinstance(name, str) or not name):
        yield f"tcp.client server_name={name!r} should be a host name, such as 'echo.example'"
    if client.tls is False:
        given = [
            name for name, default in (("verify", True), ("cert", None), ("server_name", None))
            if getattr(client, name) != default
        ]  # fmt: skip
        if given:
            yield f"tcp.client {' and '.join(given)}: no effect without tls=True; add that, or leave it out"
    try:
        if size_bytes(client.max_response) < 1:
            yield f"tcp.client max_response={client.max_response!r} should be at least 1 byte"
    except ValueError as error:
        yield f"tcp.client max_response: {error}"


def request_problems(spec: Any) -> Iterator[str]:
    yield from payload_problems(spec.payload)
    until = spec.until
    if isinstance(until, Until):
        yield from until.problems()
        if isinstance(until, Exactly) and spec.client is not None:
            yield from _size_problems(until.number, spec.client.max_response)
        if not until.reads and not callable(spec.payload) and not spec.payload:
            yield "the payload is empty and until=tcp.nothing(): nothing would be sent, nothing read"
    else:
        yield (
            f"until={until!r} should say where the response ends: tcp.line(), tcp.delimiter(b'…'), "
            "tcp.exactly(n), tcp.length_prefix(n), tcp.end_of_stream() or tcp.nothing()"
        )
    if spec.timeout is not None:
        yield from limit_problems("the request's timeout", spec.timeout)


def name_problems(verb: str, name: Any) -> Iterator[str]:
    if not isinstance(name, str) or not name:
        yield f"{verb} needs the name of the step that connects, not {name!r}"


def _size_problems(number: Any, limit: Any) -> Iterator[str]:
    try:
        if not callable(number) and isinstance(number, int) and number > size_bytes(limit):
            yield f"tcp.exactly({number}) is more than max_response={limit!r} of the client; raise that"
    except ValueError:
        return  # told with the client
