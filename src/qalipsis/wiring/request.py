"""What is to be run on this machine."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qalipsis.config.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """A campaign on this machine: what to run, and everything the configuration says about it.

    `check_keys` is called with the configuration keys that the scenarios read, before anything starts; it
    raises when the configuration holds others that nobody knows. `environment` is added to what the report
    says of where the campaign ran.
    """

    paths: tuple[Path | str, ...]
    settings: Settings
    patterns: tuple[str, ...] = ()
    properties: Mapping[str, Any] = field(default_factory=dict)
    check_keys: Callable[[Collection[str]], None] = lambda keys: None
    environment: Mapping[str, Any] = field(default_factory=dict)
