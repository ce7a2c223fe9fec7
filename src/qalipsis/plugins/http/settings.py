"""A client's options as the network side needs them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from qalipsis.language.durations import seconds
from qalipsis.language.security import Security, security
from qalipsis.language.sizes import size_bytes
from qalipsis.plugins.http.url import Proxy, Target, parse_base, parse_proxy

Connections = Literal["per-minion", "pool", "on-demand"]
CONNECTIONS = ("per-minion", "pool", "on-demand")

DEFAULT_TIMEOUT = 30.0
DEFAULT_CONNECT_TIMEOUT = 10.0
DEFAULT_POOL_SIZE = 10


@dataclass(frozen=True, slots=True)
class Settings:
    """A client's options once checked: seconds, bytes and addresses instead of what the author wrote."""

    target: Target
    credentials: tuple[str, str] | None = field(repr=False)
    """User and password written in the base URL."""
    connections: Connections
    warm_up: bool
    pool_size: int
    timeout: float
    connect_timeout: float
    read_timeout: float | None
    security: Security
    proxy: Proxy | None
    follow_redirects: bool
    max_redirects: int
    decompress: bool
    max_body: int
    hosts: dict[str, str]
    dns_ttl: float


def settled(client: Any) -> Settings:
    """The options of a client that has no problems."""
    target, credentials = parse_base(client.base_url)
    return Settings(
        target=target,
        credentials=credentials,
        connections=client.connections,
        warm_up=client.warm_up,
        pool_size=DEFAULT_POOL_SIZE if client.pool_size is None else client.pool_size,
        timeout=DEFAULT_TIMEOUT if client.timeout is None else seconds(client.timeout),
        connect_timeout=(
            DEFAULT_CONNECT_TIMEOUT if client.connect_timeout is None else seconds(client.connect_timeout)
        ),
        read_timeout=None if client.read_timeout is None else seconds(client.read_timeout),
        security=security("http.client", client.verify, client.cert),
        proxy=None if client.proxy is None else parse_proxy(client.proxy),
        follow_redirects=client.follow_redirects,
        max_redirects=client.max_redirects,
        decompress=client.decompress,
        max_body=size_bytes(client.max_body),
        hosts={name.lower(): address for name, address in (client.hosts or {}).items()},
        dns_ttl=seconds(client.dns_ttl),
    )
