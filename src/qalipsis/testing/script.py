"""One scenario, given as a value, as all that a worker loads."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import is_dataclass, replace
from inspect import getclosurevars
from typing import Any

from qalipsis.config.keys import nearest, words
from qalipsis.errors import ConfigurationError, Mistake, ScenarioErrors
from qalipsis.factory.loader import Loaded, compile_plans
from qalipsis.factory.properties import WorkerProperties
from qalipsis.language.chain import Chain
from qalipsis.language.scenario import Journey, Scenario
from qalipsis.plan.properties import Properties


class Script:
    """`minions` and `profile` replace what the scenario says, unless they are None.

    `settle` is called with what fills placeholders, once the scenario is compiled.
    """

    def __init__(
        self,
        scenario: Chain[Any] | Journey,
        minions: int | None,
        profile: Any,
        properties: Mapping[str, Any],
        settle: Callable[[Callable[[Any], Any]], None],
    ) -> None:
        self._chain = _chain(scenario, minions, profile)
        head = self._chain.head
        self.file = head.location.file if head is not None else ""
        """Where the scenario is written."""
        self._function = scenario.function if isinstance(scenario, Journey) else None
        self._properties = properties
        self._settle = settle

    def load(self, paths: Sequence[str], values: Mapping[str, Any]) -> Loaded:
        """In place of `load_plans`; raises ScenarioErrors."""
        # As they were given: what came through the worker's pipe was encoded.
        own = WorkerProperties(self._properties, os.environ)
        properties = Properties(own)
        for value in self._used():
            properties.resolve(value)
        loaded = compile_plans([self._chain], properties)
        self._settle(properties.resolve)
        return replace(loaded, property_keys=loaded.property_keys | self._keys_around(own))

    def check_keys(self, declared: Any) -> None:
        """Raises ConfigurationError for a property that the scenario does not read."""
        known = {words(key) for key in declared}
        for key in self._properties:
            if words(key) not in known:
                close = nearest(key, declared)
                hint = f"did you mean {close}?" if close else "no prop(…) of the scenario has this name"
                raise ConfigurationError(f"unknown property {key}\n    {hint}")

    def _used(self) -> Iterator[Any]:
        """The descriptions that a journey's function names, so that a client with placeholders stays one."""
        if self._function is None:
            return
        names = getclosurevars(self._function)
        for value in (*names.nonlocals.values(), *names.globals.values()):
            if _is_description(value):
                yield value

    def _keys_around(self, values: Mapping[str, Any]) -> set[str]:
        """The keys of what stands beside a journey: functions that it calls may use them."""
        around = Properties(values)
        for value in getattr(self._function, "__globals__", {}).values():
            if _is_description(value):
                around.resolve(value)
        return around.declared


def _is_description(value: Any) -> bool:
    return is_dataclass(value) and not isinstance(value, type | Chain | Scenario | Journey)


def _chain(scenario: Any, minions: int | None, profile: Any) -> Chain[Any]:
    if isinstance(scenario, Scenario):
        place, name = scenario.head.location, scenario.head.name
        raise ScenarioErrors(
            (
                Mistake(
                    place.file,
                    place.line,
                    f"the scenario {name!r} is never started",
                    "add .start() and its steps",
                ),
            )
        )
    chain = scenario.chain() if isinstance(scenario, Journey) else scenario
    if not isinstance(chain, Chain) or chain.head is None:
        raise TypeError(f"run_scenario takes a scenario or a journey, not {scenario!r}")
    changes: dict[str, Any] = {}
    if minions is not None:
        changes["minions"] = minions
    if profile is not None:
        changes["profile"] = profile
    return replace(chain, head=replace(chain.head, **changes))
