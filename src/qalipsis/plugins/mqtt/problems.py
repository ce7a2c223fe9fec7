"""What is wrong with a client as an author wrote it: one sentence per mistake."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from qalipsis.language.durations import duration_problems, limit_problems, seconds
from qalipsis.language.security import security_problems
from qalipsis.plugins.brokers.address import parse_address
from qalipsis.plugins.mqtt.settings import CONNECTIONS, SCHEMES, VERSIONS

LONGEST_KEEP_ALIVE = 65_535
LONGEST_PREFIX = 1_000


def client_problems(client: Any) -> Iterator[str]:
    try:
        address = parse_address(client.url, SCHEMES)
    except ValueError as error:
        yield f"mqtt.client: {error}"
    else:
        if address.path:
            yield f"mqtt.client: leave out the path /{address.path}; MQTT has none"
        if address.password is not None and address.user is None:
            yield "mqtt.client: the address has a password and no user; write mqtt://user:password@host"
    prefix = client.client_id_prefix
    if not isinstance(prefix, str) or not prefix or "\0" in prefix or len(prefix) > LONGEST_PREFIX:
        yield f"mqtt.client client_id_prefix={prefix!r} should be a short text such as 'sensor'"
    if isinstance(client.version, bool) or client.version not in VERSIONS:
        yield f"mqtt.client version={client.version!r} should be 5 or '3.1.1'"
    found = duration_problems("mqtt.client keep_alive", client.keep_alive)
    yield from found
    if not found and not (
        seconds(client.keep_alive) == 0 or 1 <= seconds(client.keep_alive) <= LONGEST_KEEP_ALIVE
    ):
        yield f"mqtt.client keep_alive={client.keep_alive!r} should be 0 (none) or from 1 s to 18 h"
    yield from limit_problems("mqtt.client timeout", client.timeout)
    if client.connections not in CONNECTIONS:
        modes = ", ".join(map(repr, CONNECTIONS))
        yield f"mqtt.client connections={client.connections!r} should be one of {modes}"
    yield from security_problems("mqtt.client", client.verify, client.cert)


def qos_problems(verb: str, qos: Any) -> Iterator[str]:
    if isinstance(qos, bool) or qos not in (0, 1, 2):
        yield f"{verb}(qos={qos!r}) should be 0, 1 or 2"
