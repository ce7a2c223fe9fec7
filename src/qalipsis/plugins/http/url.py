"""Where a request goes: addresses, paths and queries, as bytes on the wire need them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv6Address
from typing import Any
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

DEFAULT_PORTS = {"http": 80, "https": 443}
PROXY_PORTS = {"http": 3128, "socks5": 1080, "socks5h": 1080}

_PATH_SAFE = "/%:@!$&'()*+,;=~-._?"
_UNSAFE = re.compile(r"[^!$%&'()*+,\-./0-9:;=?@A-Z_a-z~]")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_BLANK = re.compile(r"[\s\x00-\x20]")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")
_HOST = re.compile(
    r"[A-Za-z0-9_]([A-Za-z0-9_\-]*[A-Za-z0-9_])?(\.[A-Za-z0-9_]([A-Za-z0-9_\-]*[A-Za-z0-9_])?)*\.?"
)


@dataclass(frozen=True, slots=True)
class Target:
    """One origin, and the path below which a client's requests stand.

    `host` is ASCII and without brackets, ready to be resolved; `host_header` is what the request says.
    """

    scheme: str
    host: str
    port: int
    prefix: str
    host_header: str
    is_tls: bool

    @property
    def origin(self) -> tuple[str, str, int]:
        """What decides whether two requests may share a connection or credentials."""
        return self.scheme, self.host, self.port

    def __str__(self) -> str:
        return f"{self.scheme}://{self.host_header}"


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy's address; `socks5h` leaves the names to the proxy, as `http` does."""

    scheme: str
    host: str
    port: int
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)


def parse_base(url: str) -> tuple[Target, tuple[str, str] | None]:
    """The target of a base URL, and the user and password written in it.

    Raises ValueError with a sentence for the author.
    """
    parts = _split(url)
    if parts.query or parts.fragment:
        raise ValueError(f"{shown(url)!r} should end with its path; give a query to the requests")
    return _target(parts, url, prefix=encode_path(parts.path).rstrip("/")), _credentials(parts)


def parse_proxy(url: str) -> Proxy:
    """Raises ValueError with a sentence for the author."""
    parts = _split(url, PROXY_PORTS, 'for example "http://proxy.example:3128" or "socks5://localhost"')
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError(f"the proxy {shown(url)!r} should have no path")
    user, password = _credentials(parts) or (None, None)
    host = _ascii_host(parts, url)
    return Proxy(parts.scheme, host, parts.port or PROXY_PORTS[parts.scheme], user, password)


def resolve(target: Target, path: str) -> tuple[Target, str]:
    """Target and request path (query included) of what an author writes as a path.

    A path stands below the prefix of the base URL, with or without a leading slash; an absolute URL
    replaces everything. Raises ValueError when it is neither.
    """
    if path[:1] == "/":
        return target, target.prefix + encode_path(path)
    if _SCHEME.match(path) and "://" in path:
        parts = _split(path)
        query = f"?{parts.query}" if parts.query else ""
        return _known(target, _target(parts, path, prefix="")), encode_path((parts.path or "/") + query)
    if path[:1] in ("", "?", "#"):
        return target, (target.prefix or "/") + encode_path(path)
    return target, f"{target.prefix}/{encode_path(path)}"


def follow(target: Target, path: str, location: str) -> tuple[Target, str]:
    """Target and path that a Location header means, seen from the request for `path` on `target`.

    Raises ValueError when it leads nowhere HTTP can go.
    """
    parts = _split(urljoin(f"{target}{path}", location.strip().replace(" ", "%20")))
    query = f"?{parts.query}" if parts.query else ""
    return _known(target, _target(parts, location, prefix="")), encode_path((parts.path or "/") + query)


def with_query(path: str, query: str) -> str:
    """The path with an encoded query added to the one it may have."""
    if not query:
        return path
    return f"{path}{'&' if '?' in path else '?'}{query}"


