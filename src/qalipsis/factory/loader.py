"""Imports an author's files and finds the scenarios in them: only here that code enters a process."""

from __future__ import annotations

import sys
import sysconfig
import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, is_dataclass, replace
from hashlib import sha256
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

from qalipsis.errors import Mistake, ScenarioErrors
from qalipsis.language.chain import Chain
from qalipsis.language.location import Location
from qalipsis.language.scenario import Journey, Scenario
from qalipsis.plan.compiler import compile_chain
from qalipsis.plan.model import Plan
from qalipsis.plan.properties import Properties


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was found; `property_keys` are the configuration keys that `prop(...)` placeholders name."""

    plans: dict[str, Plan]
    property_keys: frozenset[str]


def load_plans(paths: Sequence[str | Path], values: Mapping[str, Any]) -> Loaded:
    """Import files, folders or importable modules and compile every scenario in them.

    Raises ScenarioErrors with every mistake of every file; user code runs while this does.
    """
    properties = Properties(values)
    mistakes: list[Mistake] = []
    found: dict[int, Chain[Any]] = {}
    for file in _files(paths, mistakes):
        module = _import(file, mistakes)
        if module is not None:
            _declare(module, properties)
            found.update(_chains(module, mistakes))
    if not found and not mistakes and not properties.mistakes:
        places = ", ".join(str(path) for path in paths)
        mistakes.append(
            Mistake(
                places,
                0,
                "no scenario is defined here",
                'a scenario is a module-level value: checkout = scenario("checkout")…',
            )
        )
    return compile_plans(found.values(), properties, mistakes)


def compile_plans(
    chains: Iterable[Chain[Any]], properties: Properties, mistakes: Sequence[Mistake] = ()
) -> Loaded:
    """The plans of these scenarios; raises ScenarioErrors with all their mistakes, and those found before."""
    mistakes = [*mistakes, *properties.mistakes]
    plans: dict[str, Plan] = {}
    named: dict[str, Location] = {}
    for chain in chains:
        plan, problems = compile_chain(chain, properties)
        mistakes.extend(problems)
        head = chain.head
        # Of those with other mistakes as well: all of a file are told at once.
        if head is not None and isinstance(head.name, str):
            first = named.setdefault(head.name, head.location)
            if first is not head.location:
                mistakes.append(
                    Mistake(
                        head.location.file,
                        head.location.line,
                        f"the scenario name {head.name!r} is used twice "
                        f"(first in {_shown(Path(first.file))}:{first.line})",
                        "rename one of them",
                    )
                )
        if plan is not None:
            plans[plan.name] = replace(plan, digest=_digest(plan.file))
    if mistakes:
        raise ScenarioErrors(tuple(replace(each, file=_shown(Path(each.file))) for each in mistakes))
    properties.freeze()
    return Loaded(plans, frozenset(properties.declared))


def _files(paths: Iterable[str | Path], mistakes: list[Mistake]) -> list[Path]:
    files: list[Path] = []
    for given in paths:
        path = Path(given)
        if path.is_dir():
            inside = sorted(
                file
                for file in path.rglob("*.py")
                if not any(part.startswith((".", "_")) for part in file.relative_to(path).parts)
            )
            if not inside:
                mistakes.append(
                    Mistake(str(path), 0, "the folder has no Python files", "name a file with scenarios")
                )
            files.extend(inside)
        elif path.is_file():
            files.append(path)
        else:
            origin = _module_file(str(given))
            if origin is None:
                mistakes.append(
                    Mistake(str(given), 0, "there is no such file, folder or module", "check the path")
                )
            else:
                files.append(origin)
    return list(dict.fromkeys(file.resolve() for file in files))


def _module_file(name: str) -> Path | None:
    try:
        spec = find_spec(name)
    except (ImportError, ValueError):
        return None
    return Path(spec.origin) if spec is not None and spec.origin and spec.has_location else None


def _import(file: Path, mistakes: list[Mistake]) -> ModuleType | None:
    shown = _shown(file)
    folder = str(file.parent)
    if folder not in sys.path:
        sys.path.insert(_behind_standard_library(), folder)
    name = file.stem
    known = sys.modules.get(name)
    if known is not None and getattr(known, "__file__", None) == str(file):
        return known
    if known is not None or name in sys.stdlib_module_names:
        name = f"scenarios_{sha256(str(file).encode()).hexdigest()[:8]}_{name}"
    spec = spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        mistakes.append(
            Mistake(shown, 0, "this is not a Python file", "scenarios are files that end with .py")
        )
        return None
    module = module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        del sys.modules[name]
        place = _shown(Path(error.filename)) if error.filename else shown
        text = (error.text or "").strip()
        mistakes.append(Mistake(place, error.lineno or 0, f"syntax error: {error.msg}", text))
    except KeyboardInterrupt:
        raise
    except (
        BaseException
    ) as error:  # whatever an author's module raises, sys.exit included, is that file's mistake
        del sys.modules[name]
        frames = traceback.extract_tb(error.__traceback__)
        own = [frame for frame in frames if frame.filename == str(file)]
        line = (own[-1].lineno or 0) if own else 0
        source = (own[-1].line or "") if own else ""
        mistakes.append(Mistake(shown, line, f"{type(error).__name__}: {error}", source))
    else:
        return module
    return None


def _declare(module: ModuleType, properties: Properties) -> None:
    """Resolve what the module describes beside its scenarios: a journey uses it only as it runs."""
    for value in vars(module).values():
        if is_dataclass(value) and not isinstance(value, type | Chain | Scenario | Journey):
            properties.resolve(value)


def _behind_standard_library() -> int:
    """Where an author's folder goes in the path, so that a file called http.py does not replace Python's."""
    standard = sysconfig.get_path("stdlib")
    places = [
        place
        for place, folder in enumerate(sys.path)
        if folder.startswith(standard) and "site-packages" not in folder
    ]
    return max(places, default=-1) + 1


def _chains(module: ModuleType, mistakes: list[Mistake]) -> dict[int, Chain[Any]]:
    """The module's scenarios by the id of their value, without those values that others extend."""
    values = list(vars(module).values())
    extended: set[int] = set()
    for value in values:
        if isinstance(value, Chain | Journey):
            previous = value.previous
            while previous is not None:
                extended.add(id(previous))
                previous = previous.previous
    final = [value for value in values if id(value) not in extended]
    chains = {id(value): value for value in final if isinstance(value, Chain) and value.head is not None}
    chains.update((id(value), value.chain()) for value in final if isinstance(value, Journey))
    started = {chain.head.location for chain in chains.values() if chain.head is not None}
    mistakes.extend(
        Mistake(
            value.head.location.file,
            value.head.location.line,
            f"the scenario {value.head.name!r} is never started",
            "add .start() and its steps",
        )
        for value in values
        if isinstance(value, Scenario) and value.head.location not in started
    )
    return chains


def _digest(file: str) -> str:
    try:
        return sha256(Path(file).read_bytes()).hexdigest()
    except OSError:
        return ""


def _shown(file: Path) -> str:
    """The path as the author knows it: relative where it lies below the working directory."""
    try:
        return str(file.relative_to(Path.cwd()))
    except ValueError:
        return str(file)
