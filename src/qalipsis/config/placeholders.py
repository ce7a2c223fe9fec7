"""Replaces `${other.key}`, `${ENV_NAME}` and `${name:default}` in configured values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from qalipsis.config.keys import Words, nearest, words
from qalipsis.config.secret import is_secret
from qalipsis.config.sources import Entries, Entry
from qalipsis.errors import Mistake


@dataclass(frozen=True, slots=True)
class Resolved:
    """A value without placeholders; `is_secret` when the key is secret or a secret went into the value."""

    value: Any = field(repr=False)
    is_secret: bool


class Unresolvable(Exception):
    """Carries the mistake of a placeholder that leads nowhere."""

    def __init__(self, mistake: Mistake) -> None:
        super().__init__(str(mistake))
        self.mistake = mistake


class Resolver:
    """Finds keys in the sources, the first that has one wins, and fills the placeholders of their values.

    `$${` stands for a literal `${`.
    """

    def __init__(self, command_line: Entries, environment: Entries, file: Entries) -> None:
        self._sources = (command_line, environment, file)
        self.used: set[Words] = set()
        """The keys some placeholder names; they are in use, whoever else knows them."""

    def find(self, key: Words) -> Entry | None:
        return next((entry for source in self._sources if (entry := source.get(key))), None)

    def resolve(self, entry: Entry) -> Resolved:
        """The entry's value with every placeholder filled; raises Unresolvable."""
        return self._entry(entry, ())

    def _entry(self, entry: Entry, trail: tuple[Words, ...]) -> Resolved:
        identity = words(entry.key)
        if identity in trail:
            circle = " → ".join(".".join(key) for key in (*trail[trail.index(identity) :], identity))
            raise Unresolvable(entry.place.mistake(f"the placeholders go round in a circle: {circle}"))
        value = self._value(entry.value, entry, (*trail, identity))
        return Resolved(value.value, value.is_secret or is_secret(entry.key))

    def _value(self, value: Any, entry: Entry, trail: tuple[Words, ...]) -> Resolved:
        if isinstance(value, str):
            return self._text(value, entry, trail)
        if isinstance(value, list):
            items = [self._value(item, entry, trail) for item in value]
            return Resolved([item.value for item in items], any(item.is_secret for item in items))
        if isinstance(value, Mapping):
            pairs = {key: self._value(item, entry, trail) for key, item in value.items()}
            return Resolved(
                {key: item.value for key, item in pairs.items()},
                any(item.is_secret for item in pairs.values()),
            )
        return Resolved(value, False)

    def _text(self, text: str, entry: Entry, trail: tuple[Words, ...]) -> Resolved:
        if "${" not in text:
            return Resolved(text, False)
        parts: list[Any] = []
        is_secret_inside = False
        position = 0
        while (start := text.find("${", position)) >= 0:
            if text[start - 1 : start] == "$" and start > position:
                parts.append(text[position : start - 1] + "${")
                position = start + 2
                continue
            end = _closing(text, start + 2)
            if end < 0:
                message = f"a placeholder of {entry.key} is not closed"
                raise Unresolvable(
                    entry.place.mistake(message, "end it with }, or write $${ for a literal ${")
                )
            parts.append(text[position:start])
            filled = self._placeholder(text[start + 2 : end], entry, trail)
            is_secret_inside = is_secret_inside or filled.is_secret
            parts.append(filled.value)
            position = end + 1
        parts.append(text[position:])
        filled_parts = [part for part in parts if part != ""]
        if len(filled_parts) == 1:
            return Resolved(filled_parts[0], is_secret_inside)
        return Resolved("".join(_as_text(part) for part in filled_parts), is_secret_inside)

    def _placeholder(self, inner: str, entry: Entry, trail: tuple[Words, ...]) -> Resolved:
        name, colon, default = inner.partition(":")
        identity = words(name)
        self.used.add(identity)
        target = self.find(identity)
        if target is entry:
            # `redis.uri: ${REDIS_URI:…}` names the environment variable of its own key.
            target = None
        if target is not None and target.value is not None:
            return self._entry(target, trail)
        if colon:
            return self._text(default, entry, trail)
        known = [found.key for found in (*self._sources[0].values(), *self._sources[2].values())]
        close = nearest(name, (key for key in known if words(key) not in trail))
        hint = f"did you mean ${{{close}}}? " if close else ""
        raise Unresolvable(
            entry.place.mistake(
                f"{entry.key} refers to ${{{name}}}, which neither the configuration nor the environment has",
                f"{hint}set it, or give a default: ${{{name}:…}}",
            )
        )


def _closing(text: str, start: int) -> int:
    depth = 1
    position = start
    while position < len(text):
        if text.startswith("${", position):
            depth += 1
            position += 1
        elif text[position] == "}":
            depth -= 1
            if not depth:
                return position
        position += 1
    return -1


def _as_text(part: Any) -> str:
    return ",".join(map(str, part)) if isinstance(part, list) else str(part)
