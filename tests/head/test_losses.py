"""Factories and workers that are lost while a campaign runs, and what becomes of their minions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest

from qalipsis.cluster import topics
from qalipsis.cluster.codec import Sender
from qalipsis.cluster.messages import (
    AbortCampaign,
    AssignFactory,
    CloseCampaign,
    DeclareMinions,
    DirectiveFailed,
    Fault,
    LeaseEnded,
    Message,
    RestartMinions,
    StartMinions,
    StopScenario,
    StopWanted,
    WarmUp,
)
from qalipsis.cluster.publisher import Publisher
from qalipsis.errors import FactoriesMissing
from qalipsis.head.campaign import OnFactoryLoss
from qalipsis.head.scenario_request import ScenarioRequest
from qalipsis.head.zones import Zone
from qalipsis.metrics.ledger import Books, Slot
from qalipsis.plan.model import ScenarioDescriptor
from qalipsis.reports.model import Report
from tests.head.stage import CLAIM_LEASE, LEASE, MortalStore, Stage, WalkingFactory, until, virtual

MINIONS = 60
LONG = ScenarioDescriptor(name="shop", minions=MINIONS, profile="immediate")


class Fleet(Stage):
    """Three factories with two workers each, and as many minions of `shop` on each of them."""

    def __init__(
        self, *, seconds: int = 8, zones: tuple[str | None, ...] = (None,) * 3, **request: Any
    ) -> None:
        super().__init__(LONG, lease=LEASE, **{"required_factories": 3} | request)
        self.nodes = {
            node: WalkingFactory(self.transport, LONG, node=node, zone=zone, workers=2, seconds=seconds)
            for node, zone in zip("abc", zones, strict=True)
        }
        self.factory, *self.others = self.nodes.values()

    async def at(self, second: float) -> None:
        """Until so many seconds after the start."""
        await until(lambda: any(live.state == "RUNNING" for live in self.lives))
        assert self.started is not None
        await asyncio.sleep(max(0.0, self.started + second - self.clock.now()))

    @property
    def started(self) -> float | None:
        return None if self.orchestrator is None else self.orchestrator._campaign.started_at

    async def play_with(self, happening: Awaitable[None]) -> Report:
        """The campaign, while this happens."""
        happens = asyncio.ensure_future(happening)
        try:
            report = await self.play()
            await happens
        finally:
            happens.cancel()
        return report


def with_one_more(rows: dict[str, tuple[int, ...]]) -> dict[str, tuple[int, ...]]:
    """The counters of a worker that has sent one more request."""
    counted = (Slot.REQUESTS_ATTEMPTED, Slot.REQUESTS_OK)
    return {
        name: tuple(count + (slot in counted) for slot, count in enumerate(row)) for name, row in rows.items()
    }


def assert_closes(report: Report) -> None:
    books = (report.ledger, *(each.ledger for each in (*report.scenarios, *report.factories)))
    for book in books:
        assert_book_closes(book)
    assert report.verdict.value != "INVALID", report.verdict


def assert_book_closes(book: Books) -> None:
    for it in (book.minions, book.passes):
        assert it.scheduled + it.restarted == it.unstarted + it.started
        assert it.started == it.completed + it.failed + it.aborted + it.lost
    assert book.requests.attempted == book.requests.ok + book.requests.error + book.requests.unknown


@virtual
async def test_nothing_is_lost_when_nothing_happens() -> None:
    report = await Fleet().play()
    assert_closes(report)
    assert (report.ledger.minions.completed, report.ledger.requests.ok) == (MINIONS, 8 * MINIONS)
    assert (report.campaign.status, report.verdict.value, report.verdict.reasons) == (
        *("SUCCESSFUL", "VALID"),
        (),
    )


@pytest.mark.parametrize("accepts", [False, True])
@virtual
async def test_the_minions_of_a_lost_factory_are_started_again_once_its_lease_has_ended(
    accepts: bool,
) -> None:
    stage = Fleet(accept_redistribution=accepts)
    lost_at = restarted_at = 0.0

    async def happening() -> None:
        nonlocal lost_at, restarted_at
        await stage.at(3.5)
        stage.nodes["a"].kill()
        await until(lambda: stage.orchestrator and stage.orchestrator._campaign.lost)
        lost_at = stage.clock.now()
        assert lost_at - (stage.started or 0.0) < 3.5 + 3.0
        await until(lambda: RestartMinions in stage.nodes["b"].heard_kinds())
        restarted_at = stage.clock.now()

    report = await stage.play_with(happening())
    assert_closes(report)
    assert stage.started is not None
    assert 3.0 + LEASE <= restarted_at - stage.started <= 4.5 + LEASE
    minions = report.ledger.minions
    assert (minions.scheduled, minions.lost, minions.restarted) == (MINIONS, 20, 20)
    assert (minions.started, minions.completed) == (80, MINIONS)
    assert report.verdict.value == ("VALID" if accepts else "DEGRADED")
    a, b, c = report.factories
    assert (a.state, b.state, c.state) == ("LOST", "ENDED", "ENDED")
    assert (b.ledger.minions.restarted, c.ledger.minions.restarted) == (10, 10)
    for worker in (0, 1):
        assert any(
            reason.startswith(f"worker {worker} of a (process {41 + worker}) was lost: nothing was heard")
            for reason in report.verdict.reasons
        )
    # It sent three rounds of requests, and at most a second of more that nobody knows of.
    assert a.ledger.requests.ok == 3 * 20
    assert a.ledger.requests.unknown == 20
    texts = [message.text for message in report.scenarios[0].messages]
    assert any("20 minions of lost workers are started again by b, c" in text for text in texts)
    assert any("about 20 requests of lost factories are an estimate" in text for text in texts)
    assert await stage.leftovers() == []


@virtual
async def test_minions_that_had_ended_are_not_started_again() -> None:
    """The factory had reported that all of its minions were done when it vanished."""
    stage = Fleet(seconds=4)
    stage.nodes["b"].seconds = 12

    async def happening() -> None:
        await stage.at(5.5)
        await stage.nodes["a"].say_snapshots()
        stage.nodes["a"].kill()

    report = await stage.play_with(happening())
    assert_closes(report)
    assert (report.ledger.minions.restarted, report.ledger.minions.completed) == (0, MINIONS)
    assert report.verdict.value == "DEGRADED"


@virtual
async def test_whoever_continues_starts_nobody_again() -> None:
    stage = Fleet(on_factory_loss=OnFactoryLoss.CONTINUE)

    async def happening() -> None:
        await stage.at(3.5)
        stage.nodes["a"].kill()

    report = await stage.play_with(happening())
    assert_closes(report)
    minions = report.ledger.minions
    assert (minions.completed, minions.lost, minions.restarted) == (40, 20, 0)
    assert (report.campaign.status, report.verdict.value) == ("SUCCESSFUL", "DEGRADED")
    assert report.campaign.duration_s < 10


@virtual
async def test_a_campaign_lasts_as_long_as_a_lost_factory_has_reported() -> None:
    """The others had ended long before: over their time, its requests would be a rate that nobody sent."""
    stage = Fleet(seconds=4, on_factory_loss=OnFactoryLoss.CONTINUE)
    stage.nodes["a"].seconds = 60

    async def happening() -> None:
        await stage.at(20.5)
        stage.nodes["a"].kill()

    report = await stage.play_with(happening())
    assert_closes(report)
    assert report.campaign.duration_s == pytest.approx(20.0, abs=0.1)


@virtual
async def test_whoever_wants_no_campaign_without_all_stops_it_softly() -> None:
    stage = Fleet(seconds=30, grace=20.0, on_factory_loss=OnFactoryLoss.ABORT)

    async def happening() -> None:
        await stage.at(3.5)
        stage.nodes["a"].kill()

    report = await stage.play_with(happening())
    assert_closes(report)
    assert StopScenario in stage.nodes["b"].heard_kinds()
    assert (report.campaign.status, report.ledger.minions.restarted) == ("ABORTED", 0)
    assert report.campaign.duration_s < 12


@virtual
async def test_what_nobody_of_the_zone_can_take_over_is_named() -> None:
    stage = Fleet(
        zones=("east", "west", "west"),
        scenarios={"shop": ScenarioRequest(minions=MINIONS, zones={"east": 50, "west": 50})},
        accept_redistribution=True,
    )
    for key in ("east", "west"):
        await stage.store.add_zone(Zone(key=key, title=key))

    async def happening() -> None:
        await stage.at(3.5)
        stage.nodes["a"].kill()

    report = await stage.play_with(happening())
    assert_closes(report)
    minions = report.ledger.minions
    assert (minions.lost, minions.restarted, minions.completed) == (30, 0, 30)
    assert report.verdict.value == "DEGRADED"
    assert "30 minions of lost workers were not started again: no worker of their zone is left" in (
        report.verdict.reasons
    )


@virtual
async def test_two_factories_that_vanish_together_leave_their_minions_to_the_third() -> None:
    stage = Fleet()

    async def happening() -> None:
        await stage.at(3.5)
        stage.nodes["a"].kill()
        stage.nodes["b"].kill()

    report = await stage.play_with(happening())
    assert_closes(report)
    minions = report.ledger.minions
    assert (minions.lost, minions.restarted, minions.completed) == (40, 40, MINIONS)


@virtual
async def test_who_took_over_and_is_lost_as_well_is_replaced_too() -> None:
    stage = Fleet(seconds=12)

    async def happening() -> None:
        await stage.at(3.5)
        stage.nodes["a"].kill()
        await until(lambda: RestartMinions in stage.nodes["b"].heard_kinds())
        await asyncio.sleep(2.5)
        stage.nodes["b"].kill()

    report = await stage.play_with(happening())
    assert_closes(report)
    assert report.ledger.minions.completed == MINIONS
    assert report.ledger.minions.lost == report.ledger.minions.restarted


@virtual
async def test_the_campaign_ends_with_its_last_factory() -> None:
    stage = Fleet()

    async def happening() -> None:
        await stage.at(3.5)
        for node in stage.nodes.values():
            node.kill()

    report = await stage.play_with(happening())
    assert_closes(report)
    assert (report.campaign.status, report.verdict.value) == ("FAILED", "DEGRADED")
    assert report.ledger.minions.lost == MINIONS
    assert report.campaign.duration_s < 8


@pytest.mark.parametrize("kind", [DeclareMinions, WarmUp])
@virtual
async def test_without_a_factory_that_is_lost_before_the_start_the_campaign_begins_anew(
    kind: type[Any],
) -> None:
    stage = Fleet(required_factories=2)
    stage.nodes["b"].on[kind] = lambda: stage.nodes["b"].kill() or []  # type: ignore[func-returns-value]
    report = await stage.play()
    assert_closes(report)
    assert (report.campaign.status, report.verdict.value, report.verdict.reasons) == (
        *("SUCCESSFUL", "VALID"),
        (),
    )
    assert [(each.node, each.state, each.ledger.minions.completed) for each in report.factories] == [
        ("a", "ENDED", 30),
        ("c", "ENDED", 30),
    ]
    texts = [message.text for message in report.scenarios[0].messages]
    assert texts == [
        "factory b was lost: nothing was heard of it any more, before the start: "
        "the campaign began anew without it"
    ]
    for node in "ac":
        kinds = stage.nodes[node].heard_kinds()
        assert [each for each in kinds if each in (AssignFactory, AbortCampaign, CloseCampaign)] == [
            *(AssignFactory, AbortCampaign, CloseCampaign),
            *(AssignFactory, CloseCampaign),
        ]
        assert kinds.count(StartMinions) == 1
        closed = [each.begins_anew for each in stage.nodes[node].heard if isinstance(each, CloseCampaign)]
        assert closed == [True, False]
    states = [state for state, _ in stage.store.states["c-1"]]
    assert states[-1] == "COMPLETED"
    assert await stage.leftovers() == []


@virtual
async def test_too_few_that_are_left_before_the_start_fail_the_campaign_by_name() -> None:
    stage = Fleet()
    b = stage.nodes["b"]
    b.on[WarmUp] = lambda: b.kill() or []  # type: ignore[func-returns-value]
    reason = "2 of the 3 required factories came within 30 s: .*; lost before the start, and taken no more: b"
    with pytest.raises(FactoriesMissing, match=reason):
        await stage.play()
    record = await stage.store.campaign("c-1")
    assert record is not None
    assert (record.status, await stage.leftovers()) == ("FAILED", [])


@virtual
async def test_a_factory_is_assigned_anew_only_when_it_is_known_to_have_forgotten_what_was_before() -> None:
    """What is said to it before would meet an engagement that ends, and be lost with its topic."""
    stage = Fleet(required_factories=2)
    a, b = stage.nodes["a"], stage.nodes["b"]
    b.on[WarmUp] = lambda: b.kill() or []  # type: ignore[func-returns-value]
    heartbeats: list[float] = []

    def falls_silent() -> list[Message]:
        a.is_beating = False  # its last heartbeats are of before
        return [a.final()]

    async def happening() -> None:
        a.on[CloseCampaign] = falls_silent
        await until(lambda: CloseCampaign in a.heard_kinds())
        a.on[CloseCampaign] = lambda: [a.final()]
        await asyncio.sleep(2)
        assert a.heard_kinds().count(AssignFactory) == 1
        a.is_beating = True
        heartbeats.append(stage.clock.now())
        await until(lambda: a.heard_kinds().count(AssignFactory) == 2)
        assert stage.clock.now() - heartbeats[0] < 2

    report = await stage.play_with(happening())
    assert [each.node for each in report.factories] == ["a", "c"]


@virtual
async def test_what_a_factory_could_not_do_before_it_began_anew_means_nothing_later() -> None:
    """It says so late, on another way than its last word."""
    stage = Fleet(required_factories=2)
    a, b = stage.nodes["a"], stage.nodes["b"]
    b.on[WarmUp] = lambda: b.kill() or []  # type: ignore[func-returns-value]

    async def happening() -> None:
        await until(lambda: stage.orchestrator and stage.orchestrator._campaign.lost)
        assert stage.orchestrator is not None
        interrupted = stage.orchestrator._void
        assert len(interrupted) == 5  # WarmUp to three, AbortCampaign to two
        await until(lambda: a.heard_kinds().count(AssignFactory) == 2)
        for directive in interrupted:
            await a.say(DirectiveFailed(directive=directive, cause="failed", reason="it was interrupted"))

    report = await stage.play_with(happening())
    assert (report.campaign.status, report.ledger.minions.completed) == ("SUCCESSFUL", MINIONS)


@pytest.mark.parametrize("has_effect", [False, True])
@pytest.mark.parametrize("calls", range(1, 45))
@virtual
async def test_a_head_may_die_while_the_campaign_begins_anew(calls: int, has_effect: bool) -> None:
    stage = Fleet(required_factories=2)
    b = stage.nodes["b"]
    b.on[WarmUp] = lambda: b.kill() or []  # type: ignore[func-returns-value]
    report = await stage.play(stage.conduct_mortally(MortalStore(stage.store, calls, has_effect)))
    assert_closes(report)
    assert report.ledger.requests.ok == 8 * MINIONS
    assert (report.ledger.minions.completed, report.verdict.value) == (MINIONS, "VALID")
    assert [each.node for each in report.factories] == ["a", "c"]
    assert {stage.nodes[node].heard_kinds().count(StartMinions) for node in "ac"} == {1}
    assert await stage.leftovers() == []


@virtual
async def test_a_lost_factory_while_the_campaign_is_closed_keeps_nobody_waiting() -> None:
    stage = Fleet()
    stage.nodes["c"].on[CloseCampaign] = lambda: stage.nodes["c"].kill() or []  # type: ignore[func-returns-value]
    report = await stage.play()
    assert_closes(report)
    assert report.campaign.duration_s < 9
    assert report.factories[2].state == "LOST"
    assert report.ledger.minions.lost + report.ledger.minions.completed == MINIONS


@virtual
async def test_a_factory_that_comes_back_stays_lost_and_its_late_figures_replace_the_estimate() -> None:
    """It was only cut off, and had gone on for a while."""
    stage = Fleet(seconds=12)
    a = stage.nodes["a"]

    async def happening() -> None:
        await stage.at(3.5)
        a.is_cut_off = True
        await stage.at(8.5)
        assert stage.orchestrator is not None
        assert stage.orchestrator._campaign.lost == {"a"}
        await a.reconnect()

    report = await stage.play_with(happening())
    assert_closes(report)
    assert AbortCampaign in a.heard_kinds()
    lost = report.factories[0]
    assert lost.state == "LOST"
    # What it did until it was told to stop came late, and nothing is an estimate any more.
    assert lost.ledger.requests.attempted == lost.ledger.requests.ok == 6 * 20
    assert not any("estimate" in message.text for message in report.scenarios[0].messages)
    assert report.ledger.minions.completed == MINIONS


@virtual
async def test_a_factory_whose_lease_ended_is_lost_by_its_own_word() -> None:
    stage = Fleet(seconds=12)
    a = stage.nodes["a"]

    async def happening() -> None:
        await stage.at(3.5)
        await a.say(LeaseEnded(at=a.epoch()))
        await a.say(a.final())
        a.is_silent = True

    report = await stage.play_with(happening())
    assert_closes(report)
    assert "stopped by itself: no head had answered it until its lease ended" in report.verdict.reasons[0]
    assert report.factories[0].ledger.requests.unknown == 0
    assert (report.ledger.minions.lost, report.ledger.minions.completed) == (20, MINIONS)


@virtual
async def test_factories_that_stop_by_themselves_say_their_accounts_at_once() -> None:
    """Nobody is left whose last word the campaign would wait for."""
    stage = Fleet(seconds=12)

    async def happening() -> None:
        await stage.at(3.5)
        for node in stage.nodes.values():
            ledgers = {worker: with_one_more(rows) for worker, rows in node.final().ledgers.items()}
            await node.say(LeaseEnded(at=node.epoch(), ledgers=ledgers))
            node.is_silent = True

    report = await stage.play_with(happening())
    assert_closes(report)
    assert {factory.state for factory in report.factories} == {"LOST"}
    # The last snapshots tell of three requests each; six workers have sent one more since.
    assert report.ledger.requests.attempted == report.ledger.requests.ok == 3 * MINIONS + 6


@virtual
async def test_a_factory_that_leaves_is_replaced_at_once_and_by_its_own_figures() -> None:
    stage = Fleet(seconds=12)
    a = stage.nodes["a"]
    waited = 0.0

    async def happening() -> None:
        nonlocal waited
        await stage.at(3.5)
        left_at = stage.clock.now()
        await a.say(a.final())
        a.is_silent = True
        await until(lambda: RestartMinions in stage.nodes["b"].heard_kinds())
        waited = stage.clock.now() - left_at

    report = await stage.play_with(happening())
    assert_closes(report)
    assert waited < 0.5
    assert "left before the campaign ended" in report.verdict.reasons[0]
    assert report.factories[0].ledger.requests.unknown == 0
    assert (report.ledger.minions.restarted, report.ledger.minions.completed) == (20, MINIONS)


@virtual
async def test_who_has_said_its_last_word_is_not_missed_by_the_next_head() -> None:
    stage = Fleet()
    c = stage.nodes["c"]
    before = c.perform

    async def slow(directive: Message) -> None:
        if isinstance(directive, CloseCampaign):
            await asyncio.sleep(12)
        await before(directive)

    c.perform = slow  # type: ignore[method-assign]

    async def conduct() -> Report:
        first = asyncio.ensure_future(stage.conduct(stage.office_of("first")))
        await until(lambda: stage.orchestrator and stage.orchestrator._campaign.waiting_for == {"c"})
        await asyncio.sleep(2)  # that is written down
        first.cancel()
        await asyncio.wait([first])
        await asyncio.sleep(CLAIM_LEASE)
        return await stage.conduct(stage.office_of("second"))

    report = await stage.play(conduct())
    assert [each.state for each in report.factories] == ["ENDED"] * 3
    assert report.verdict.reasons == ()


def died(factory: WalkingFactory, worker: int) -> Fault:
    factory.die(worker)
    return Fault(
        worker=worker,
        pid=41 + worker,
        reason="was killed by SIGKILL",
        at=factory.epoch(),
        ledgers=factory.ledgers(worker),
    )


@virtual
async def test_the_minions_of_a_lost_worker_are_started_again_at_once() -> None:
    stage = Fleet(accept_redistribution=True)
    a = stage.nodes["a"]
    waited = 0.0

    async def happening() -> None:
        nonlocal waited
        await stage.at(3.5)
        died_at = stage.clock.now()
        await a.say(died(a, 0))
        await until(lambda: RestartMinions in a.heard_kinds())
        waited = stage.clock.now() - died_at

    report = await stage.play_with(happening())
    assert_closes(report)
    assert waited < 0.2
    assert (report.ledger.minions.lost, report.ledger.minions.restarted) == (10, 10)
    assert report.ledger.minions.completed == MINIONS
    assert report.verdict.value == "VALID"
    assert report.factories[0].state == "DEGRADED"


@pytest.mark.parametrize("policy", [OnFactoryLoss.CONTINUE, OnFactoryLoss.ABORT])
@virtual
async def test_a_lost_worker_follows_the_policy_as_well(policy: OnFactoryLoss) -> None:
    stage = Fleet(on_factory_loss=policy, grace=20.0)
    a = stage.nodes["a"]

    async def happening() -> None:
        await stage.at(3.5)
        await a.say(died(a, 0))

    report = await stage.play_with(happening())
    assert_closes(report)
    assert report.ledger.minions.restarted == 0
    is_aborted = policy is OnFactoryLoss.ABORT
    assert report.campaign.status == ("ABORTED" if is_aborted else "SUCCESSFUL")
    if is_aborted:
        assert "stopped softly because a worker was lost" in [
            message.text for message in report.scenarios[0].messages
        ]


@virtual
async def test_a_restart_that_is_refused_is_named_and_ends_the_waiting() -> None:
    stage = Fleet(accept_redistribution=True)
    stage.nodes["b"].answers[RestartMinions] = ("failed", "no memory is left")

    async def happening() -> None:
        await stage.at(3.5)
        stage.nodes["a"].kill()

    report = await stage.play_with(happening())
    assert_closes(report)
    assert (report.ledger.minions.lost, report.ledger.minions.restarted) == (20, 10)
    assert report.ledger.minions.completed == 50
    assert report.verdict.value == "DEGRADED"
    assert "10 minions of lost workers were not started again by b: no memory is left" in (
        report.verdict.reasons
    )
    assert report.campaign.duration_s < 40


@virtual
async def test_the_end_of_a_scenario_that_crossed_a_restart_means_nothing() -> None:
    """`b` says that it has ended just when it is told to start more of it."""
    stage = Fleet(seconds=4)
    a, b = stage.nodes["a"], stage.nodes["b"]

    async def happening() -> None:
        await stage.at(3.5)
        await a.say(died(a, 0))
        await b.say(b.ended(round=0))

    report = await stage.play_with(happening())
    assert_closes(report)
    assert report.ledger.minions.completed == MINIONS


@virtual
async def test_a_silent_factory_is_noticed_before_it_is_lost() -> None:
    stage = Fleet()

    async def happening() -> None:
        await stage.at(3.5)
        stage.nodes["a"].is_cut_off = True
        await stage.at(5.5)
        await stage.nodes["a"].reconnect()

    report = await stage.play_with(happening())
    assert any("factory a is silent" in notice for live in stage.lives for notice in live.notices)
    assert report.verdict.value == "VALID"
    assert report.ledger.minions.completed == MINIONS


@virtual
async def test_while_the_broker_is_away_nobody_is_lost() -> None:
    stage = Fleet(seconds=12)

    async def happening() -> None:
        await stage.at(3.5)
        stage.transport.is_connected = False
        for node in stage.nodes.values():
            node.is_cut_off = True
        await stage.at(10.5)
        stage.transport.is_connected = True
        for node in stage.nodes.values():
            await node.reconnect()

    report = await stage.play_with(happening())
    assert_closes(report)
    assert (report.verdict.value, report.verdict.reasons) == ("VALID", ())
    assert report.ledger.minions.completed == MINIONS


@virtual
async def test_another_head_can_have_it_stopped() -> None:
    stage = Fleet(seconds=30, grace=1.0)
    desk = Publisher(stage.transport, Sender("other/desk", 1))

    async def happening() -> None:
        await stage.at(3.5)
        wanted = StopWanted(is_hard=False, by="by anna", aborter="anna")
        await desk.say(topics.feedback("c-1"), wanted, "c-1")
        await stage.at(3.6)  # before a whole second, when the minions see that they are stopped
        wanted = StopWanted(is_hard=True, by="by bert", aborter="bert")
        await desk.say(topics.feedback("c-1"), wanted, "c-1")

    report = await stage.play_with(happening())
    assert_closes(report)
    record = await stage.store.campaign("c-1")
    assert record is not None
    assert (record.status, record.aborter) == ("ABORTED", "anna")
    texts = [message.text for message in report.scenarios[0].messages]
    assert texts == ["stopped softly by anna", "stopped at once by bert"]


@pytest.mark.parametrize("is_hard", [False, True])
@virtual
async def test_a_timeout_stops_the_campaign(is_hard: bool) -> None:
    stage = Fleet(seconds=30, timeout=5.0, is_hard_timeout=is_hard, grace=60.0)
    report = await stage.play()
    assert_closes(report)
    kinds = stage.nodes["a"].heard_kinds()
    assert (StopScenario in kinds, AbortCampaign in kinds) == (not is_hard, is_hard)
    how = "at once" if is_hard else "softly"
    assert [message.text for message in report.scenarios[0].messages] == [
        f"stopped {how} because of its timeout"
    ]
    assert report.campaign.duration_s < 7


@virtual
async def test_the_start_is_told_in_the_time_of_each_factory() -> None:
    stage = Fleet(start_offset=2.0)
    stage.nodes["b"].clock_offset = 5.0
    for node in stage.nodes.values():
        node.round_trip = 0.002
    # It takes heartbeats to know a clock.
    stage.nodes["c"].on[WarmUp] = list
    before = stage.nodes["c"].perform

    async def slow(directive: Message) -> None:
        if isinstance(directive, WarmUp):
            await asyncio.sleep(4)
        await before(directive)

    stage.nodes["c"].perform = slow  # type: ignore[method-assign]
    report = await stage.play()
    starts = {
        node: next(each.at for each in factory.heard if isinstance(each, StartMinions))
        for node, factory in stage.nodes.items()
    }
    assert starts["b"] - starts["a"] == pytest.approx(5.0, abs=0.01)
    assert starts["c"] == starts["a"]
    offsets = [factory.clock_offset_ms for factory in report.factories]
    assert offsets == pytest.approx([0.0, 5000.0, 0.0], abs=5)
    assert report.campaign.duration_s == pytest.approx(8.0, abs=0.1)
