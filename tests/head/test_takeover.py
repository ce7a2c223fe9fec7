"""A campaign whose head dies goes on at another one, and nobody can tell from its report."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from qalipsis.cluster import topics
from qalipsis.cluster.codec import Sender
from qalipsis.cluster.messages import AssignFactory, DeclareMinions, StartMinions, StopWanted, WarmUp
from qalipsis.cluster.publisher import Publisher
from qalipsis.errors import TransportClosed
from qalipsis.head.meter_series import MeterQuery
from qalipsis.head.orchestrator import Orchestrator
from qalipsis.head.ownership import Fenced
from qalipsis.plan.model import ScenarioDescriptor
from qalipsis.reports.model import Report
from tests.head.stage import CLAIM_LEASE, LEASE, MortalStore, Stage, WalkingFactory, until, virtual

MINIONS = 12
SHOP = ScenarioDescriptor(name="shop", minions=MINIONS, profile="immediate")
MANY = 10_000


class Pair(Stage):
    """Two factories, with one worker and with two."""

    def __init__(
        self, seconds: int = 4, zones: tuple[str | None, str | None] = (None, None), **request: Any
    ) -> None:
        super().__init__(SHOP, lease=LEASE, required_factories=2, **request)
        self.a, self.b = (
            WalkingFactory(self.transport, SHOP, node=node, zone=zone, workers=workers, seconds=seconds)
            for node, workers, zone in zip("ab", (1, 2), zones, strict=True)
        )
        self.factory, self.others = self.a, [self.b]


def told(report: Report) -> dict[str, Any]:
    """All that does not depend on when it happened.

    When a head dies between its decision to start and the saying of it, everything begins later.
    """
    first = report.timeline[0].t_s
    return {
        "status": report.campaign.status,
        "verdict": report.verdict.value,
        "ledger": report.ledger,
        "executions": [step.executions for step in report.scenarios[0].steps],
        "messages": [message.text for message in report.scenarios[0].messages],
        "seconds": [(each.t_s - first, each.offered_per_s, each.achieved_per_s) for each in report.timeline],
        "factories": [(each.node, each.state, each.ledger) for each in report.factories],
    }


@virtual
async def undisturbed() -> tuple[dict[str, Any], int]:
    """The report when nobody dies, and how often the store is called for it."""
    stage = Pair()
    mortal = MortalStore(stage.store, MANY, has_effect=True)
    return told(await stage.play(stage.conduct_mortally(mortal))), mortal.calls


@pytest.fixture(scope="module")
def expected() -> dict[str, Any]:
    return undisturbed()[0]


def test_all_calls_of_the_store_are_died_at() -> None:
    assert 20 < undisturbed()[1] <= CALLS


CALLS = 60


@pytest.mark.parametrize("has_effect", [False, True])
@pytest.mark.parametrize("calls", range(1, CALLS + 1))
@virtual
async def test_wherever_a_head_dies_nothing_is_lost_or_doubled(
    calls: int, has_effect: bool, expected: dict[str, Any]
) -> None:
    stage = Pair()
    report = await stage.play(stage.conduct_mortally(MortalStore(stage.store, calls, has_effect)))
    assert told(report) == expected
    assert stage.store.reports["c-1"] == report
    for factory in (stage.a, stage.b):
        kinds = factory.heard_kinds()
        assert [kinds.count(kind) for kind in (AssignFactory, DeclareMinions, WarmUp, StartMinions)] == [
            1
        ] * 4
    assert sum(second.offered_per_s for second in report.timeline) == 4 * MINIONS


@pytest.mark.parametrize("has_effect", [False, True])
@pytest.mark.parametrize("calls", range(1, CALLS + 1, 6))
@virtual
async def test_wherever_a_head_dies_the_meters_of_zones_are_complete(calls: int, has_effect: bool) -> None:
    stage = Pair(zones=("east", "west"))
    await stage.play(stage.conduct_mortally(MortalStore(stage.store, calls, has_effect)))
    offered = {}
    for zones in ((), ("east",), ("west",)):
        query = MeterQuery(campaigns=("c-1",), names=("requests.offered",), zones=zones)
        offered[zones] = [each.count for each in await stage.store.meters(query) if each.count]
    assert offered == {(): [12] * 4, ("east",): [4] * 4, ("west",): [8] * 4}


@pytest.mark.parametrize("has_effect", [False, True])
@pytest.mark.parametrize("calls", range(1, 150, 7))
@virtual
async def test_a_head_and_a_factory_may_die_in_one_campaign(calls: int, has_effect: bool) -> None:
    stage = Pair(seconds=8)

    async def dying() -> None:
        await until(lambda: stage.a.heard_kinds()[-1:] == [StartMinions])
        await asyncio.sleep(2.5)
        stage.a.kill()

    death = asyncio.ensure_future(dying())
    report = await stage.play(stage.conduct_mortally(MortalStore(stage.store, calls, has_effect)))
    await death
    minions, requests = report.ledger.minions, report.ledger.requests
    assert (minions.completed, minions.lost, minions.restarted) == (MINIONS, 4, 4)
    assert requests.attempted == requests.ok + requests.error + requests.unknown
    assert requests.ok == 8 * MINIONS + 2 * 4
    assert requests.unknown == 4
    assert report.verdict.value == "DEGRADED"


async def die_in_mid_run(stage: Stage) -> None:
    """The first head of the campaign, as soon as there are requests."""
    first = asyncio.ensure_future(stage.conduct(stage.office_of("first")))
    await until(lambda: any(live.requests for live in stage.lives))
    first.cancel()
    await asyncio.wait([first])


class SlowStore:
    """A store that takes its time for everything."""

    def __init__(self, store: Any) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        async def call(*arguments: Any, **more: Any) -> Any:
            await asyncio.sleep(0.05)
            return await getattr(self._store, name)(*arguments, **more)

        return call


@virtual
async def test_heartbeats_that_waited_for_a_head_are_answered_at_once() -> None:
    """A lease ends by the last heartbeat that was answered, and the next one may come too late."""
    stage = Pair(seconds=8)

    async def conduct() -> Report:
        await die_in_mid_run(stage)
        before = len(stage.a.replies)
        await asyncio.sleep(CLAIM_LEASE)
        second = asyncio.ensure_future(stage.conduct(stage.office_of("second", store=SlowStore(stage.store))))
        await asyncio.sleep(0.5)
        assert len(stage.a.replies) - before >= int(CLAIM_LEASE)
        return await second

    await stage.play(conduct())


@virtual
async def test_what_is_reported_while_no_head_is_there_is_not_lost() -> None:
    """All is over when the second head comes."""
    stage = Pair()

    async def conduct() -> Report:
        await die_in_mid_run(stage)
        await asyncio.sleep(60)
        return await stage.conduct(stage.office_of("second"))

    report = await stage.play(conduct())
    assert report.ledger.requests.ok == 4 * MINIONS
    assert report.ledger.minions.completed == MINIONS
    assert report.verdict.value == "VALID"
    assert report.campaign.duration_s == pytest.approx(4, abs=0.1)


@virtual
async def test_a_stop_that_is_wanted_while_no_head_is_there_is_done_by_the_next() -> None:
    stage = Pair(seconds=60)

    async def conduct() -> Report:
        await die_in_mid_run(stage)
        wanted = StopWanted(is_hard=True, by="by anna", aborter="anna")
        await Publisher(stage.transport, Sender("desk", 1)).say(topics.feedback("c-1"), wanted, "c-1")
        await asyncio.sleep(CLAIM_LEASE)
        return await stage.conduct(stage.office_of("second"))

    report = await stage.play(conduct())
    assert (report.campaign.status, report.ledger.minions.aborted) == ("ABORTED", MINIONS)


@virtual
async def test_a_head_that_was_only_away_is_fenced_and_says_nothing_more() -> None:
    stage = Pair(seconds=8)

    class Away:
        """A store that answers nothing while it is away, and then goes on."""

        def __init__(self) -> None:
            self.back = asyncio.Event()
            self.back.set()

        def __getattr__(self, name: str) -> Any:
            async def call(*arguments: Any, **more: Any) -> Any:
                await self.back.wait()
                return await getattr(stage.store, name)(*arguments, **more)

            return call

    async def conduct() -> Report:
        store = Away()
        first = asyncio.ensure_future(stage.conduct(stage.office_of("first", store=store)))
        await until(lambda: any(live.requests for live in stage.lives))
        store.back.clear()
        await asyncio.sleep(CLAIM_LEASE + 0.1)
        second = asyncio.ensure_future(stage.conduct(stage.office_of("second")))
        await asyncio.sleep(0.5)
        store.back.set()
        with pytest.raises((Fenced, TransportClosed), match=r"another reader|owned by second now, epoch 2"):
            await first
        return await second

    report = await stage.play(conduct())
    assert report.ledger.requests.ok == 8 * MINIONS
    assert report.verdict.value == "VALID"
    assert stage.store.reports["c-1"] == report


@virtual
async def test_the_moments_of_a_campaign_travel_between_machines() -> None:
    """The monotonic clock of the next head may show anything."""
    stage = Pair(seconds=20)

    class Shifted:
        """The same time by a machine that started earlier."""

        def __init__(self) -> None:
            self.by = 5_000.0

        def now(self) -> float:
            return stage.clock.now() + self.by

        def epoch(self, at: float) -> float:
            return stage.clock.epoch(at - self.by)

        def cpu(self) -> float:
            return 0.0

        def call_at(self, when: float, callback: Any) -> Any:
            return stage.clock.call_at(when - self.by, callback)

    async def conduct() -> Report:
        await die_in_mid_run(stage)
        await asyncio.sleep(CLAIM_LEASE)
        office = replace(stage.office_of("second"), clock=Shifted())
        orchestrator = Orchestrator(office, await stage.own(office), stage.request, stage.lives.append)
        report = await orchestrator.run(await stage.store.checkpoint("c-1"))
        assert [live.elapsed_s for live in stage.lives] == sorted(live.elapsed_s for live in stage.lives)
        return report

    report = await stage.play(conduct())
    assert report.ledger.requests.ok == 20 * MINIONS
    assert report.campaign.duration_s == pytest.approx(20, abs=0.1)
    assert [second.t_s for second in report.timeline] == [float(t) for t in range(20)]
