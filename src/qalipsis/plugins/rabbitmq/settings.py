"""A client's options as the network side needs them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qalipsis.language.durations import seconds
from qalipsis.language.security import Security, security
from qalipsis.plugins.brokers.address import Address, Scheme, parse_address

SCHEMES = {"amqp": Scheme(5672, is_tls=False), "amqps": Scheme(5671, is_tls=True)}


@dataclass(frozen=True, slots=True)
class Settings:
    """A client's options once checked."""

    address: Address
    security: Security
    timeout: float
    connections: int

    @property
    def virtual_host(self) -> str:
        return self.address.path or "/"

    @property
    def where(self) -> str:
        """The broker, as messages name it."""
        return f"the RabbitMQ broker {self.address}"


def settled(client: Any) -> Settings:
    """The options of a client that has no problems."""
    return Settings(
        address=parse_address(client.url, SCHEMES),
        security=security("rabbitmq.client", client.verify, client.cert),
        timeout=seconds(client.timeout),
        connections=client.connections,
    )
