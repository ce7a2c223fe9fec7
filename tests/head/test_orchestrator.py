"""A campaign driven over the memory transport, against a factory that the test plays."""

from collections.abc import Callable, Coroutine
from typing import Any

import msgspec
import pytest

from qalipsis.cluster.messages import (
    AbortCampaign,
    AssignFactory,
    CloseCampaign,
    DeclareMinions,
    Fault,
    Final,
    HandshakeAccepted,
    Message,
    SnapshotTaken,
    StartMinions,
    StopScenario,
    WarmUp,
    WorkerState,
)
from qalipsis.config.settings import StageLimits
from qalipsis.errors import CampaignRefused, FactoryError, ScenarioErrors, ServiceUnavailable
from qalipsis.head.limits import Limits
from qalipsis.head.meter_series import MeterQuery
from qalipsis.head.scenario_request import ScenarioRequest
from qalipsis.head.zones import Zone
from qalipsis.metrics.expectations import Condition
from qalipsis.metrics.meters import WorkerMeters
from qalipsis.plan.model import ExpectationDescriptor, ScenarioDescriptor
from qalipsis.plan.ownership import ownership_of
from qalipsis.plan.profile_override import PercentageStages, StageOfCount, StageOfShare, Stages
from qalipsis.reports.model import Report
from tests.head.stage import SHOP, PlayedFactory, Stage, row, virtual


@virtual
async def test_a_campaign_is_driven_to_its_report() -> None:
    stage = Stage()
    report = await stage.play()
    assert stage.factory.heard_kinds() == [
        HandshakeAccepted,
        AssignFactory,
        DeclareMinions,
        WarmUp,
        StartMinions,
        CloseCampaign,
    ]
    assert [state for state, _ in stage.store.states["c-1"]] == [
        "PREPARING",
        "ASSIGNING",
        "WARMUP",
        "RUNNING",
        "DRAINING",
        "COMPLETED",
    ]
    assert (report.campaign.key, report.campaign.name, report.campaign.seed) == ("c-1", "nightly", 7)
    assert (report.campaign.status, report.verdict.value) == ("SUCCESSFUL", "VALID")
    assert report.ledger.minions.completed == 2
    assert stage.store.reports["c-1"] == report
    assert [live.state for live in stage.lives][:3] == ["PREPARING", "ASSIGNING", "WARMUP"]


@virtual
async def test_the_fleet_and_its_minions_are_told() -> None:
    stage = Stage(minions_factor=2.5, speed_factor=3.0)
    await stage.play()
    assigned = next(message for message in stage.factory.heard if isinstance(message, AssignFactory))
    declared = next(message for message in stage.factory.heard if isinstance(message, DeclareMinions))
    assert assigned == AssignFactory(campaign="c-1", zones=(1,), first_worker=0, seed=7, speed_factor=3.0)
    assert declared == DeclareMinions(minions={"shop": 5})


@virtual
async def test_only_the_chosen_scenarios_are_run() -> None:
    stage = Stage(SHOP, ScenarioDescriptor(name="search", minions=1, profile="immediate"), patterns=("sh*",))
    report = await stage.play()
    assert [scenario.name for scenario in report.scenarios] == ["shop"]


@virtual
async def test_a_pattern_that_matches_nothing_is_refused() -> None:
    stage = Stage(patterns=("shpo",))
    with pytest.raises(ScenarioErrors, match=r"matches no scenario[\s\S]*shop"):
        await stage.play()
    assert stage.store.states["c-1"][-1][0] == "FAILED"


@virtual
async def test_too_many_minions_are_refused() -> None:
    with pytest.raises(CampaignRefused, match="max-minions-count"):
        await Stage(limits=Limits(max_minions=1)).play()


@pytest.mark.parametrize(("planned_s", "last_start_s"), [(61.0, 0.0), (None, 61.0)])
@virtual
async def test_too_long_a_campaign_is_refused(planned_s: float | None, last_start_s: float) -> None:
    stage = Stage(limits=Limits(max_duration=60.0))
    stage.factory.on[DeclareMinions] = lambda: [
        WorkerState(worker=0, pid=41, planned_s=planned_s, last_start_s=last_start_s)
    ]
    with pytest.raises(CampaignRefused, match="max-execution-duration"):
        await stage.play()