def encode_query(query: Any) -> str:
    """A query from a text that is encoded already, a mapping, or pairs.

    A list gives its name several times, None leaves the name out, True and False are written in lower case.
    """
    if query is None:
        return ""
    if isinstance(query, str):
        return encode_path(query.removeprefix("?"))
    return "&".join([f"{_escape(name)}={_escape(value)}" for name, value in pairs(query)])


def pairs(fields: Mapping[str, Any] | Sequence[tuple[str, Any]]) -> list[tuple[str, str]]:
    """Names and texts of a query or a form, in the order given; raises ValueError when it is neither."""
    if not _is_pairs(fields):
        raise ValueError(f"{fields!r} should be a mapping, or a list of pairs")
    items = fields.items() if isinstance(fields, Mapping) else fields
    flat = []
    for name, value in items:
        if isinstance(value, list | tuple | set | frozenset):
            flat += [(str(name), plain(one)) for one in value if one is not None]
        elif value is not None:
            flat.append((str(name), plain(value)))
    return flat


def plain(value: Any) -> str:
    """A value as the text of a query, a form or a header."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def encode_path(path: str) -> str:
    """The path and query, escaped where a request needs it and not twice; a fragment is cut off."""
    if _UNSAFE.search(path):
        path = quote(path.partition("#")[0], safe=_PATH_SAFE)
    if "%" in path:
        path = _BAD_ESCAPE.sub("%25", path)
    return path


def shown(url: str) -> str:
    """The URL without its user and password."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url
    authority, slash, path = rest.partition("/")
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"


def _is_pairs(fields: Any) -> bool:
    if isinstance(fields, Mapping):
        return True
    return isinstance(fields, list | tuple) and all(
        isinstance(p, tuple | list) and len(p) == 2 for p in fields
    )


def _escape(text: str) -> str:
    return text if text.isascii() and text.isalnum() else quote(text, safe="")


def _known(target: Target, other: Target) -> Target:
    """`target` itself when the other is the same origin, so that it can be recognised by identity."""
    return target if other.origin == target.origin else other


def _split(
    url: str, ports: Mapping[str, int] = DEFAULT_PORTS, example: str = 'for example "https://shop.example"'
) -> SplitResult:
    if not isinstance(url, str):
        raise ValueError(f"{url!r} is no URL; write it as text, {example}")
    if _BLANK.search(url.strip()):
        raise ValueError(f"{shown(url)!r} contains a space or a control character")
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError as error:
        raise ValueError(f"{shown(url)!r} is no URL: {error}") from None
    if parts.scheme not in ports:
        known = " or ".join(f"{scheme}://" for scheme in ports)
        raise ValueError(f"{shown(url)!r} should start with {known}, {example}")
    if not parts.hostname:
        raise ValueError(f"{shown(url)!r} names no host, {example}")
    if port == 0:
        raise ValueError(f"{shown(url)!r} names port 0")
    return parts


def _target(parts: SplitResult, url: str, prefix: str) -> Target:
    host = _ascii_host(parts, url)
    default = DEFAULT_PORTS[parts.scheme]
    port = parts.port or default
    name = f"[{host}]" if ":" in host else host
    return Target(
        scheme=parts.scheme,
        host=host,
        port=port,
        prefix=prefix,
        host_header=name if port == default else f"{name}:{port}",
        is_tls=parts.scheme == "https",
    )


def _ascii_host(parts: SplitResult, url: str) -> str:
    host = parts.hostname or ""
    if ":" in host:
        try:
            IPv6Address(host)
        except ValueError:
            raise ValueError(f"{shown(url)!r} has no valid IPv6 address between its brackets") from None
        return host
    try:
        host = host.encode("idna").decode("ascii") if not host.isascii() else host
    except UnicodeError:
        raise ValueError(f"the host of {shown(url)!r} is no domain name") from None
    if not _HOST.fullmatch(host):
        raise ValueError(f"the host of {shown(url)!r} is no domain name")
    return host


def _credentials(parts: SplitResult) -> tuple[str, str] | None:
    if parts.username is None:
        return None
    return unquote(parts.username), unquote(parts.password or "")
