"""A client's options as the network side needs them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from qalipsis.language.durations import seconds
from qalipsis.language.security import Security, security
from qalipsis.plugins.brokers.address import Address, Scheme, parse_address

Connections = Literal["shared", "per-minion"]
CONNECTIONS = ("shared", "per-minion")
SCHEMES = {"mqtt": Scheme(1883, is_tls=False), "mqtts": Scheme(8883, is_tls=True)}
VERSIONS = {5: 5, "5": 5, "3.1.1": 4}
"""As authors write them: as they stand in the protocol."""


@dataclass(frozen=True, slots=True)
class Settings:
    """A client's options once checked."""

    address: Address
    security: Security
    client_id_prefix: str
    version: int
    keep_alive: int
    timeout: float
    is_per_minion: bool

    @property
    def where(self) -> str:
        """The broker, as messages name it."""
        return f"the MQTT broker {self.address}"


def settled(client: Any) -> Settings:
    """The options of a client that has no problems."""
    return Settings(
        address=parse_address(client.url, SCHEMES),
        security=security("mqtt.client", client.verify, client.cert),
        client_id_prefix=client.client_id_prefix,
        version=VERSIONS[client.version],
        keep_alive=round(seconds(client.keep_alive)),
        timeout=seconds(client.timeout),
        is_per_minion=client.connections == "per-minion",
    )