@pytest.mark.parametrize(
    ("directive", "cause", "error"),
    [
        (DeclareMinions, "refused", CampaignRefused),
        (DeclareMinions, "failed", FactoryError),
        (WarmUp, "unavailable", ServiceUnavailable),
    ],
)
@virtual
async def test_a_factory_that_cannot_refuses_the_campaign(
    directive: type[Any], cause: str, error: type[Exception]
) -> None:
    stage = Stage()
    stage.factory.answers[directive] = (cause, "shop.example:80 does not answer")
    with pytest.raises(error, match=r"shop.example:80 does not answer"):
        await stage.play()
    assert stage.store.states["c-1"][-1][0] == "FAILED"


def stopping(stage: Stage, *are_hard: bool) -> Callable[[], list[Message]]:
    def stop() -> list[Message]:
        for is_hard in are_hard:
            stage.stop(is_hard)
        return []

    return stop


def ending(stage: Stage) -> Callable[[], list[Message]]:
    return lambda: [stage.factory.ended()]


@virtual
async def test_a_soft_stop_lets_passes_end() -> None:
    stage = Stage()
    stage.factory.on[StartMinions] = stopping(stage, False)
    stage.factory.on[StopScenario] = ending(stage)
    report = await stage.play()
    assert AbortCampaign not in stage.factory.heard_kinds()
    assert report.campaign.status == "ABORTED"
    assert [message.text for message in report.scenarios[0].messages] == ["stopped softly by the user"]


@virtual
async def test_a_soft_stop_becomes_hard_when_passes_do_not_end() -> None:
    stage = Stage()
    stage.factory.on[StartMinions] = stopping(stage, False)
    stage.factory.on[AbortCampaign] = ending(stage)
    report = await stage.play()
    assert AbortCampaign in stage.factory.heard_kinds()
    assert report.campaign.status == "ABORTED"


@virtual
async def test_stopping_in_every_state_and_twice_is_harmless() -> None:
    for directive in (AssignFactory, DeclareMinions, WarmUp, StartMinions, CloseCampaign):
        stage = Stage()
        before = stage.factory.on.get(directive, list)
        stop = stopping(stage, True, True)
        stage.factory.on[directive] = lambda before=before, stop=stop: stop() or before()  # type: ignore[misc]
        stage.factory.on[AbortCampaign] = ending(stage)
        report = await stage.play()
        assert report.campaign.status == ("SUCCESSFUL" if directive is CloseCampaign else "ABORTED")


def snapshots(count: int, failed: int = 0) -> list[Message]:
    """Snapshots of one worker, as they come: each in two pieces, and each twice."""
    meters = WorkerMeters()
    pieces: list[Message] = []
    for second in range(1, count + 1):
        step = meters.step("shop", "order", "http.request")
        step.attempted += 10
        step.successful += 10 - failed
        for _ in range(failed):
            step.fail("verify", "wrong")
        body = msgspec.msgpack.encode(meters.freeze(second, second + 0.001))
        halves = (body[:100], body[100:])
        for _ in range(2):
            pieces += [
                SnapshotTaken(worker=0, piece=place, pieces=2, data=half) for place, half in enumerate(halves)
            ]
    return pieces


@virtual
async def test_snapshots_are_put_together_and_counted_once() -> None:
    stage = Stage()
    stage.factory.on[StartMinions] = lambda: [*snapshots(3), stage.factory.ended()]
    report = await stage.play()
    assert report.scenarios[0].steps[0].executions.attempted == 30
    assert [second.t_s for second in report.timeline] == [0.0, 1.0, 2.0]


@virtual
async def test_the_meters_of_each_second_are_kept() -> None:
    stage = Stage()
    stage.factory.on[StartMinions] = lambda: [*snapshots(3), stage.factory.ended()]
    await stage.play()
    meters = await stage.store.meters(MeterQuery(campaigns=("c-1",), names=("minions.count",)))
    seconds = await stage.store.seconds("c-1")
    assert seconds
    assert [each.value for each in meters] == [float(each.minions) for each in seconds]


