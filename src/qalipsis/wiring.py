"""Builds concrete objects from the settings; nothing else names a transport or a store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from qalipsis.config.settings import Settings
from qalipsis.reports.live import Live
from qalipsis.reports.model import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """A campaign on this machine: what to run, and everything the configuration says about it.

    `check_keys` is called with the configuration keys that the scenarios read, before anything starts; it
    raises when the configuration holds others that nobody knows.
    """

    paths: tuple[Path | str, ...]
    settings: Settings
    patterns: tuple[str, ...] = ()
    properties: Mapping[str, Any] = field(default_factory=dict)
    check_keys: Callable[[Collection[str]], None] = lambda keys: None


class Run:
    """A prepared campaign: its scenarios are loaded, nothing has started yet."""

    async def wait(self) -> Report:
        """Run the campaign to its end; raises CampaignRefused or ServiceUnavailable when it cannot start."""
        raise NotImplementedError

    def stop(self, hard: bool) -> None:
        """Softly: running passes end; hard: everything is interrupted. May be called again, at any time."""
        raise NotImplementedError


@asynccontextmanager
async def open_run(request: RunRequest, watch: Callable[[Live], None]) -> AsyncIterator[Run]:
    """Start the workers and load the scenarios; leaves no process behind.

    Raises ScenarioErrors with every mistake of the scenarios, and ConfigurationError. `watch` is called each
    second while the campaign runs.
    """
    yield Run()
