"""Who a request says it comes from."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, overload

from qalipsis.language.context import Context

Seen = TypeVar("Seen", contravariant=True)


@dataclass(frozen=True, slots=True)
class Basic:
    """User name and password, sent with every request."""

    user: Any = field(repr=False)
    password: Any = field(repr=False)


@dataclass(frozen=True, slots=True)
class Bearer(Generic[Seen]):
    """A token, or a function that finds it in the value or in (context, value)."""

    token: Any = field(repr=False)


def basic(user: str, password: str) -> Basic:
    """Basic authentication."""
    return Basic(user, password)


@overload
def bearer(token: str) -> Bearer[object]: ...
@overload
def bearer(token: Callable[[Seen], str]) -> Bearer[Seen]: ...
@overload
def bearer(token: Callable[[Context, Seen], str]) -> Bearer[Seen]: ...
def bearer(token: Any) -> Bearer[Any]:
    """Bearer authentication, with a token or a function that finds it."""
    return Bearer(token)


def basic_credentials(user: str, password: str) -> str:
    """The value of an Authorization or Proxy-Authorization header."""
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()