@virtual
async def test_a_broken_snapshot_is_set_aside() -> None:
    stage = Stage()
    broken = SnapshotTaken(worker=0, piece=0, pieces=1, data=b"\xc1")
    stage.factory.on[StartMinions] = lambda: [broken, *snapshots(1), stage.factory.ended()]
    report = await stage.play()
    assert report.scenarios[0].steps[0].executions.attempted == 10
    assert any("could not be read" in notice for notice in stage.lives[-1].notices)


@virtual
async def test_a_violated_condition_that_aborts_stops_the_campaign() -> None:
    condition = Condition(statistic="value", operator="is_less_than", bounds=(0.1,))
    expectation = ExpectationDescriptor(step="order", measure="failed_share", condition=condition, abort=True)
    stage = Stage(msgspec.structs.replace(SHOP, expectations=(expectation,)))
    stage.factory.on[StartMinions] = lambda: snapshots(1, failed=5)
    stage.factory.on[StopScenario] = ending(stage)
    report = await stage.play()
    assert report.campaign.status == "FAILED"
    assert "failed share of order is less than 0.1" in report.scenarios[0].messages[0].text
    assert any("failed share of order" in notice for notice in stage.lives[-1].notices)


@virtual
async def test_a_lost_worker_is_named_with_when_and_how() -> None:
    stage = Stage()
    lost = {"shop": row(minions_started=2, minions_completed=1, requests_attempted=3, requests_ok=1)}

    def die() -> list[Message]:
        return [
            Fault(worker=0, pid=41, reason="was killed by SIGKILL", at=stage.factory.epoch(), ledgers=lost),
            stage.factory.ended(),
        ]

    stage.factory.on[StartMinions] = die
    stage.factory.on[CloseCampaign] = lambda: [Final(last_sequence=0, ledgers={0: lost})]
    report = await stage.play()
    assert report.verdict.value == "DEGRADED"
    reason, consequence = report.verdict.reasons
    assert reason.startswith("worker 0 of node (process 41) was killed by SIGKILL, 0.")
    assert consequence.endswith("were not started again: no worker of their zone is left")
    assert (report.ledger.minions.lost, report.ledger.requests.unknown) == (1, 2)
    assert any("SIGKILL" in notice for notice in stage.lives[-1].notices)


@virtual
async def test_without_factories_the_campaign_says_what_is_missing() -> None:
    stage = Stage(required_factories=2, factories_timeout=0.1)
    with pytest.raises(FactoryError, match="1 of the 2 required factories"):
        await stage.play()


class ZonedStage(Stage):
    """Three factories: `a` and `b` with a worker and three in zone east, `c` with two in zone west.

    Each walks the minions that it is due by what it is told, in the way of a real one.
    """

    def __init__(self, **request: Any) -> None:
        super().__init__(required_factories=3, **request)
        self.factories = {
            node: PlayedFactory(self.transport, SHOP, node=node, zone=zone, workers=workers)
            for node, zone, workers in (("a", "east", 1), ("b", "east", 3), ("c", "west", 2))
        }
        for factory in self.factories.values():
            factory.on[CloseCampaign] = lambda factory=factory: [self._final(factory)]  # type: ignore[misc]
        self.factory, *self.others = self.factories.values()

    def _final(self, factory: PlayedFactory) -> Final:
        assigned = next(message for message in factory.heard if isinstance(message, AssignFactory))
        declared = next(message for message in factory.heard if isinstance(message, DeclareMinions))
        minions = declared.minions["shop"]
        ownership = ownership_of(assigned.zones, declared.shares.get("shop"), minions)
        ledgers = {}
        for worker in range(factory.workers):
            own = ownership.count(assigned.first_worker + worker, 0, minions)
            done = dict.fromkeys(
                ("minions_started", "minions_completed", "passes_started", "passes_completed"), own
            )
            ledgers[worker] = {"shop": row(**done)}
        return Final(last_sequence=0, ledgers=ledgers)

    async def play(self, conduct: Coroutine[Any, Any, Report] | None = None) -> Report:
        for key in ("east", "west", "south"):
            await self.store.add_zone(Zone(key=key, title=key))
        await self.store.add_zone(Zone(key="north", title="north", enabled=False))
        return await super().play(conduct)


