"""A simulated user in a worker."""

from __future__ import annotations

from collections.abc import MutableMapping
from random import Random
from typing import Any

from qalipsis.engine.scene import Scene
from qalipsis.engine.step import Resource
from qalipsis.engine.strand import Strand


class Minion:
    """Kept small: a hundred thousand of them idle in one worker, so what few need is made when first used."""

    __slots__ = (
        "_random",
        "_shelf",
        "has_failed",
        "index",
        "is_dry",
        "is_in_first_steps",
        "paces",
        "pass_started",
        "resources",
        "scene",
        "strand",
    )

    def __init__(self, index: int, scene: Scene) -> None:
        self.index = index
        self.scene = scene
        self.resources: dict[Any, Resource] = {}
        self.strand = Strand(scene.wheel)
        self.has_failed = False
        self.is_dry = False
        """True once it found no record left: its pass ends in order, and it walks no other."""
        self.pass_started = 0.0
        self.is_in_first_steps = False
        self.paces: dict[int, tuple[float, float]] | None = None
        """Per pace step: the last planned moment and the last period."""
        self._shelf: dict[str, Any] | None = None
        self._random: Random | None = None

    @property
    def shelf(self) -> MutableMapping[str, Any]:
        if self._shelf is None:
            self._shelf = {}
        return self._shelf

    @property
    def random(self) -> Random:
        if self._random is None:
            self._random = Random(f"{self.scene.seed}/{self.scene.scenario}/{self.index}")
        return self._random

    def __getitem__(self, name: str) -> Any:
        try:
            return self.shelf[name]
        except KeyError:
            kept = ", ".join(sorted(self.shelf)) or "nothing"
            raise KeyError(f"nothing is shelved as {name!r}; this minion keeps: {kept}") from None

    def __setitem__(self, name: str, value: Any) -> None:
        self.shelf[name] = value

    def __contains__(self, name: object) -> bool:
        return self._shelf is not None and name in self._shelf

    def close(self) -> None:
        """Give back what the minion holds."""
        for resource in self.resources.values():
            resource.close()
        self.resources.clear()
