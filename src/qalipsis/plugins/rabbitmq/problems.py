"""What is wrong with a client or a message as an author wrote it: one sentence per mistake."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from qalipsis.language.callables import function_problems
from qalipsis.language.durations import limit_problems
from qalipsis.language.security import security_problems
from qalipsis.plugins.brokers.address import parse_address
from qalipsis.plugins.brokers.options import count_problems, flag_problems
from qalipsis.plugins.brokers.payload import payload_problems
from qalipsis.plugins.rabbitmq.properties import checked_property, checked_short
from qalipsis.plugins.rabbitmq.settings import SCHEMES

MOST_CONNECTIONS = 1_000
FORMS = ("value", "context, value")


def client_problems(client: Any) -> Iterator[str]:
    try:
        address = parse_address(client.url, SCHEMES)
    except ValueError as error:
        yield f"rabbitmq.client: {error}"
    else:
        if address.user is None or address.password is None:
            yield "rabbitmq.client: the address needs a user and a password: amqp://user:password@host/vhost"
    yield from limit_problems("rabbitmq.client timeout", client.timeout)
    yield from count_problems("rabbitmq.client connections", client.connections, 1, MOST_CONNECTIONS)
    yield from security_problems("rabbitmq.client", client.verify, client.cert)


def produce_problems(spec: Any) -> Iterator[str]:
    yield from _part_problems("exchange", spec.exchange, partial(checked_short, "exchange"))
    yield from _part_problems("routing_key", spec.routing_key, partial(checked_short, "routing_key"))
    yield from payload_problems("produce body", spec.body)
    for name, value in spec.properties.items():
        yield from _part_problems(name, value, partial(checked_property, name))
    for name in ("persistent", "confirm"):
        yield from flag_problems(f"produce {name}", getattr(spec, name))
    if spec.mandatory is not None:
        yield from flag_problems("produce mandatory", spec.mandatory)
    if spec.mandatory is True and spec.confirm is False:
        yield "produce(mandatory=True) needs the broker's confirms; leave confirm=False out"


def name_problems(verb: str, what: str, value: Any) -> Iterator[str]:
    """Of a queue or an exchange that is read."""
    try:
        checked_short(f"{verb} {what}", value)
    except ValueError as error:
        yield str(error)
        return
    if not value:
        yield f"{verb} needs the name of its {what}"


def _part_problems(name: str, value: Any, check: Callable[[Any], Any]) -> Iterator[str]:
    if callable(value):
        yield from function_problems(f"produce {name}", value, FORMS)
        return
    try:
        check(value)
    except ValueError as error:
        yield f"produce: {error}"