@virtual
async def test_the_shares_of_zones_are_followed_to_the_minion() -> None:
    stage = ZonedStage(scenarios={"shop": ScenarioRequest(minions=1_001, zones={"west": 33, "east": 67})})
    report = await stage.play()
    [scenario] = report.scenarios
    assert scenario.zones == {"east": 671, "west": 330}
    assert [factory.ledger.minions.completed for factory in report.factories] == [168, 503, 330]
    assert report.ledger.minions.completed == report.ledger.minions.scheduled == 1_001
    assert (report.campaign.status, report.verdict.value) == ("SUCCESSFUL", "VALID")


@virtual
async def test_without_zones_all_workers_are_alike() -> None:
    report = await ZonedStage(scenarios={"shop": ScenarioRequest(minions=60)}).play()
    assert [factory.ledger.minions.completed for factory in report.factories] == [10, 30, 20]
    assert report.scenarios[0].zones == {"east": 40, "west": 20}


@virtual
async def test_factories_of_other_zones_take_no_part() -> None:
    stage = ZonedStage(scenarios={"shop": ScenarioRequest(minions=10, zones={"west": 100})})
    report = await stage.play()
    assert [factory.node for factory in report.factories] == ["c"]
    assert report.ledger.minions.completed == 10
    assert stage.factories["a"].heard_kinds() == [HandshakeAccepted]


@virtual
async def test_zones_that_cannot_be_used_are_refused_with_what_there_is() -> None:
    stage = ZonedStage(scenarios={"shop": ScenarioRequest(zones={"north": 50, "south": 30, "eats": 19})})
    with pytest.raises(CampaignRefused) as refused:
        await stage.play()
    assert str(refused.value).splitlines() == [
        "shop: the shares of its zones sum to 99 % instead of 100 %; add 1 to one of them",
        "shop: zone north is disabled",
        "shop: zone south has no factory; start one with factory.zone: south, or choose another zone",
        "shop: there is no zone eats",
        "the zones and their factories are east: a, b; north (disabled): no factory; south: no factory; "
        "west: c",
    ]
    assert stage.store.states["c-1"][-1][0] == "FAILED"


@virtual
async def test_a_profile_that_is_asked_for_travels_and_is_reported() -> None:
    override = Stages(
        stages=(StageOfCount(minions_count=4, ramp_up_duration_ms=100, total_duration_ms=60_000),)
    )
    stage = ZonedStage(scenarios={"shop": ScenarioRequest(minions=4, profile=override)})
    report = await stage.play()
    declared = next(message for message in stage.factory.heard if isinstance(message, DeclareMinions))
    assert (declared.minions, declared.profiles) == ({"shop": 4}, {"shop": override})
    assert report.scenarios[0].profile.startswith("stages: 4 minions over 100 ms of 60 s")


@pytest.mark.parametrize(
    ("name", "asked", "reason"),
    [
        ("shpo", ScenarioRequest(), "there is no scenario shpo; did you mean shop"),
        ("shop", ScenarioRequest(minions=0), "shop: 0 minions are asked for; ask for 1 to 1,000,000"),
        (
            "shop",
            ScenarioRequest(
                minions=10,
                profile=PercentageStages(
                    stages=(
                        StageOfShare(minions_percentage=100, ramp_up_duration_ms=0, total_duration_ms=100),
                    )
                ),
            ),
            "shop: stage 1: minions 10 should be at most 9, "
            "by campaign.configuration.validation.stage.max-minions-count",
        ),
    ],
)
@virtual
async def test_what_a_scenario_cannot_be_asked_for_is_refused(
    name: str, asked: ScenarioRequest, reason: str
) -> None:
    limits = Limits(stage=StageLimits(max_minions_count=9))
    with pytest.raises(CampaignRefused, match=reason):
        await ZonedStage(scenarios={name: asked}, limits=limits).play()
