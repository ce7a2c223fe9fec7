"""A campaign that was frozen and thawed cannot be told from one that was not."""

from __future__ import annotations

import zlib
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qalipsis.cluster.messages import Fault, Final, SnapshotTaken, WorkerSilent, WorkerState
from qalipsis.config.settings import StageLimits
from qalipsis.head import checkpoint
from qalipsis.head.assignment import Assignment, Member
from qalipsis.head.campaign import Campaign, Failure, OnFactoryLoss, Phase
from qalipsis.head.campaign_request import CampaignRequest
from qalipsis.head.checkpoint import Checkpoint
from qalipsis.head.fleet import Fleet
from qalipsis.head.limits import Limits
from qalipsis.head.meter_series import Meter
from qalipsis.head.progress import Progress
from qalipsis.head.redistribution import Book, redistribute
from qalipsis.head.report_builder import Ending, build
from qalipsis.head.restarts import Restarts
from qalipsis.head.scenario_request import ScenarioRequest
from qalipsis.metrics.expectations import Condition
from qalipsis.metrics.ledger import Slot
from qalipsis.metrics.meters import WorkerMeters
from qalipsis.metrics.snapshot import WorkerHealth
from qalipsis.plan.model import ExpectationDescriptor, ScenarioDescriptor, StepDescriptor
from qalipsis.plan.profile_override import StageOfCount, Stages
from qalipsis.reports.model import Message, Report, Second

SCENARIOS = tuple(
    ScenarioDescriptor(
        name=name,
        minions=12,
        profile="immediate",
        digest="d" * 64,
        steps=(StepDescriptor(name="order", type="http.request"), StepDescriptor(name="wait", type="delay")),
        expectations=(
            ExpectationDescriptor(
                step="order",
                measure="failed_share",
                condition=Condition(statistic="value", operator="is_less_than", bounds=(0.5,)),
                abort=True,
            ),
        ),
    )
    for name in ("shop", "search")
)
FACTORIES = (
    Member(node="a", workers=2, zone="east", incarnation=11),
    Member(node="b", workers=1, zone="west", incarnation=12),
)
ASSIGNMENT = Assignment(
    {"shop": 12, "search": 7}, {"east": 2, "west": 1}, {"a": 0, "b": 2}, {"search": (40, 60)}
)
FLEET = Fleet(scenarios=SCENARIOS, factories=FACTORIES, assignment=ASSIGNMENT)
PLACES = (("a", 0), ("a", 1), ("b", 0))
METERS = ("counter", "gauge", "rate", "throughput", "timer", "summary")


class Player:
    """Workers whose snapshots depend on nothing but what is drawn; they tell any number of listeners."""

    def __init__(self) -> None:
        self.meters = {place: WorkerMeters() for place in PLACES}
        self.rows = {(*place, name): [0] * len(Slot) for place in PLACES for name in ASSIGNMENT.minions}
        self.sequences = dict.fromkeys(PLACES, 0)

    def ledgers(self, place: tuple[str, int]) -> dict[str, tuple[int, ...]]:
        return {name: tuple(self.rows[(*place, name)]) for name in ASSIGNMENT.minions}

    def snapshot(self, place: tuple[str, int], t: int, drawn: dict[str, Any]) -> bytes:
        meters = self.meters[place]
        for name in ASSIGNMENT.minions:
            row = self.rows[(*place, name)]
            number, failed = drawn["ok"], drawn["failed"]
            step = meters.step(name, "order", "http.request")
            step.attempted += number + failed
            step.successful += number
            for _ in range(failed):
                step.fail("http", f"broken in second {t}")
            row[Slot.MINIONS_STARTED] += number
            row[Slot.MINIONS_COMPLETED] += number // 2
            row[Slot.PASSES_STARTED] += number
            row[Slot.PASSES_COMPLETED] += number
            row[Slot.REQUESTS_ATTEMPTED] += number + failed + drawn["open"]
            row[Slot.REQUESTS_OK] += number
            row[Slot.REQUESTS_ERROR] += failed
        for latency in drawn["latencies"]:
            meters.records.add(0, 200, 0.0, 0.001, 0.0, latency, latency, 10, 20)
        for kind, value in zip(METERS, drawn["figures"], strict=False):
            if kind != "rate":
                meters.meter("shop", kind, kind).record(value)
        self.sequences[place] += 1
        snapshot = meters.freeze(self.sequences[place], t + 1.002)
        return msgspec.msgpack.encode(
            msgspec.structs.replace(
                snapshot,
                ledgers=self.ledgers(place),
                health=WorkerHealth(cpu=drawn["cpu"], dropped=drawn["open"]),
            )
        )


