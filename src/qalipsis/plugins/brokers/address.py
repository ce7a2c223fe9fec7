"""Where a broker is and who logs in, out of the URL that an author writes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from qalipsis.language.addresses import shown_address


@dataclass(frozen=True, slots=True)
class Address:
    """A broker's address; shown as `host:port`, never with the password."""

    host: str
    port: int
    is_tls: bool
    user: str | None
    password: str | None = field(repr=False)
    path: str
    """Behind the first slash, decoded; empty when there is none."""

    def __str__(self) -> str:
        return shown_address(self.host, self.port)


@dataclass(frozen=True, slots=True)
class Scheme:
    port: int
    is_tls: bool


def parse_address(url: object, schemes: Mapping[str, Scheme]) -> Address:
    """Raises ValueError with a sentence that names neither user nor password."""
    first = next(iter(schemes))
    wanted = f"write a text such as '{first}://user:password@host:{schemes[first].port}'"
    if not isinstance(url, str):
        raise ValueError(f"{url!r} is no address; {wanted}")
    if re.search(r"[/?#].*@", url.partition("://")[2]):
        # Split at the slash, half of a password would pass for a host or a port, and be shown.
        raise ValueError("a / ? or # in a user or password is written %2F, %3F or %23")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise ValueError(f"{shown(url)!r} is no address; {wanted}") from None
    if re.search(r"[\s\x00-\x1f]", url):
        raise ValueError(f"{shown(url)!r} has a space or a control character; write %20 or the like")
    scheme = schemes.get(parts.scheme)
    if scheme is None:
        raise ValueError(f"{shown(url)!r} should begin with {' or '.join(f'{name}://' for name in schemes)}")
    if not parts.hostname:
        raise ValueError(f"{shown(url)!r} names no host; {wanted}")
    if parts.query or parts.fragment:
        raise ValueError(f"{shown(url)!r} has something behind ? or #, which is not read; leave it out")
    return Address(
        host=parts.hostname,
        port=port if port else scheme.port,
        is_tls=scheme.is_tls,
        user=None if parts.username is None else unquote(parts.username),
        password=None if parts.password is None else unquote(parts.password),
        path=unquote(parts.path[1:]),
    )


def shown(url: str) -> str:
    """The URL without user, password, and what may be part of a password with an @, / or # in it."""
    scheme, separator, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}" if separator else url.rpartition("@")[2]
