"""Keys of the REST API: what they look like, how they are kept, and what their owners may do."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Iterable
from datetime import datetime
from typing import Final, Protocol

from msgspec import Struct

from qalipsis.errors import ConfigurationError

PREFIX: Final = "qalipsis"

_READ: Final = ("read:campaign", "read:report", "read:scenario", "read:series", "read:time-series")
_TEST: Final = ("abort:campaign", "create:campaign", "write:campaign", "write:report", "write:series")

PERMISSIONS: Final = {
    "reader": tuple(sorted(_READ)),
    "tester": tuple(sorted(_READ + _TEST)),
    "administrator": tuple(sorted((*_READ, *_TEST, "write:series-prepared-queries"))),
}
"""What each role may do."""

# 16 MB and some 50 ms a time: who steals the table cannot try many, and nobody waits.
_COST: Final = {"n": 2**14, "r": 8, "p": 1}
_LONGEST_NAME: Final = 100


class ApiKey(Struct, frozen=True, kw_only=True):
    """A key as it is kept: `reference` is its part that is no secret, `hash` cannot be turned back."""

    reference: str
    name: str
    hash: str
    role: str
    creation: datetime | None = None
    revoked_at: datetime | None = None


class KeyRing(Protocol):
    """Where the keys are kept."""

    async def find(self, reference: str) -> ApiKey | None: ...


def new_key(name: str, role: str) -> tuple[ApiKey, str]:
    """A new key, and the text that its owner sends: it is not kept, and cannot be shown again."""
    if not name.strip() or len(name) > _LONGEST_NAME:
        raise ConfigurationError(f"the name of a key must have 1 to {_LONGEST_NAME} characters")
    if role not in PERMISSIONS:
        raise ConfigurationError(f"there is no role {role}; the roles are: {', '.join(PERMISSIONS)}")
    reference, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    return ApiKey(
        reference=reference, name=name, role=role, hash=_hash(secret, secrets.token_bytes(16))
    ), f"{PREFIX}_{reference}_{secret}"


def parts_of(text: str) -> tuple[str, str] | None:
    """The reference and the secret of a key's text; None when it is none."""
    match text.split("_", 2):
        case [prefix, reference, secret] if prefix == PREFIX and reference and secret:
            return reference, secret
        case _:
            return None


def is_right(key: ApiKey, secret: str) -> bool:
    """Whether the secret is the key's; takes a while, on purpose."""
    salt, _, _ = key.hash.partition("$")
    return hmac.compare_digest(_hash(secret, bytes.fromhex(salt)).encode(), key.hash.encode())


def not_there(reference: str, known: Iterable[str]) -> ConfigurationError:
    listed = ", ".join(sorted(known)) or "none"
    return ConfigurationError(f"there is no key {reference} to revoke; the keys are: {listed}")


def _hash(secret: str, salt: bytes) -> str:
    digest = hashlib.scrypt(secret.encode("utf-8", "surrogateescape"), salt=salt, **_COST)
    return f"{salt.hex()}${digest.hex()}"
