"""Replaces `prop(...)` placeholders by the configuration's values, wherever they stand in a description."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import timedelta
from typing import Any

from qalipsis.config.secret import is_secret
from qalipsis.errors import Mistake
from qalipsis.language.durations import seconds
from qalipsis.language.prop import Missing, Prop

TRUE = frozenset({"true", "yes", "on", "1"})
FALSE = frozenset({"false", "no", "off", "0"})


class Properties:
    """Resolves placeholders and remembers what it made, so that a shared client stays one object.

    Mistakes (a missing key, a value of the wrong type) are collected in `mistakes`, and the keys that
    placeholders name in `declared`.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values
        self._made: dict[int, tuple[Any, Any]] = {}
        self._broken: set[int] = set()
        self._is_frozen = False
        self.mistakes: list[Mistake] = []
        self.failures = 0
        """How often there was no value; a shared client is told once, and fails at each of its steps."""
        self.declared: set[str] = set()

    def freeze(self) -> None:
        """Remember nothing more: from now on descriptions are made as minions walk, and thrown away."""
        self._is_frozen = True

    def resolve(self, value: Any) -> Any:
        """The same value with every placeholder replaced; itself when there is none."""
        if isinstance(value, Prop):
            return self._lookup(value)
        if type(value) is tuple:
            return self._items(value, tuple)
        if type(value) is list:
            return self._items(value, list)
        if type(value) is dict:
            made = {key: self.resolve(item) for key, item in value.items()}
            return made if any(made[key] is not value[key] for key in value) else value
        if is_dataclass(value) and not isinstance(value, type):
            return self._dataclass(value)
        return value

    def _items(self, value: Any, make: Any) -> Any:
        made = make(self.resolve(item) for item in value)
        return made if any(new is not old for new, old in zip(made, value, strict=True)) else value

    def _dataclass(self, value: Any) -> Any:
        known = self._made.get(id(value))
        if known is not None:
            self.failures += id(value) in self._broken
            return known[1]
        before = self.failures
        changes = {}
        for field in fields(value):
            old = getattr(value, field.name)
            new = self.resolve(old)
            if new is not old:
                changes[field.name] = new
        made = replace(value, **changes) if changes else value
        if self._is_frozen:
            return made
        # The original is kept beside what was made of it: its id must not be given to another object.
        self._made[id(value)] = (value, made)
        if self.failures > before:
            self._broken.add(id(value))
        return made

    def _lookup(self, placeholder: Prop) -> Any:
        self.declared.add(placeholder.key)
        if placeholder.key not in self._values:
            if isinstance(placeholder.default, Missing):
                self._mistake(
                    placeholder,
                    f"the property {placeholder.key!r} is not configured and has no default",
                    f"set it with -c {placeholder.key}=… or in qalipsis.yml, or give prop(…) a default",
                )
                return None
            return self._convert(placeholder, placeholder.default)
        return self._convert(placeholder, self._values[placeholder.key])

    def _convert(self, placeholder: Prop, value: Any) -> Any:
        try:
            return convert(value, placeholder.type)
        except (TypeError, ValueError) as error:
            wanted = getattr(placeholder.type, "__name__", str(placeholder.type))
            shown, hint = ("***", "") if is_secret(placeholder.key) else (repr(value), str(error))
            self._mistake(
                placeholder, f"the property {placeholder.key!r} should be of type {wanted}, not {shown}", hint
            )
            return None

    def _mistake(self, placeholder: Prop, message: str, hint: str) -> None:
        self.failures += 1
        self.mistakes.append(Mistake(placeholder.location.file, placeholder.location.line, message, hint))


def convert(value: Any, wanted: Any) -> Any:
    """`value`, often text from a file or the command line, as the type the author asked for."""
    if wanted is timedelta:
        return timedelta(seconds=seconds(value))
    if wanted is bool and isinstance(value, str):
        if value.lower() in TRUE | FALSE:
            return value.lower() in TRUE
        raise ValueError("write true or false")
    if isinstance(wanted, type) and not isinstance(value, wanted):
        return wanted(value)
    return value
