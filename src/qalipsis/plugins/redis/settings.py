"""A client's options as the network side needs them, and everything that is wrong with them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote

from qalipsis.language.durations import duration_problems, seconds

DEFAULT_PORT = 6379
DEFAULT_TIMEOUT = "10s"
EXAMPLE = '"redis://localhost:6379/0"'
PARAMETERS = ("verifyPeer", "clientName", "timeout", "database")

Verify = Literal["full", "ca", "none"]
VERIFY: dict[str, Verify] = {"full": "full", "true": "full", "ca": "ca", "none": "none", "false": "none"}


@dataclass(frozen=True, slots=True, order=True)
class Address:
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Tls:
    verify: Verify
    """Check certificate and name, only the certificate, or nothing."""
    authorities: str | None
    """The path of a file or folder of CA certificates; None: those of the system."""
    cert: tuple[str, str | None] | None
    """The client's own: certificate and key."""


@dataclass(frozen=True, slots=True)
class Settings:
    addresses: tuple[Address, ...]
    is_cluster: bool
    username: str | None
    password: str | None = field(repr=False)
    database: int
    client_name: str | None
    timeout: float
    pool_size: int
    tls: Tls | None
    decode: bool

    @property
    def user(self) -> str:
        """Whom the service knows us as."""
        return self.username or "default"


@dataclass(frozen=True, slots=True)
class Url:
    """One address and what is written around it."""

    address: Address
    is_tls: bool
    username: str | None
    password: str | None = field(repr=False)
    database: str | None
    parameters: dict[str, str]

    @property
    def rest(self) -> tuple[Any, ...]:
        """Everything but the address: the same for all addresses of a cluster."""
        return (self.is_tls, self.username, self.password, self.database, self.parameters)


def parse_url(url: Any) -> Url:
    """Raises ValueError; the message never shows a password."""
    if not isinstance(url, str):
        raise ValueError(f"an address is a text such as {EXAMPLE}, not {url!r}")
    scheme, separator, rest = url.partition("://")
    if not separator or scheme not in ("redis", "rediss"):
        raise ValueError(f"{shown(url)!r} should begin with redis:// or, for TLS, rediss://")
    # The last @ ends the password, which may therefore contain any other sign as it is.
    credentials, _, place = rest.rpartition("@")
    username, _, password = credentials.partition(":")
    place, _, query = place.partition("?")
    place, _, database = place.partition("/")
    pairs = parse_qsl(query, keep_blank_values=True)
    return Url(
        _address(place, url),
        scheme == "rediss",
        unquote(username) or None,
        unquote(password) or None,
        database or None,
        dict(pairs),
    )


def shown(url: str) -> str:
    """The address without credentials and options."""
    scheme, separator, rest = url.partition("://")
    place = rest.rpartition("@")[2].partition("?")[0]
    return f"{scheme}{separator}{place}" if separator else url.rpartition("@")[2]


def _address(place: str, url: str) -> Address:
    if place.startswith("["):
        host, bracket, port = place[1:].partition("]")
        port = port.removeprefix(":")
        if not bracket:
            raise ValueError(f"{shown(url)!r} lacks the ] after its IPv6 address")
    else:
        host, _, port = place.partition(":")
    if not host:
        raise ValueError(f"{shown(url)!r} names no host; write for example {EXAMPLE}")
    if not port:
        return Address(host, DEFAULT_PORT)
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"{shown(url)!r} has no port between 1 and 65535")
    return Address(host, int(port))


