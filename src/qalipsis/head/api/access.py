"""Who may do what: API keys, and what protects an API that needs none on this machine."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Collection
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from litestar.connection import ASGIConnection
from litestar.exceptions import NotAuthorizedException, PermissionDeniedException
from litestar.handlers import BaseRouteHandler
from litestar.middleware import AbstractAuthenticationMiddleware, AuthenticationResult
from litestar.types import ASGIApp

from qalipsis.head.api_keys import PERMISSIONS, KeyRing, is_right, parts_of

OPEN: Final = "is_open"
"""In the options of a handler that answers everybody."""

REMEMBERED_SECONDS: Final = 10.0
"""How long a key is not checked again; so long also works one that was revoked."""

MOST_REMEMBERED: Final = 1000


@dataclass(frozen=True, slots=True)
class User:
    name: str
    permissions: tuple[str, ...]


LOCAL: Final = User("local", PERMISSIONS["administrator"])
"""Whoever calls when no key is needed."""


class Gate:
    """Decides who a caller is, by the key that it sends."""

    def __init__(
        self, keys: KeyRing, needs_key: bool, host: str | None, origins: Collection[str] = ()
    ) -> None:
        """`host` is where the API listens on this machine only; None when others reach it too."""
        self.needs_key = needs_key
        self._keys = keys
        self._host = host
        self._origins = frozenset(origins)
        self._remembered: dict[bytes, tuple[float, User]] = {}

    async def user(self, headers: Any) -> User:
        """Raises NotAuthorizedException or PermissionDeniedException."""
        sent = _sent_key(headers)
        if sent is not None:
            return await self._owner(sent)
        if self.needs_key:
            raise NotAuthorizedException("an API key is needed: send `Authorization: Bearer KEY`")
        self._check_is_local(headers)
        return LOCAL

    def _check_is_local(self, headers: Any) -> None:
        # Without keys, any page that a browser of this machine shows could otherwise start campaigns.
        host, origin = headers.get("host", ""), headers.get("origin")
        if self._host is not None and not is_loopback(_name(host), self._host):
            raise PermissionDeniedException("this API is used under the name of this machine only")
        if origin is not None and origin not in self._origins and origin.partition("://")[2] != host:
            raise PermissionDeniedException(
                f"pages of {origin} may not use this API: see server.cors.origins"
            )

    async def _owner(self, sent: str) -> User:
        digest, now = hashlib.sha256(sent.encode("utf-8", "surrogateescape")).digest(), time.monotonic()
        until, user = self._remembered.get(digest, (0.0, LOCAL))
        if now < until:
            return user
        self._remembered.pop(digest, None)
        parts = parts_of(sent)
        key = None if parts is None else await self._keys.find(parts[0])
        if parts is None or key is None or key.revoked_at is not None:
            raise NotAuthorizedException("this API key is not valid")
        if not await asyncio.to_thread(is_right, key, parts[1]):
            raise NotAuthorizedException("this API key is not valid")
        user = User(key.name, PERMISSIONS.get(key.role, ()))
        if len(self._remembered) >= MOST_REMEMBERED:
            self._remembered.clear()
        self._remembered[digest] = (now + REMEMBERED_SECONDS, user)
        return user


class Authentication(AbstractAuthenticationMiddleware):
    """Lets the gate decide about each request that is not open to everybody."""

    def __init__(self, app: ASGIApp, gate: Gate) -> None:
        super().__init__(app, exclude_from_auth_key=OPEN)
        self._gate = gate

    async def authenticate_request(
        self, connection: ASGIConnection[Any, Any, Any, Any]
    ) -> AuthenticationResult:
        return AuthenticationResult(user=await self._gate.user(connection.headers), auth=None)


def check_permission(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
    """A guard: the handler's `permission` must be one of the user's."""
    needed = handler.opt.get("permission")
    if needed is not None and needed not in connection.user.permissions:
        raise PermissionDeniedException(f"this key lacks the permission {needed}")


def is_loopback(name: str, host: str = "localhost") -> bool:
    """Whether it is a name of this machine for itself, `host` being one of them."""
    if name.lower() in ("localhost", host.lower()):
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def _name(host: str) -> str:
    """The name in a Host header, without its port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _sent_key(headers: Any) -> str | None:
    scheme, _, key = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return str(key.strip())
    found = headers.get("x-api-key")
    return None if found is None else str(found)
