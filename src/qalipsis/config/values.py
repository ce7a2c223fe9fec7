"""How the text of a setting becomes a value, and what to say when it does not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from qalipsis.config.durations import EXPECTED, seconds
from qalipsis.config.secret import Secret

_YES = frozenset({"true", "yes", "on", "1"})
_NO = frozenset({"false", "no", "off", "0"})


class Refused(ValueError):
    """Says why a value was refused, in words that do not contain the value: it may be a secret."""


@dataclass(frozen=True, slots=True)
class Form:
    """One kind of value: `read` raises ValueError for anything but what `expected` says."""

    expected: str
    read: Callable[[str], Any]
    is_list: bool = False
    is_table: bool = False
    is_rest: bool = False
    is_secret: bool = False

    def decode(self, value: Any) -> Any:
        """The typed value of what a source gives: a text or a list."""
        if not self.is_list:
            if not isinstance(value, str):
                raise ValueError
            return self.read(value)
        items = (
            value if isinstance(value, list) else [part.strip() for part in value.split(",") if part.strip()]
        )
        if any(isinstance(item, (list, dict)) or item is None for item in items):
            raise ValueError
        return tuple(self.read(item if isinstance(item, str) else str(item)) for item in items)


def _switch(text: str) -> bool:
    lowered = text.strip().lower()
    if lowered not in _YES | _NO:
        raise ValueError
    return lowered in _YES


def _duration(text: str) -> float:
    value = seconds(text)
    if value < 0:
        raise Refused("a duration cannot be negative")
    return value


def _verify_peer(text: str) -> None:
    if text.lower() not in ("none", "ca", "full", "true", "false"):
        raise ValueError


_REDIS_QUERY: dict[str, Callable[[str], object]] = {
    "verifyPeer": _verify_peer,
    "clientName": str,
    "timeout": _duration,
    "database": int,
}


def _redis_uri(text: str) -> Secret:
    parts = urlsplit(text)
    if parts.scheme not in ("redis", "rediss") or not parts.hostname:
        raise ValueError
    try:
        _ = parts.port
    except ValueError:
        raise Refused("the port must be a number from 0 to 65535") from None
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name not in _REDIS_QUERY:
            raise Refused(f"its query may hold {', '.join(_REDIS_QUERY)} only")
        try:
            _REDIS_QUERY[name](value)
        except ValueError:
            raise Refused(f"the {name} of its query is not understood") from None
    return Secret(text)


def _workers(text: str) -> int | None:
    if text.strip().lower() == "auto":
        return None
    count = int(text)
    if count < 0:
        raise ValueError
    return count


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise ValueError
    return value


TEXT = Form("text", str)
SHARE = Form("a share from 0 to 1, such as `0.05`", _share)
SECRET = Form("text", Secret, is_secret=True)
SWITCH = Form("`true` or `false`", _switch)
DURATION = Form(EXPECTED, _duration)
WORKERS = Form("`auto` or a whole number from 0", _workers)
REDIS_URI = Form(
    "a URI such as `redis://host:6379` or `rediss://user:password@host:6379`, "
    "special characters of the password written as `%40`",
    _redis_uri,
    is_secret=True,
)


def whole(least: int, most: int | None = None) -> Form:
    """A whole number within bounds, both included."""

    def read(text: str) -> int:
        number = int(text)
        if number < least or (most is not None and number > most):
            raise ValueError
        return number

    return Form(f"a whole number from {least}" + (f" to {most}" if most is not None else ""), read)


def number(above: float, most: float) -> Form:
    """A number greater than `above`, at most `most`."""

    def read(text: str) -> float:
        value = float(text)
        if not above < value <= most:
            raise ValueError
        return value

    return Form(f"a number above {above:g}, at most {most:g}", read)


def one_of(*choices: str) -> Form:
    """One of some words, whatever its case."""
    by_lower = {choice.lower(): choice for choice in choices}

    def read(text: str) -> str:
        choice = by_lower.get(text.strip().lower())
        if choice is None:
            raise ValueError
        return choice

    return Form("one of " + ", ".join(f"`{choice}`" for choice in choices), read)


def list_of(form: Form) -> Form:
    """A YAML list, or texts separated by commas."""
    return Form(f"a list, each item {form.expected}", form.read, is_list=True, is_secret=form.is_secret)


def table_of(form: Form) -> Form:
    """Keys of the user's own choice below this one."""
    return Form(form.expected, form.read, is_table=True)


def rest_of(form: Form) -> Form:
    """`<name>.<key>` of the user's own choice beside the other keys of the group."""
    return Form(form.expected, form.read, is_table=True, is_rest=True)
