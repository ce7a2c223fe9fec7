"""Where Redis is and how to log in, from the settings; pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from qalipsis.config.durations import seconds
from qalipsis.config.secret import Secret
from qalipsis.config.settings import Redis, RedisPool
from qalipsis.errors import ConfigurationError

DEFAULT_PORT: Final = 6379
DEFAULT_TIMEOUT_SECONDS: Final = 5.0

_VERIFY: Final = {"none": "none", "false": "none", "ca": "ca", "full": "full", "true": "full"}


@dataclass(frozen=True, slots=True, order=True)
class Node:
    """One server."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Connections to one server for everything but waiting for messages, which has connections of its own."""

    min_idle: int = 0
    max_idle: int = 1
    max_total: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A server, or the known nodes of a cluster.

    `verify` says what is checked of their certificate: `full`, `ca` (not the host name) or `none`; None is
    without TLS.
    """

    nodes: tuple[Node, ...]
    is_cluster: bool = False
    username: str | None = None
    password: Secret | None = None
    database: int = 0
    client_name: str | None = None
    timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS
    verify: str | None = None
    pool: Pool = Pool()

    def __str__(self) -> str:
        return ", ".join(map(str, self.nodes))

    @property
    def who(self) -> str:
        """The user, in words."""
        return "the default user" if self.username is None else f"the user {self.username}"


def from_settings(settings: Redis) -> Address:
    """The address that `redis.*` describes; raises ConfigurationError.

    What a URI says goes before `redis.username`, `password`, `client-name` and `timeout`. All nodes of a
    cluster are spoken to in the same way.
    """
    if settings.uri is not None and settings.uris:
        raise ConfigurationError(
            "redis.uri and redis.uris are both set: keep uri for a server, uris for a cluster"
        )
    uris = settings.uris or ((settings.uri,) if settings.uri is not None else ())
    if not uris:
        raise ConfigurationError("redis.uri is not set: write for example `redis.uri: redis://host:6379`")
    read = [_from_uri(uri, settings) for uri in uris]
    for name, part in _COMMON.items():
        if len({part(each) for each in read}) > 1:
            raise ConfigurationError(f"the redis.uris differ in their {name}: write the same for every node")
    first = read[0]
    is_cluster = bool(settings.uris)
    if is_cluster and first.database:
        raise ConfigurationError("a Redis Cluster has database 0 only: leave the database out of redis.uris")
    if first.client_name is not None and not _is_name(first.client_name):
        raise ConfigurationError("the client name of Redis may hold neither spaces nor special characters")
    return Address(
        nodes=tuple(dict.fromkeys(node for each in read for node in each.nodes)),
        is_cluster=is_cluster,
        username=first.username,
        password=first.password,
        database=first.database,
        client_name=first.client_name,
        timeout_seconds=first.timeout_seconds,
        verify=first.verify,
        pool=_pool(settings.pool),
    )


_COMMON: dict[str, Callable[[Address], object]] = {
    "scheme or verifyPeer": lambda each: each.verify,
    "user": lambda each: each.username,
    "password": lambda each: each.password,
    "database": lambda each: each.database,
    "clientName": lambda each: each.client_name,
    "timeout": lambda each: each.timeout_seconds,
}


def _from_uri(uri: Secret, settings: Redis) -> Address:
    parts = urlsplit(uri.reveal())
    query = dict(parse_qsl(parts.query))
    username, password = _login(parts.username, parts.password, settings)
    timeout = seconds(query["timeout"]) if "timeout" in query else settings.timeout
    path = parts.path.strip("/")
    if path and not path.isdecimal():
        raise ConfigurationError(
            "the path of a Redis URI is the number of its database, as in redis://host:6379/2"
        )
    verify = _VERIFY[query.get("verifyPeer", "full").lower()]
    return Address(
        nodes=(Node(parts.hostname or "", parts.port or DEFAULT_PORT),),
        username=username,
        password=password,
        database=int(query.get("database") or path or 0),
        client_name=query.get("clientName") or settings.client_name,
        timeout_seconds=timeout or DEFAULT_TIMEOUT_SECONDS,
        verify=verify if parts.scheme == "rediss" else None,
    )


def _login(user: str | None, password: str | None, settings: Redis) -> tuple[str | None, Secret | None]:
    """One word before the `@` is the password, unless `redis.password` is: then it is the user."""
    name = unquote(user) if user else None
    if password is not None:
        return name or settings.username, Secret(unquote(password))
    if name is None or settings.password is not None:
        return name or settings.username, settings.password
    return settings.username, Secret(name)


def _pool(settings: RedisPool) -> Pool:
    if not settings.enabled:
        return Pool()
    return Pool(min_idle=settings.min_idle, max_idle=settings.max_idle, max_total=settings.max_total)


def _is_name(text: str) -> bool:
    return all("!" <= letter <= "~" for letter in text)
