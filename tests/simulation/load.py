"""What the factories run: scenarios whose requests are counted where they arrive."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any, ClassVar, Protocol

from qalipsis import scenario
from qalipsis.engine.step import Fenced, StepContext, StepError, StepRuntime
from qalipsis.engine.traffic import Traffic
from qalipsis.factory.loader import Loaded, compile_plans
from qalipsis.head.campaign_configuration import CampaignConfiguration, ScenarioConfiguration
from qalipsis.language.spec import Spec
from qalipsis.plan.profile_override import (
    ArrivalRate,
    PercentageStages,
    ProfileOverride,
    Regular,
    StageOfShare,
)
from qalipsis.plan.properties import Properties


@dataclass(frozen=True)
class Send(Spec[Any, Any]):
    """One request that takes so long, and longer for some minions; now and then one fails.

    A step that says goodbye sends one more request when it is closed.
    """

    kind: ClassVar[str] = "simulation.send"
    scenario: str
    seconds: float
    is_last: bool = False
    failing: float = 0.0
    says_goodbye: bool = False


PACES = 4
"""Minions that begin together end apart, the slowest of so many in a row last."""

browse = (
    scenario("browse", minions=4)
    .start()
    .then(Send("browse", 0.1, says_goodbye=True))
    .named("look")
    .delay("1500ms")
    .then(Send("browse", 0.3))
    .named("buy")
    .delay("1800ms")
    .then(Send("browse", 0.05, is_last=True))
    .named("leave")
)
search = (
    scenario("search", minions=4)
    .start()
    .then(Send("search", 0.2))
    .named("find")
    .delay("300ms")
    .then(Send("search", 0.4, is_last=True, failing=0.1))
    .named("open")
)


@cache
def loaded() -> Loaded:
    return compile_plans([browse, search], Properties({}))


class Target(Protocol):
    """The service under load."""

    def receive(self, scenario: str, minion: int | None, is_last: bool) -> None:
        """A request has come, of a minion if there is one, and perhaps its last one."""

    def answer_last(self, scenario: str, minion: int) -> None:
        """The last request of a minion is answered."""


class CountedStep:
    """Sends what `Send` describes to a target that counts."""

    def __init__(self, spec: Send, target: Target) -> None:
        self._spec = spec
        self._target = target
        self._has_sent = False

    async def open(self, runtime: StepRuntime) -> None:
        self._traffic = Traffic(runtime)

    async def execute(self, context: StepContext) -> Any:
        return await self._traffic.request(lambda: self._send(context.minion.index))

    async def _send(self, minion: int) -> int:
        self._has_sent = True
        self._target.receive(self._spec.scenario, minion, self._spec.is_last)
        await asyncio.sleep(self._spec.seconds * (1 + minion % PACES))
        if self._spec.is_last:
            self._target.answer_last(self._spec.scenario, minion)
        every = round(1 / self._spec.failing) if self._spec.failing else 0
        if every and minion % every == every - 1:
            raise StepError("refused", "every tenth minion is refused")
        return minion

    async def aclose(self) -> None:
        """Counted when the last snapshot was taken, so that only the final accounts tell of it."""
        if self._spec.says_goodbye and self._has_sent:
            with suppress(Fenced):
                await self._traffic.request(self._say_goodbye)

    async def _say_goodbye(self) -> None:
        self._target.receive(self._spec.scenario, None, False)


def configuration(random: Random, zones: tuple[str, ...]) -> CampaignConfiguration:
    """Any campaign."""
    names = random.choice((("browse",), ("search",), ("browse", "search")))
    return CampaignConfiguration(
        name="simulated",
        scenarios={name: _scenario(random, name, zones) for name in names},
        start_offset_ms=random.choice((0, 200, 1000)),
        timeout=random.choice((None, None, None, "PT4S")),
        hard_timeout=random.random() < 0.5,
    )


def _scenario(random: Random, name: str, zones: tuple[str, ...]) -> ScenarioConfiguration:
    shares = None
    if zones and random.random() < 0.7:
        part = random.randint(1, 99)
        shares = dict(zip(zones, (part, 100 - part), strict=True))
    return ScenarioConfiguration(
        minions_count=random.randint(1, 12), zones=shares, execution_profile=_profile(random)
    )


def _profile(random: Random) -> ProfileOverride | None:
    match random.randrange(5):
        case 0:
            return PercentageStages(
                stages=(
                    StageOfShare(minions_percentage=100, ramp_up_duration_ms=1000, total_duration_ms=5000),
                )
            )
        case 1:
            return ArrivalRate(rate_per_second=random.choice((2, 5)), duration_ms=5000)
        case 2:
            return Regular(period_in_ms=400, minions_count_pro_launch=2)
        case _:
            return None
