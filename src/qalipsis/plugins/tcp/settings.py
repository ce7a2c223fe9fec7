"""A client's options as the network side needs them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qalipsis.language.addresses import parse_address, shown_address
from qalipsis.language.durations import seconds
from qalipsis.language.security import Security, security
from qalipsis.language.sizes import size_bytes


@dataclass(frozen=True, slots=True)
class Settings:
    """A client's options once checked: seconds, bytes and addresses instead of what the author wrote."""

    host: str
    port: int
    connect_timeout: float
    timeout: float
    tls: bool
    security: Security
    server_name: str
    max_response: int
    no_delay: bool

    @property
    def where(self) -> str:
        """The address for messages."""
        return shown_address(self.host, self.port)


def settled(client: Any) -> Settings:
    """The options of a client that has no problems."""
    host, port = parse_address(client.address, client.port)
    return Settings(
        host=host,
        port=port,
        connect_timeout=seconds(client.connect_timeout),
        timeout=seconds(client.timeout),
        tls=client.tls,
        security=security("tcp.client", client.verify, client.cert),
        server_name=host if client.server_name is None else client.server_name,
        max_response=size_bytes(client.max_response),
        no_delay=client.no_delay,
    )