def settle(client: Any) -> tuple[Settings | None, tuple[str, ...]]:
    """The checked options of a client, or every mistake in them, each as a sentence."""
    found: list[str] = []
    urls = _urls(client.url, found)
    first = urls[0] if urls else None
    parameters = first.parameters if first else {}

    def option(name: str, parameter: str, default: Any = None) -> Any:
        given = getattr(client, name)
        return parameters.get(parameter, default) if given is None else given

    cluster = client.cluster
    if cluster is not None and not isinstance(cluster, bool):
        found.append(f"redis.client cluster={cluster!r} should be True, False, or left out")
    is_cluster = len(urls) > 1 if cluster is None else bool(cluster)
    if len(urls) > 1 and not is_cluster:
        found.append("redis.client has several addresses and cluster=False; give one, or leave cluster out")
    database = _database(client.database, first, found)
    if is_cluster and database:
        found.append(f"a Redis cluster has only database 0, not {database}; leave the number out")
    timeout = option("timeout", "timeout", DEFAULT_TIMEOUT)
    problems = duration_problems("redis.client timeout", timeout)
    if not problems and seconds(timeout) == 0:
        problems = ["redis.client timeout should be above 0: nothing may wait for ever"]
    found += problems
    name = option("client_name", "clientName")
    if name is not None and (not isinstance(name, str) or not name or not name.isprintable() or " " in name):
        found.append(f"redis.client client_name={name!r} should be a text without spaces")
    size = client.pool_size
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        found.append(f"redis.client pool_size={size!r} should be a whole number of at least 1")
    for field_name in ("username", "password"):
        value = getattr(client, field_name)
        if value is not None and not isinstance(value, str):
            found.append(f"redis.client {field_name} should be a text")
        elif value is not None and first is not None and getattr(first, field_name) is not None:
            found.append(f"redis.client has a {field_name} in its address and as an option; leave one out")
    if not isinstance(client.decode, bool):
        found.append(f"redis.client decode={client.decode!r} should be True or False")
    tls = _tls(client, first, parameters, found)
    if found or first is None:
        return None, tuple(found)
    username = client.username or first.username
    password = client.password or first.password
    if username and not password:
        return None, (f"redis.client has the user {username!r} and no password; add one",)
    addresses = tuple(dict.fromkeys(url.address for url in urls))
    return Settings(
        addresses, is_cluster, username, password, database, name, seconds(timeout), size, tls, client.decode
    ), ()


def _urls(given: Any, found: list[str]) -> list[Url]:
    several = [given] if isinstance(given, str) or not isinstance(given, Sequence) else list(given)
    if not several:
        found.append(f"redis.client needs an address such as {EXAMPLE}")
    urls = []
    for url in several:
        try:
            urls.append(parse_url(url))
        except ValueError as error:
            found.append(f"redis.client: {error}")
    if any(url.rest != urls[0].rest for url in urls):
        found.append(
            "the addresses of a Redis cluster share user, password, database and options: write all alike"
        )
    known = ", ".join(PARAMETERS)
    found += [
        f"redis.client: {name!r} is no option of an address; known: {known}"
        for name in (urls[0].parameters if urls else ())
        if name not in PARAMETERS
    ]
    return urls


def _database(option: Any, first: Url | None, found: list[str]) -> int:
    in_path = first.database if first else None
    in_query = first.parameters.get("database") if first else None
    given = [value for value in (option, in_query, in_path) if value is not None]
    if len({str(value) for value in given}) > 1:
        found.append("redis.client names several databases; keep one of them")
    for value in given:
        if isinstance(value, bool) or not str(value).isdecimal():
            found.append(f"redis.client database={value!r} should be a whole number such as 0")
            return 0
    return int(given[0]) if given else 0


def _tls(client: Any, first: Url | None, parameters: dict[str, str], found: list[str]) -> Tls | None:
    if first is None:
        return None
    verify: Verify = "full"
    authorities = None
    peer = parameters.get("verifyPeer")
    if peer is not None:
        if peer.lower() not in VERIFY:
            found.append(f"redis.client verifyPeer={peer!r} should be one of full, ca and none")
        verify = VERIFY.get(peer.lower(), "full")
    if isinstance(client.verify, bool):
        if peer is not None and client.verify != (verify != "none"):
            found.append(f"redis.client verify={client.verify} contradicts verifyPeer={peer}; leave one out")
        verify = verify if client.verify else "none"
    elif client.verify is not None:
        authorities = _file("verify", client.verify, "True, False or the path of a CA file", found)
    cert = client.cert
    files: tuple[str, str | None] | None = None
    if cert is not None:
        several = cert if isinstance(cert, tuple) and len(cert) == 2 else (cert, None)
        paths = [_file("cert", path, "a path, or (certificate, key)", found) for path in several if path]
        files = (paths[0] or "", paths[1] if len(paths) > 1 else None)
    if not first.is_tls:
        if client.verify is not None or cert is not None:
            found.append("redis.client verify and cert are for TLS: write rediss:// in the address")
        return None
    return Tls(verify, authorities, files)


def _file(name: str, path: Any, wanted: str, found: list[str]) -> str | None:
    if not isinstance(path, str | PurePath):
        found.append(f"redis.client {name}={path!r} should be {wanted}")
    elif not os.path.exists(path):
        found.append(f"redis.client {name}: there is no file {os.fspath(path)!r}")
    else:
        return os.fspath(path)
    return None
