"""Finds the implementation of a kind of step among the installed distributions."""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points
from typing import Any

from qalipsis.errors import ConfigurationError

STEPS = "qalipsis.steps"
SOURCES = "qalipsis.sources"


@cache
def load(group: str, kind: str) -> Any:
    """The object that the entry point `kind` of `group` names; its driver is imported only now."""
    found = {point.name: point for point in entry_points(group=group)}
    if kind not in found:
        known = ", ".join(sorted(found)) or "none"
        raise ConfigurationError(f"nothing installed provides {kind!r} in {group!r}; installed: {known}")
    try:
        return found[kind].load()
    except ImportError as error:
        raise ConfigurationError(
            f"{kind!r} needs a package that is not installed ({error.name}): "
            f'pip install "qalipsis[{kind.split(".")[0]}]"'
        ) from error
