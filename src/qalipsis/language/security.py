"""TLS as authors ask for it: whose certificates are trusted, and which one the client shows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

Verify = bool | str | PurePath
Cert = str | PurePath | tuple[str | PurePath, str | PurePath]


@dataclass(frozen=True, slots=True)
class Security:
    """The options of a client once checked."""

    client: str
    """The function that the author called."""
    verify: bool | str
    """True, False, or the path of a file or folder of CA certificates."""
    cert: tuple[str, str | None] | None
    """The client's own certificate, and the key where that has a file of its own."""


def security(client: str, verify: Any, cert: Any) -> Security:
    """Of options without problems."""
    pair: tuple[str, str | None] | None = None
    if isinstance(cert, tuple | list):
        pair = os.fspath(cert[0]), os.fspath(cert[1])
    elif cert is not None:
        pair = os.fspath(cert), None
    return Security(client, verify if isinstance(verify, bool) else os.fspath(verify), pair)


def security_problems(client: str, verify: Any, cert: Any) -> Iterator[str]:
    if not isinstance(verify, bool):
        yield from _file_problems(f"{client} verify", verify, "True, False or the path of a CA file")
    if isinstance(cert, tuple | list):
        if len(cert) != 2:
            yield f"{client} cert has {len(cert)} items; write (certificate file, key file)"
        for path in cert:
            yield from _file_problems(f"{client} cert", path, "the path of a PEM file")
    elif cert is not None:
        yield from _file_problems(f"{client} cert", cert, "the path of a PEM file, or (certificate, key)")


def _file_problems(what: str, path: Any, expected: str) -> Iterator[str]:
    if not isinstance(path, str | PurePath):
        yield f"{what}={path!r} should be {expected}"
    elif not os.path.exists(path):
        yield f"{what}: there is no {os.fspath(path)!r}"
