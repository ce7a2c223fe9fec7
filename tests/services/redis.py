"""Real Redis servers: one by itself, or six as a cluster."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit

from tests.services.certificates import Certificates
from tests.services.handle import Handle
from tests.services.home import (
    HOST,
    LOOK_SECONDS,
    Home,
    Server,
    ServiceFailed,
    answers,
    find_program,
    free_port,
    open_home,
)

MASTERS = 3
SLOTS = 16384
SETTLE_SECONDS = 20.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Redis(Handle):
    """A running server; without `password` it asks for none."""

    password: str | None = field(default=None, repr=False)
    is_tls: bool = False

    @property
    def url(self) -> str:
        login = f":{quote(self.password, safe='')}@" if self.password else ""
        return f"{'rediss' if self.is_tls else 'redis'}://{login}{self.host}:{self.port}/0"

    @classmethod
    def from_url(cls, url: str) -> Redis:
        """An existing server that the tests may use, and not stop."""
        parts = urlsplit(url)
        password = unquote(parts.password) if parts.password else None
        return cls(
            host=parts.hostname or HOST,
            port=parts.port or 6379,
            password=password,
            is_tls=parts.scheme == "rediss",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RedisCluster:
    """Three masters, each with a replica; `nodes` has the masters first."""

    nodes: tuple[Redis, ...]

    @property
    def urls(self) -> tuple[str, ...]:
        return tuple(node.url for node in self.nodes)

    @classmethod
    def from_urls(cls, urls: str) -> RedisCluster:
        """An existing cluster, given by the addresses of some of its nodes with a comma between them."""
        return cls(nodes=tuple(Redis.from_url(url) for url in urls.split(",")))


@contextmanager
def running_redis(
    password: str | None = None, certificates: Certificates | None = None, users: Sequence[str] = ()
) -> Iterator[Redis]:
    """A Redis on a free loopback port, which keeps its data when it is started again; gone at the end.

    With `certificates` it speaks TLS only. `users` are lines of `ACL SETUSER`, without these two words.
    """
    with open_home("redis") as home:
        port = free_port()
        options = [*(("--requirepass", password) if password else ()), *_users(users)]
        server = _server(home, "redis", port, *options, certificates=certificates)
        server.start()
        yield Redis(host=HOST, port=port, password=password, is_tls=certificates is not None, server=server)


@contextmanager
def running_redis_cluster(
    certificates: Certificates | None = None, users: Sequence[str] = ()
) -> Iterator[RedisCluster]:
    """A Redis Cluster on free loopback ports, with all slots served and replicas in step; gone at the end.

    With `certificates` it speaks TLS only, also between its nodes. `users` are lines of `ACL SETUSER`.
    """
    with open_home("redis-cluster") as home:
        nodes: list[Redis] = []
        buses: list[int] = []
        for number in range(2 * MASTERS):
            port, bus = free_port(), free_port()
            server = _server(
                home,
                f"node-{number}",
                port,
                *("--cluster-enabled", "yes", "--cluster-port", str(bus), "--cluster-node-timeout", "2000"),
                # Seconds: a master waits for no further replica, and tells those it has that it lives.
                *("--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1"),
                *(("--tls-cluster", "yes", "--tls-replication", "yes") if certificates else ()),
                *_users(users),
                certificates=certificates,
            )
            server.launch()
            nodes.append(Redis(host=HOST, port=port, is_tls=certificates is not None, server=server))
            buses.append(bus)
        for node in nodes:
            node.start()
        _join(home, nodes, buses, certificates)
        yield RedisCluster(nodes=tuple(nodes))


def _users(users: Sequence[str]) -> list[str]:
    return [word for user in users for word in ("--user", *user.split())]


def _server(
    home: Home, name: str, port: int, *options: str, certificates: Certificates | None = None
) -> Server:
    directory = home.path / name
    directory.mkdir()
    ports = ["--port", str(port)]
    if certificates is not None:
        ports = ["--port", "0", "--tls-port", str(port), "--tls-auth-clients", "no"]
        ports += ["--tls-cert-file", str(certificates.server), "--tls-key-file", str(certificates.server)]
        ports += ["--tls-ca-cert-file", str(certificates.authority)]
    command = [
        *(find_program("redis-server"), "--bind", HOST, *ports, "--dir", str(directory)),
        *("--save", "", "--appendonly", "yes", "--appendfsync", "no", *options),
    ]
    # A server that still loads its data says -LOADING, one that wants a password -NOAUTH.
    beginning = b"-NOAUTH" if "--requirepass" in options else b"+PONG"
    tls = certificates.client_context() if certificates is not None else None
    return home.server(name, command, lambda: answers(port, b"PING\r\n", beginning, tls))


def _join(
    home: Home, nodes: Sequence[Redis], buses: Sequence[int], certificates: Certificates | None
) -> None:
    """Make one cluster of the nodes, step by step: `redis-cli --cluster create` would sleep for seconds."""
    client = [find_program("redis-cli"), "-e"]
    if certificates is not None:
        client += ["--tls", "--cacert", str(certificates.authority)]

    def say(node: Redis, *words: object) -> str:
        return home.run_once([*client, "-h", node.host, "-p", str(node.port), *map(str, words)])

    masters, replicas = nodes[:MASTERS], nodes[MASTERS:]
    bounds = [SLOTS * number // MASTERS for number in range(MASTERS + 1)]
    for number, master in enumerate(masters):
        say(master, "CLUSTER", "SET-CONFIG-EPOCH", number + 1)
        say(master, "CLUSTER", "ADDSLOTSRANGE", bounds[number], bounds[number + 1] - 1)
    for number, node in enumerate(nodes):  # each with each: the word would take its time to get around
        for other, bus in zip(nodes[:number], buses, strict=False):
            say(node, "CLUSTER", "MEET", HOST, other.port, bus)

    def knows_all(node: Redis) -> bool:
        known = say(node, "CLUSTER", "NODES")
        return known.count("master") == len(nodes) and "handshake" not in known

    def serves_all(node: Redis) -> bool:
        """Whether it takes requests and names all nodes; a replica is named once it has an offset."""
        named = say(node, "CLUSTER", "SLOTS").count(HOST)
        return named == len(nodes) and "cluster_state:ok" in say(node, "CLUSTER", "INFO")

    _settle("its nodes do not know each other", lambda: all(map(knows_all, nodes)))
    for master, replica in zip(masters, replicas, strict=True):
        say(replica, "CLUSTER", "REPLICATE", say(master, "CLUSTER", "MYID").strip())
    _settle("a node does not serve its slots", lambda: all(map(serves_all, nodes)))


def _settle(trouble: str, is_settled: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SETTLE_SECONDS
    while not is_settled():
        if time.monotonic() > deadline:
            raise ServiceFailed(f"the Redis Cluster is not ready after {SETTLE_SECONDS:g} s: {trouble}")
        time.sleep(LOOK_SECONDS)
