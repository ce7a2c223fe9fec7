"""Loads the configuration: every mistake at once, each with its place and what to write instead."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qalipsis.config.keys import Words, below, nearest, words
from qalipsis.config.placeholders import Resolver, Unresolvable
from qalipsis.config.secret import HIDDEN, Secret, is_secret, without_password
from qalipsis.config.settings import AT_MOST_TOGETHER, IN_ORDER, Setting, Settings, build, every_setting
from qalipsis.config.sources import (
    Entries,
    Entry,
    command_line_entries,
    environment_entries,
    file_entries,
    find_file,
)
from qalipsis.config.values import Refused
from qalipsis.errors import ConfigurationError, Mistake


class Properties(Mapping[str, Any]):
    """What `prop(...)` looks up: the configured value of any key, placeholders filled.

    Scalars are texts, as written; lists are lists. A key may be spelt in every way the sources accept.
    Iterating shows the keys of the file and the command line; the environment holds much that is not ours.
    """

    def __init__(self, resolver: Resolver, command_line: Entries, file: Entries) -> None:
        self._resolver = resolver
        self._keys = tuple({**file, **command_line}.values())

    def __getitem__(self, key: str) -> Any:
        entry = self._resolver.find(words(key))
        if entry is None or entry.value is None:
            raise KeyError(key)
        try:
            return self._resolver.resolve(entry).value
        except Unresolvable as error:
            raise ConfigurationError(str(error.mistake)) from None

    def __iter__(self) -> Iterator[str]:
        return (entry.key for entry in self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def __repr__(self) -> str:
        return f"Properties({', '.join(self)})"


@dataclass(frozen=True, slots=True)
class Configuration:
    """The typed settings, and every configured key for the scenarios."""

    settings: Settings
    properties: Properties
    _unclaimed: tuple[Entry, ...] = field(repr=False)

    def check_unknown(self, declared: Iterable[str]) -> None:
        """Refuse the keys that are no setting, stand in no placeholder and are not `declared` by a scenario.

        Call it once the scenarios are loaded, with the keys of their `prop(...)`.
        """
        declared_keys = tuple(declared)
        declared_words = {words(key) for key in declared_keys}
        known = (*declared_keys, *(setting.key for setting in every_setting()))
        mistakes = [
            _unknown(entry, known) for entry in self._unclaimed if words(entry.key) not in declared_words
        ]
        _refuse(mistakes)


def load(
    directory: Path | None = None,
    environment: Mapping[str, str] | None = None,
    overrides: Iterable[str] = (),
) -> Configuration:
    """The configuration of a working directory; `overrides` are the `key=value` of the command line.

    Raises ConfigurationError with every mistake, unknown keys excepted: see `check_unknown`.
    """
    directory = directory or Path.cwd()
    path = find_file(directory)
    file, file_mistakes = file_entries(path, str(path.relative_to(directory))) if path else ({}, ())
    command_line, command_line_mistakes = command_line_entries(overrides)
    surroundings = environment_entries(os.environ if environment is None else environment)
    resolver = Resolver(command_line, surroundings, file)
    reader = _Reader(resolver, command_line, surroundings, file)
    values = reader.values()
    unclaimed = reader.unclaimed()
    _refuse([*file_mistakes, *command_line_mistakes, *reader.mistakes])
    return Configuration(build(values), Properties(resolver, command_line, file), unclaimed)


class _Reader:
    """Decodes every setting from the sources and notes which entries it has used."""

    def __init__(
        self, resolver: Resolver, command_line: Entries, surroundings: Entries, file: Entries
    ) -> None:
        self.mistakes: list[Mistake] = []
        self._resolver = resolver
        self._ours = {**file, **command_line}
        self._all = {**file, **surroundings, **command_line}
        self._claimed: set[Words] = set()
        self._groups = {
            words(setting.key)[:size]
            for setting in every_setting()
            for size in range(1, len(words(setting.key)) + setting.form.is_table)
        }

    def values(self) -> dict[tuple[str, ...], Any]:
        found: dict[tuple[str, ...], Any] = {}
        singles = [setting for setting in every_setting() if not setting.form.is_table]
        for setting in singles:
            identity = words(setting.key)
            self._claimed.add(identity)
            entry = self._resolver.find(identity)
            if entry is not None and entry.value is not None:
                self._decode(found, setting.path, setting, entry)
        for setting in every_setting():
            if setting.form.is_table and (table := self._table(setting)):
                found[setting.path] = table
        self._check_order(found)
        self._check_sums(found)
        self._check_targets(found)
        return found

    def unclaimed(self) -> tuple[Entry, ...]:
        """The entries of the file and the command line that are no setting, their placeholders checked."""
        rest = [entry for identity, entry in self._ours.items() if identity not in self._claimed]
        for entry in rest:
            if words(entry.key) in self._groups and entry.value is not None:
                self.mistakes.append(_group(entry))
                continue
            try:
                self._resolver.resolve(entry)
            except Unresolvable as error:
                self.mistakes.append(error.mistake)
        return tuple(
            entry
            for entry in rest
            if words(entry.key) not in self._resolver.used
            and not (words(entry.key) in self._groups and entry.value is None)
        )

    def _check_order(self, found: Mapping[tuple[str, ...], Any]) -> None:
        by_key = {setting.key: setting for setting in every_setting()}
        for low_key, high_key in IN_ORDER:
            low, high = by_key[low_key], by_key[high_key]
            least, most = found.get(low.path, low.default), found.get(high.path, high.default)
            if least is None or most is None or least <= most:
                continue
            entry = self._resolver.find(words(low_key)) or self._resolver.find(words(high_key))
            if entry is not None:
                hint = f"raise {high_key}, or lower {low_key}"
                self.mistakes.append(
                    entry.place.mistake(f"{low_key} ({least:g}) is greater than {high_key} ({most:g})", hint)
                )

    def _check_sums(self, found: Mapping[tuple[str, ...], Any]) -> None:
        by_key = {setting.key: setting for setting in every_setting()}
        for keys, most, reason in AT_MOST_TOGETHER:
            total = sum(found.get(by_key[key].path, by_key[key].default) for key in keys)
            entries = [self._resolver.find(words(key)) for key in keys]
            entry = next((each for each in entries if each is not None), None)
            if total > most and entry is not None:
                self.mistakes.append(
                    entry.place.mistake(
                        f"{' and '.join(keys)} are {total:g} together, which is more than {most:g}",
                        f"lower one of them: {reason}",
                    )
                )

    def _check_targets(self, found: Mapping[tuple[str, ...], Any]) -> None:
        """Nobody is to find out after a campaign that its events and meters went nowhere."""
        if found.get(("meters", "export", "enabled")) and (entry := self._find("meters.export.enabled")):
            hint = "leave it out; the store has the meters of each second, as time series of the REST API"
            self.mistakes.append(entry.place.mistake("meters.export: this version has no targets", hint))
        if not found.get(("events", "export", "enabled")):
            return
        for key in found.get(("events", "export", "targets"), {}):
            if entry := self._find(f"events.export.{key}"):
                hint = "leave it out; events are written to the log qalipsis.events"
                self.mistakes.append(entry.place.mistake(f"{entry.key}: this version has no targets", hint))

    def _find(self, key: str) -> Entry | None:
        return self._resolver.find(words(key))

    def _table(self, setting: Setting) -> dict[str, Any]:
        prefix = words(setting.key)
        table: dict[Any, Any] = {}
        for identity, entry in self._all.items():
            if identity in self._claimed or identity[: len(prefix)] != prefix or identity in self._groups:
                continue
            name = below(entry.key, prefix)
            if not name or (setting.form.is_rest and "." not in name):
                continue
            self._claimed.add(identity)
            if entry.value is not None:
                self._decode(table, name, setting, entry)
        if setting.form.is_rest:
            return {name: Secret(str(value)) if is_secret(name) else value for name, value in table.items()}
        return table

    def _decode(self, into: dict[Any, Any], name: Any, setting: Setting, entry: Entry) -> None:
        try:
            resolved = self._resolver.resolve(entry)
        except Unresolvable as error:
            self.mistakes.append(error.mistake)
            return
        try:
            into[name] = setting.form.decode(resolved.value)
        except ValueError as error:
            hidden = resolved.is_secret or setting.form.is_secret
            shown = HIDDEN if hidden else without_password(_shorten(resolved.value))
            reason = f" ({error})" if isinstance(error, Refused) else ""
            hint = f"write {setting.form.expected}; {setting.meaning[0].lower()}{setting.meaning[1:]}"
            self.mistakes.append(entry.place.mistake(f"{entry.key} cannot be {shown}{reason}", hint))


def _group(entry: Entry) -> Mistake:
    prefix = words(entry.key)
    members = [setting.key for setting in every_setting() if words(setting.key)[: len(prefix)] == prefix]
    return entry.place.mistake(
        f"{entry.key} is a group of settings, not a value", f"it holds {', '.join(members)}"
    )


def _unknown(entry: Entry, known: Iterable[str]) -> Mistake:
    close = nearest(entry.key, known)
    hint = f"did you mean {close}?" if close else "no setting and no prop(…) of the scenarios has this name"
    return entry.place.mistake(f"unknown key {entry.key}", hint)


def _shorten(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"


def _refuse(mistakes: Iterable[Mistake]) -> None:
    if found := sorted(set(mistakes)):
        raise ConfigurationError("\n".join(map(str, found)))