SECOND = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["report"] * 6 + ["silent", "die", "vanish", "settle", "half", "notice"]),
        "who": st.sampled_from(PLACES),
        "late": st.sampled_from([None, *PLACES]),
        "ok": st.integers(0, 5),
        "failed": st.integers(0, 2),
        "open": st.integers(0, 2),
        "cpu": st.sampled_from([0.1, 0.99]),
        "latencies": st.lists(st.floats(1e-4, 10.0), max_size=4),
        "figures": st.lists(st.floats(0.1, 100.0), max_size=len(METERS)),
    }
)


def begun() -> Progress:
    progress = Progress("c-1", 1000.0)
    progress.begin("nightly", 19)
    for node, worker in PLACES:
        told = WorkerState(worker=worker, pid=41 + worker, planned_s=12.5)
        progress.meet(node, told, FLEET.zone_of(node))
    progress.started_at = 1001.0
    return progress


class Told:
    """What came out of a progress second by second."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.seconds: list[Second] = []
        self.meters: list[Meter] = []

    def freeze_and_thaw(self) -> None:
        data = checkpoint.freeze(frozen(self.progress))
        found = checkpoint.thaw(data)
        assert checkpoint.live_of(data) == found.live == self.progress.show("RUNNING", 1005.0)
        self.progress = Progress.thaw(found.progress, found.live)

    def hear(self, player: Player, t: int, drawn: dict[str, Any], bodies: dict[Any, bytes]) -> None:
        progress, (node, worker) = self.progress, drawn["who"]
        for place, body in bodies.items():
            if place == drawn["late"]:
                continue
            pieces = [body[: len(body) // 2], body[len(body) // 2 :]]
            for number, piece in enumerate(pieces):
                if drawn["kind"] == "half" and place == drawn["who"] and number:
                    self.freeze_if_wanted()
                told = SnapshotTaken(worker=place[1], piece=number, pieces=2, data=piece)
                progress = self.progress
                progress.collect(place[0], told)
        match drawn["kind"]:
            case "silent":
                progress.silent(node, WorkerSilent(worker=worker, seconds=1.5))
            case "die":
                fault = Fault(
                    worker=worker,
                    pid=41,
                    reason="was killed",
                    at=1001.0 + t,
                    ledgers=player.ledgers(drawn["who"]),
                )
                progress.lose_worker(node, fault, fault.at)
            case "vanish":
                progress.lose_factory(node, "was lost", 1001.0 + t, 1.0)
            case "settle":
                own = {place[1]: player.ledgers(place) for place in PLACES if place[0] == node}
                progress.settle(node, Final(last_sequence=1, ledgers=own))
            case "notice":
                progress.warn(f"something happened in second {t}")
                progress.messages.append(Message(severity="WARN", text="look"))
                progress.scenario_ended(1001.0 + t)
        self.seconds += progress.close_seconds(t + 1.2)
        self.meters += progress.take_meters()

    def freeze_if_wanted(self) -> None:
        """In the middle of a snapshot; the one that is never frozen does nothing."""

    def report(self) -> Report:
        progress = self.progress
        progress.tell_estimates()
        self.seconds += progress.close_seconds(None)
        self.meters += progress.take_meters()
        return build(
            Ending(
                key="c-1",
                name="nightly",
                seed=1,
                speed_factor=1.0,
                started_at=1001.0,
                ended_at=progress.ended_at or 1030.0,
                scenarios=SCENARIOS,
                factories=FACTORIES,
                assignment=ASSIGNMENT,
                tally=progress.tally,
                timeline=tuple(self.seconds),
                messages=tuple(progress.messages),
                faults=tuple(progress.faults),
            )
        )


class Frozen(Told):
    def freeze_if_wanted(self) -> None:
        self.freeze_and_thaw()


def frozen(progress: Progress, **changes: Any) -> Checkpoint:
    settings: dict[str, Any] = {
        "request": CampaignRequest(key="c-1", name="nightly", seed=1),
        "campaign": Campaign(key="c-1", start_offset=0.5, grace=30.0),
        "fleet": FLEET,
        "awaited": frozenset({"x", "y"}),
        "void": frozenset({"z"}),
        "restarts": Restarts(orders={"id": 3}, ended={"a": {"shop": 2}}),
        "progress": progress.freeze(),
        "live": progress.show("RUNNING", 1005.0),
    } | changes
    return Checkpoint(**settings)


@settings(max_examples=60)
@given(st.lists(SECOND, max_size=10), st.sets(st.integers(0, 9)))
def test_a_report_does_not_tell_how_often_its_campaign_was_thawed(
    seconds: list[dict[str, Any]], cuts: set[int]
) -> None:
    player, never, often = Player(), Told(begun()), Frozen(begun())
    for t, drawn in enumerate(seconds):
        bodies = {place: player.snapshot(place, t, drawn) for place in PLACES}
        never.hear(player, t, drawn, bodies)
        often.hear(player, t, drawn, bodies)
        if t in cuts:
            often.freeze_and_thaw()
        at = 1002.0 + t
        assert often.progress.show("RUNNING", at) == never.progress.show("RUNNING", at)
        assert often.progress.violations(SCENARIOS) == never.progress.violations(SCENARIOS)
    assert often.report() == never.report()
    assert often.seconds == never.seconds
    assert often.meters == never.meters


def full() -> Checkpoint:
    """With something in every field."""
    takers = redistribute(ASSIGNMENT, Book(), {0: {}}, [1, 2])
    override = Stages(
        stages=(StageOfCount(minions_count=4, ramp_up_duration_ms=100, total_duration_ms=60_000),)
    )
    request = CampaignRequest(
        key="c-1",
        name=None,
        seed=2**63 - 1,
        patterns=("sh*",),
        scenarios={"shop": ScenarioRequest(minions=5, zones={"east": 100}, profile=override)},
        timeout=12.5,
        is_hard_timeout=True,
        on_factory_loss=OnFactoryLoss.ABORT,
        limits=Limits(max_minions=7, stage=StageLimits(max_minions_count=9)),
        environment={"cores": 4, "python": "3", "nested": {"a": [1, 2.5, None]}},
    )
    campaign = Campaign(
        key="c-1",
        start_offset=0.5,
        grace=30.0,
        on_factory_loss=OnFactoryLoss.ABORT,
        phase=Phase.RUNNING,
        factories=("a", "b"),
        scenarios=("shop",),
        waiting_for=frozenset({"a"}),
        walking=frozenset({("a", "shop"), ("b", "shop")}),
        lost=frozenset({"b"}),
        leaving=(("b", 12.5),),
        started_at=5.0,
        failure=Failure("failed", "because"),
    )
    assert takers.book.taken
    restarts = Restarts(book=takers.book, orders={"id": 3}, ended={"a": {"shop": 2}})
    return frozen(begun(), request=request, campaign=campaign, restarts=restarts)


def test_everything_of_a_checkpoint_comes_back() -> None:
    before = full()
    after = checkpoint.thaw(checkpoint.freeze(before))
    for field in Checkpoint.__struct_fields__:
        assert getattr(after, field) == getattr(before, field), field
    assert after.campaign.phase is Phase.RUNNING
    assert after.campaign.deadline == before.campaign.deadline == float("inf")


def test_a_checkpoint_of_another_version_is_not_understood() -> None:
    kept = msgspec.msgpack.decode(zlib.decompress(checkpoint.freeze(full())))
    del kept["restarts"]
    other = zlib.compress(msgspec.msgpack.encode(kept))
    with pytest.raises(msgspec.ValidationError, match="restarts"):
        checkpoint.thaw(other)
    assert checkpoint.live_of(other).campaign == "nightly"
    with pytest.raises(msgspec.ValidationError):
        checkpoint.live_of(zlib.compress(msgspec.msgpack.encode({"live": 1})))


@pytest.mark.parametrize(
    "data", [b"", b"another version", msgspec.msgpack.encode({}), zlib.compress(b"\xc1")]
)
def test_what_another_version_wrote_is_refused_in_one_way(data: bytes) -> None:
    for read in (checkpoint.thaw, checkpoint.live_of):
        with pytest.raises(msgspec.MsgspecError):
            read(data)
