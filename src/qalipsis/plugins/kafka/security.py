"""How a client proves who it is, and sees that a broker is who it says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from os import PathLike, path
from typing import Any, Literal

HASHES = ("SHA-256", "SHA-512")


@dataclass(frozen=True, slots=True)
class Plain:
    """User and password, sent as they are: use TLS with it."""

    user: Any
    password: Any = field(repr=False)

    @property
    def mechanism(self) -> str:
        return "PLAIN"


@dataclass(frozen=True, slots=True)
class Scram:
    """User and password, proven without sending the password."""

    user: Any
    password: Any = field(repr=False)
    hash: Any = "SHA-512"

    @property
    def mechanism(self) -> str:
        return f"SCRAM-{self.hash}"


@dataclass(frozen=True, slots=True)
class Tls:
    """Which authorities are trusted, and the client's own certificate; all are paths of PEM files."""

    ca: Any = None
    cert: Any = None
    key: Any = None
    key_password: Any = field(default=None, repr=False)
    verify: Any = True


Sasl = Plain | Scram


def plain(user: str, password: str) -> Plain:
    """A login with SASL PLAIN."""
    return Plain(user, password)


def scram(user: str, password: str, hash: Literal["SHA-256", "SHA-512"] = "SHA-512") -> Scram:
    """A login with SASL SCRAM."""
    return Scram(user, password, hash)


def tls(
    ca: str | PathLike[str] | None = None,
    cert: str | PathLike[str] | None = None,
    key: str | PathLike[str] | None = None,
    key_password: str | None = None,
    verify: bool = True,
) -> Tls:
    """TLS with authorities of your own, or a certificate of the client; `verify=False` trusts anybody."""
    return Tls(ca, cert, key, key_password, verify)


def tls_of(given: Any) -> Tls | None:
    """What True, a CA's path, or a `Tls` stands for; None without TLS."""
    if given is None or given is False:
        return None
    if given is True:
        return Tls()
    return given if isinstance(given, Tls) else Tls(ca=given)


def tls_problems(what: str, given: Any) -> Iterator[str]:
    if given is None or isinstance(given, bool):
        return
    if not isinstance(given, Tls | str | PathLike):
        yield f"{what} tls={given!r} should be True, the path of a CA file or kafka.tls(...)"
        return
    settings = tls_of(given)
    assert settings is not None
    for name in ("ca", "cert", "key"):
        file = getattr(settings, name)
        if file is None:
            continue
        if not isinstance(file, str | PathLike):
            yield f"{what} tls {name}={file!r} should be the path of a PEM file"
        elif not path.isfile(file):
            yield f"{what} tls {name}: there is no file {str(file)!r}"
    if settings.key is not None and settings.cert is None:
        yield f"{what} tls has a key without its certificate; give cert= as well"
    if not isinstance(settings.verify, bool):
        yield f"{what} tls verify={settings.verify!r} should be True or False"


def sasl_problems(what: str, given: Any) -> Iterator[str]:
    if given is None:
        return
    if not isinstance(given, Plain | Scram):
        yield f"{what} sasl should be kafka.plain(user, password) or kafka.scram(user, password)"
        return
    for name in ("user", "password"):
        value = getattr(given, name)
        if not isinstance(value, str) or not value:
            yield f"{what} sasl: the {name} should be a text that is not empty"
    if isinstance(given, Scram) and given.hash not in HASHES:
        yield f'{what} sasl: SCRAM is used with "SHA-256" or "SHA-512", not {given.hash!r}'
