"""What is wrong with a client or a request as an author wrote it: one sentence per mistake."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from qalipsis.language.addresses import parse_address
from qalipsis.language.callables import function_problems
from qalipsis.language.durations import limit_problems
from qalipsis.language.payloads import payload_bytes, payload_problems

LARGEST = 65_507
"""Bytes that a datagram carries over IPv4; longer ones have no way to be sent."""


def client_problems(client: Any) -> Iterator[str]:
    try:
        parse_address(client.address, client.port)
    except ValueError as error:
        yield f"udp.client: {error}"
    yield from limit_problems("udp.client timeout", client.timeout)


def request_problems(spec: Any) -> Iterator[str]:
    found = payload_problems(spec.payload)
    yield from found
    if not found and not callable(spec.payload):
        size = len(payload_bytes(spec.payload))
        if size > LARGEST:
            yield f"the payload has {size} bytes, and a datagram carries {LARGEST} at most"
    answers = spec.answers
    if isinstance(answers, bool) or not isinstance(answers, int) or answers < 0:
        yield f"answers={answers!r} should be a whole number, 0 to wait for none"
    if spec.matching is not None:
        yield from function_problems("matching", spec.matching, ("request, response",))
        if answers == 0:
            yield "matching is given, and answers=0 waits for none; leave one of them out"
    if spec.timeout is not None:
        yield from limit_problems("the request's timeout", spec.timeout)


def name_problems(verb: str, name: Any) -> Iterator[str]:
    if not isinstance(name, str) or not name:
        yield f"{verb} needs the name of the step whose socket it is about, not {name!r}"
