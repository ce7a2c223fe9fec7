"""Where settings come from: one file, the environment, the command line; each as entries with their place."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qalipsis.config.keys import Words, words
from qalipsis.errors import ConfigurationError, Mistake

FOLDERS = ("", "config")
_NULL = "tag:yaml.org,2002:null"
NAMES = ("qalipsis.yml", "qalipsis.yaml", "qalipsis.json")


@dataclass(frozen=True, slots=True)
class Place:
    """Where an entry stands; `line` is 0 outside files."""

    source: str
    line: int = 0

    def mistake(self, message: str, hint: str = "") -> Mistake:
        return Mistake(file=self.source, line=self.line, message=message, hint=hint)


@dataclass(frozen=True, slots=True)
class Entry:
    """One key as it was written.

    `value` is a list, None when nothing follows the key, else the text exactly as written: the setting's own
    type reads it, so a password of digits keeps its zeros. The items of a list are what YAML makes of them.
    """

    key: str
    value: Any = field(repr=False)
    place: Place


Entries = dict[Words, Entry]


def find_file(directory: Path) -> Path | None:
    """The configuration file of the directory, or of its `config` folder."""
    found = [
        directory / folder / name
        for folder in FOLDERS
        for name in NAMES
        if (directory / folder / name).is_file()
    ]
    if len(found) > 1:
        names = " and ".join(str(path.relative_to(directory)) for path in found)
        raise ConfigurationError(
            f"{names} both exist: put all settings into one of them and remove the other"
        )
    return found[0] if found else None


def file_entries(path: Path, shown: str) -> tuple[Entries, tuple[Mistake, ...]]:
    """The entries of a YAML or JSON file, nested keys flattened, with the mistakes found on the way."""
    import yaml

    try:
        text = path.read_text("utf-8-sig")
    except OSError as error:
        return {}, (Place(shown).mistake(f"cannot be read: {error.strerror}"),)
    except UnicodeDecodeError:
        return {}, (Place(shown).mistake("is not UTF-8 text", "save the file with the UTF-8 encoding"),)
    if path.suffix == ".json":
        # JSON may be indented with tabs, which YAML refuses; inside its strings a raw tab is not allowed.
        text = text.replace("\t", " ")
    try:
        loader = yaml.SafeLoader(text)
        root = loader.get_single_node()
        return _Flattener(loader, shown).flatten(root) if root is not None else ({}, ())
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 0
        problem = error.problem or error.context or "is not valid"
        hint = "check the indentation, the colons and the quotes on this line and the one before"
        return {}, (Place(shown, line).mistake(f"is not valid YAML: {problem}", hint),)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        problem = " ".join(str(error).split())
        return {}, (Place(shown).mistake(f"is not valid YAML: {problem}"),)


class _Flattener:
    """Walks the nodes of one document, because only nodes know their lines."""

    def __init__(self, loader: Any, shown: str) -> None:
        self._loader = loader
        self._shown = shown
        self._entries: Entries = {}
        self._mistakes: list[Mistake] = []
        self._open: list[int] = []

    def flatten(self, root: Any) -> tuple[Entries, tuple[Mistake, ...]]:
        if root.id == "mapping":
            self._walk(root, "")
        else:
            self._mistake(root, "holds no settings", "write one `key: value` per line")
        return self._entries, tuple(self._mistakes)

    def _walk(self, mapping: Any, prefix: str) -> None:
        if id(mapping) in self._open:
            self._mistake(mapping, f"{prefix.rstrip('.')} contains itself through an alias")
            return
        self._open.append(id(mapping))
        for key_node, node in mapping.value:
            if key_node.id != "scalar":
                self._mistake(key_node, "the key is a list or a group", "write a plain name before the colon")
            elif node.id == "mapping":
                self._walk(node, f"{prefix}{key_node.value}.")
            else:
                self._leaf(f"{prefix}{key_node.value}", key_node, node)
        self._open.pop()

    def _leaf(self, key: str, key_node: Any, node: Any) -> None:
        earlier = self._entries.get(words(key))
        if earlier is not None:
            hint = f"it stands on line {earlier.place.line} already; keep one of them"
            self._mistake(key_node, f"{key} is set a second time", hint)
            return
        try:
            value = self._value(node)
        except ValueError as error:
            self._mistake(node, f"{key} holds a value that cannot be: {error}", "quote it if it is a text")
            return
        self._entries[words(key)] = Entry(key, value, Place(self._shown, key_node.start_mark.line + 1))

    def _value(self, node: Any) -> Any:
        if node.id == "scalar":
            return None if node.tag == _NULL else node.value
        return self._loader.construct_object(node, deep=True)

    def _mistake(self, node: Any, message: str, hint: str = "") -> None:
        self._mistakes.append(Place(self._shown, node.start_mark.line + 1).mistake(message, hint))


def environment_entries(environment: Mapping[str, str]) -> Entries:
    """Every environment variable, under the key that its name spells."""
    return {
        words(name): Entry(name.lower().replace("_", "."), value, Place(f"environment variable {name}"))
        for name, value in environment.items()
    }


def command_line_entries(overrides: Iterable[str]) -> tuple[Entries, tuple[Mistake, ...]]:
    """The `key=value` of each `-c`; the last one of a key wins."""
    entries: Entries = {}
    mistakes: list[Mistake] = []
    for override in overrides:
        key, equals, value = override.partition("=")
        key = key.strip()
        if not equals or not words(key):
            mistakes.append(
                Place("command line").mistake(f"-c {key or override} sets nothing", "write `-c key=value`")
            )
            continue
        entries[words(key)] = Entry(key, value, Place(f"command line -c {key}"))
    return entries, tuple(mistakes)
