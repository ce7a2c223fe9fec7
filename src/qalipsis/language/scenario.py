"""Scenarios and journeys: what the loader looks for at module level."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

from qalipsis.language import steps
from qalipsis.language.chain import Chain, Head, Written
from qalipsis.language.conditions import Claim
from qalipsis.language.location import Location, caller
from qalipsis.language.minion import Minion
from qalipsis.language.options import BackoffSpec, Options


@dataclass(frozen=True, eq=False)
class Scenario:
    """A scenario without its steps yet."""

    head: Head

    def setup(self, build: Callable[[Chain[None]], Chain[Any]]) -> Scenario:
        """Steps walked once per minion before its first pass, for example to log in."""
        return Scenario(replace(self.head, setup=build(Chain(None))))

    def aside(self, name: str, build: Callable[[Chain[None]], Chain[Any]]) -> Scenario:
        """Another root, walked by one minion that is no part of the load.

        With a source as its first step it is walked again for each record, otherwise once. Joins of the
        loaded branch name its steps. It is interrupted when the last loaded minion has ended.
        """
        aside = (name, build(Chain(None)), caller())
        return Scenario(replace(self.head, asides=(*self.head.asides, aside)))

    def start(self) -> Chain[None]:
        """The loaded branch: every minion walks it."""
        return Chain(self.head)


def scenario(
    name: str,
    minions: int | None = None,
    profile: Any = None,
    retry: BackoffSpec | None = None,
    description: str = "",
) -> Scenario:
    """Begin a scenario; nothing runs until a campaign does.

    `minions` is 1 by default; with absolute stages the stages' sum counts. `profile` is
    `profile.immediate()` by default. `retry` is the policy of plugin and execute steps that have none.
    """
    return Scenario(Head(name, minions, profile, retry, caller(), description))


@dataclass(frozen=True, eq=False)
class Journey:
    """A scenario in plain Python: one node of the plan, one call of the function per pass."""

    head: Head
    function: Callable[[Minion], Awaitable[None]]
    setup: Callable[[Minion], Awaitable[None]] | None
    expectations: tuple[tuple[Claim, bool], ...]
    previous: Journey | None = None

    def expect(self, *claims: Claim, abort: bool = False) -> Journey:
        """Conditions on fleet-wide aggregates of the journey's steps."""
        added = tuple((claim, abort) for claim in claims)
        return replace(self, expectations=self.expectations + added, previous=self)

    def chain(self) -> Chain[None]:
        """The same as a graph of one step, which is what the compiler compiles."""
        head = self.head
        if self.setup is not None:
            head = replace(head, setup=Chain(None, (self._walk("__setup", self.setup),)))
        return Chain(head, (self._walk(head.name, self.function),), self.expectations)

    def _walk(self, name: str, function: Callable[[Minion], Awaitable[None]]) -> Written:
        return Written(steps.Walk(name, function), self.head.location, Options(name=name))


def journey(
    name: str,
    minions: int | None = None,
    profile: Any = None,
    setup: Callable[[Minion], Awaitable[None]] | None = None,
    expect: tuple[Claim, ...] | list[Claim] = (),
    description: str = "",
) -> Callable[[Callable[[Minion], Awaitable[None]]], Journey]:
    """Make an async function of one minion a scenario."""
    location: Location = caller()
    if callable(name):
        # `@journey` without parentheses: it has no name, which is told with the file's other mistakes.
        return Journey(Head(None, None, None, None, location), name, None, ())  # type: ignore[return-value]

    def decorate(function: Callable[[Minion], Awaitable[None]]) -> Journey:
        head = Head(name, minions, profile, None, location, description or (function.__doc__ or "").strip())
        return Journey(head, function, setup, tuple((claim, False) for claim in expect))

    return decorate
