"""Values that are used but never shown."""

from __future__ import annotations

import re

HIDDEN = "***"
_SECRET_WORD = re.compile(r"passw|secret|token|credential|api-?key|private-?key", re.IGNORECASE)
_URI_PASSWORD = re.compile(r"(?<=://)([^/@\s:]*):([^/\s]*)@")


class Secret:
    """A value whose `str` and `repr` are `***`; only `reveal()` gives it, so only where it is used."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __repr__(self) -> str:
        return HIDDEN

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __bool__(self) -> bool:
        return bool(self._value)


def is_secret(key: str) -> bool:
    """True for a key whose name says that its value must not be shown."""
    return _SECRET_WORD.search(key) is not None


def without_password(text: str) -> str:
    """The text with the password of every URI in it hidden."""
    return _URI_PASSWORD.sub(rf"\1:{HIDDEN}@", text)
