"""A cluster's options once checked, as the driver's side needs them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from qalipsis.plugins.kafka.security import Sasl, Tls, tls_of

DEFAULT_PORT = 9092
CLIENT_ID = "qalipsis"


@dataclass(frozen=True, slots=True)
class Connection:
    """How brokers are connected to; equal for steps that may share a connection."""

    brokers: tuple[tuple[str, int], ...]
    tls: Tls | None
    sasl: Sasl | None
    client_id: str

    @property
    def address(self) -> str:
        """For messages."""
        return ", ".join(shown(host, port) for host, port in self.brokers)

    @property
    def user(self) -> str:
        return self.sasl.user if self.sasl is not None else ""


def shown(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def connection_of(cluster: Any) -> Connection:
    """The options of a cluster that has no problems."""
    return Connection(
        brokers=addresses(cluster.bootstrap),
        tls=tls_of(cluster.tls),
        sasl=cluster.sasl,
        client_id=cluster.client_id or CLIENT_ID,
    )


def addresses(bootstrap: Any) -> tuple[tuple[str, int], ...]:
    """Hosts and ports of `"kafka-1:9092,kafka-2:9092"`, or of a list of such; raises ValueError."""
    texts = bootstrap.split(",") if isinstance(bootstrap, str) else bootstrap
    if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
        raise ValueError(f'{bootstrap!r} is no address; write "host:9092", or a list of such')
    found = tuple(_address(text.strip()) for text in texts)
    if not found:
        raise ValueError("the list of addresses is empty")
    return found


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if text.startswith("[") and text.endswith("]"):
        host, colon, port = text, "", ""
    elif not colon:
        host = text
    host = host.removeprefix("[").removesuffix("]")
    if not host or "/" in host or (colon and not (port.isdecimal() and 0 < int(port) < 65_536)):
        raise ValueError(f'{text!r} is no address; write for example "kafka-1:9092", without a scheme')
    return host, int(port) if colon else DEFAULT_PORT
