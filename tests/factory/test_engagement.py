"""A factory that works for a campaign."""

from __future__ import annotations

import asyncio
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from qalipsis.cluster import topics
from qalipsis.cluster.messages import (
    AbortCampaign,
    CloseCampaign,
    DeclareMinions,
    DirectiveDone,
    DirectiveFailed,
    DirectiveIgnored,
    Farewell,
    Fault,
    Final,
    Heartbeat,
    HeartbeatReply,
    LeaseEnded,
    ScenarioEnded,
    SnapshotTaken,
    StartMinions,
    StopScenario,
    WarmUp,
    WorkerState,
)
from qalipsis.config.settings import GracefulShutdown
from qalipsis.factory import engagement
from qalipsis.metrics.ledger import Slot
from qalipsis.plan.profile_override import Regular

from .stage import Stage, assignment, play


def total(final: Final, slot: Slot) -> int:
    return sum(row[slot] for rows in final.ledgers.values() for row in rows.values())


def test_a_campaign_from_its_assignment_to_its_accounts(tmp_path: Path) -> None:
    async def test() -> None:
        async with Stage(tmp_path) as stage:
            await stage.accept()
            await stage.assign(scenario="quick")
            await stage.is_told(ScenarioEnded)
            assert isinstance(await stage.answer(await stage.direct(CloseCampaign())), DirectiveDone)
            await stage.is_told(Final)
            kinds = stage.kinds()
            assert kinds.count(WorkerState) == 2
            assert kinds.count(Final) == 1
            assert kinds[-1] is Final  # also after the answer
            assert total(await stage.is_told(Final), Slot.MINIONS_COMPLETED) == 4
            await asyncio.sleep(0)
            assert topics.directives("c-1", "eu-1") not in stage.transport._topics

    play(test())


def test_the_head_of_the_campaign_is_sent_the_heartbeats_as_well(tmp_path: Path) -> None:
    async def test() -> None:
        async with Stage(tmp_path) as stage:
            await stage.accept()
            await stage.assign()
            await asyncio.sleep(3.5)
            told = [message for message in stage.told["c-1"] if isinstance(message, Heartbeat)]
            assert len(told) == 3 or len(told) == 4
            assert told[-1] in stage.heard
            assert told[-1].state == "busy"

    play(test())


def test_the_head_is_told_when_the_last_minion_will_start(tmp_path: Path) -> None:
    async def test() -> None:
        async with Stage(tmp_path) as stage:
            await stage.accept()
            await stage.to_node(assignment(), "c-1")
            stage.listen_to("c-1")
            slow = Regular(period_in_ms=60_000, minions_count_pro_launch=1)
            await stage.answer(
                await stage.direct(DeclareMinions(minions={"walk": 4}, profiles={"walk": slow}))
            )
            told = await stage.is_told(WorkerState)
            assert (told.planned_s, told.last_start_s) == (None, 180.0)

    play(test())


def test_one_campaign_follows_the_other(tmp_path: Path) -> None:
    async def test() -> None:
        async with Stage(tmp_path) as stage:
            await stage.accept()
            for campaign in ("c-1", "c-2"):
                await stage.assign(campaign, "quick")
                await stage.is_told(ScenarioEnded, campaign)
                await stage.answer(await stage.direct(CloseCampaign(), campaign))
                final = await stage.is_told(Final, campaign)
                assert total(final, Slot.MINIONS_COMPLETED) == 4

    play(test())


def test_the_next_campaign_need_not_wait_for_the_broker_to_forget_the_last(tmp_path: Path) -> None:
    async def test() -> None:
        async with Stage(tmp_path) as stage:
            stage.transport.removal_seconds = 5.0
            await stage.accept()
            await stage.assign("c-1", "quick")
            await stage.direct(CloseCampaign(), "c-1")
            await stage.is_told(Final, "c-1")
            await stage.assign("c-2", "walk")
            said = len(stage.told["c-1"])
            await asyncio.sleep(10)
            assert len(stage.told["c-1"]) == said  # not a heartbeat more
            assert sum(isinstance(each, Heartbeat) for each in stage.told["c-2"]) > 5
            await stage.answer(await stage.direct(CloseCampaign(), "c-2"))

    play(test())


def test_a_worker_that_died_is_replaced_for_the_next_campaign(tmp_path: Path) -> None:
    async def test() -> None:
        async with Stage(tmp_path) as stage:
            await stage.accept()
            await stage.assign("c-1")
            await asyncio.sleep(2)
            stage.session._seats[0].supervisor._handles[0].kill("was killed by the test")
            fault = await stage.is_told(Fault)
            assert fault.reason == "was killed by the test"
            await stage.answer(await stage.direct(CloseCampaign()))
            assert len((await stage.is_told(Final)).ledgers) == 2
            await stage.assign("c-2", "quick")
            await stage.is_told(ScenarioEnded, "c-2")
            await stage.answer(await stage.direct(CloseCampaign(), "c-2"))
            assert total(await stage.is_told(Final, "c-2"), Slot.MINIONS_COMPLETED) == 4

    play(test())


STUBBORN = """
    import asyncio
    from qalipsis import journey

    @journey("walk", minions=4)
    async def walk(minion):
        for _ in range(20):
            try:
                await asyncio.sleep(1)
            except asyncio.CancelledError:
                pass
"""


def test_a_worker_in_which_something_does_not_end_is_replaced_for_the_next_campaign(tmp_path: Path) -> None:
    async def test() -> None:
        stage = Stage(tmp_path, grace=GracefulShutdown(minion=3.0, scenario=1.0))
        stage.file.write_text(dedent(STUBBORN))
        async with stage:
            await stage.accept()
            await stage.assign("c-1")
            await asyncio.sleep(2)
            before = stage.session._seats[0].supervisor._handles
            await stage.answer(await stage.direct(AbortCampaign()))
            began = stage.clock.now()
            await stage.answer(await stage.direct(CloseCampaign()))
            assert stage.clock.now() - began == pytest.approx(3.0, abs=0.1)
            assert total(await stage.is_told(Final), Slot.MINIONS_ABORTED) == 4
            assert Fault not in stage.kinds()
            await asyncio.sleep(0.1)
            assert {handle.lost for handle in before} == {
                "did not end all that a campaign had begun (2 left) and was killed"
            }
            await stage.assign("c-2")
            await stage.answer(await stage.direct(CloseCampaign(), "c-2"))
            assert len((await stage.is_told(Final, "c-2")).ledgers) == 2

    play(test())


def test_a_replaced_worker_must_find_what_was_offered(tmp_path: Path) -> None:
    async def test() -> None:
        async with Stage(tmp_path) as stage:
            await stage.accept()
            stage.session._seats[0].supervisor._handles[0].kill("was killed by the test")
            stage.file.write_text(stage.file.read_text().replace('"quick"', '"slow"'))
            stage.listen_to("c-1")
            await stage.to_node(assignment(), "c-1")
            answer = await stage.answer(await stage.direct(DeclareMinions(minions={"walk": 4})))
            assert isinstance(answer, DirectiveFailed)
            assert "restart the factory" in answer.reason
            assert isinstance(await stage.answer(await stage.direct(CloseCampaign())), DirectiveDone)

    play(test())


def test_a_second_campaign_at_the_same_time_is_declined_by_name(tmp_path: Path) -> None:
    async def test() -> None:
        async with Stage(tmp_path) as stage:
            await stage.accept()
            await stage.assign()
            stage.listen_to("c-2")
            answer = await stage.answer(await stage.to_node(assignment("c-2"), "c-2"))
            assert isinstance(answer, DirectiveFailed)
            assert (answer.cause, answer.reason) == ("refused", "the factory works for campaign c-1")
            assert answer in stage.told["c-2"]

    play(test())


def test_a_transient_factory_ends_with_its_first_campaign(tmp_path: Path) -> None:
    async def test() -> None:
        async with Stage(tmp_path, is_transient=True) as stage:
            await stage.accept()
            await stage.assign(scenario="quick")
            await stage.direct(CloseCampaign())
            await stage.served
            await stage.is_told(Final)
            await stage.hears(Farewell)

    play(test())


def test_a_transient_factory_stays_for_a_campaign_that_begins_anew(tmp_path: Path) -> None:
    async def test() -> None:
        async with Stage(tmp_path, is_transient=True) as stage:
            await stage.accept()
            stage.listen_to("c-1")
            await stage.answer(await stage.to_node(assignment(), "c-1"))
            await stage.answer(await stage.direct(CloseCampaign(begins_anew=True)))
            await asyncio.sleep(5)
            assert not stage.served.done()
            await stage.assign(scenario="quick")
            await stage.direct(CloseCampaign())
            await stage.served
            await stage.hears(Farewell)

    play(test())


# Heads that take over


def test_a_stale_head_changes_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        async with Stage(tmp_path) as stage:
            await stage.accept()
            stage.epoch = 2
            await stage.assign()
            for directive in (StopScenario(scenario="walk"), AbortCampaign(), CloseCampaign()):
                await stage.direct(directive, epoch=1)
            await asyncio.sleep(5)
            assert ScenarioEnded not in stage.kinds()
            assert Final not in stage.kinds()
            before = len(stage.told["c-1"])
            await asyncio.sleep(5)
            assert len(stage.told["c-1"]) > before
            await stage.direct(AbortCampaign(), epoch=3)
            await stage.is_told(ScenarioEnded)

    play(test())
    assert "AbortCampaign on {c-1}:dir:eu-1 is dropped: head-1 speaks in epoch 1" in caplog.text


def test_the_answers_of_a_stale_head_renew_no_lease(tmp_path: Path) -> None:
    async def test() -> None:
        async with Stage(tmp_path) as stage:
            await stage.accept()
            stage.epoch = 2
            await stage.assign()
            stage.epoch = 1
            await stage.is_told(LeaseEnded)

    play(test())


def test_a_new_head_that_says_everything_again_is_answered_and_starts_nobody_twice(tmp_path: Path) -> None:
    async def test() -> None:
        async with Stage(tmp_path) as stage:
            await stage.accept()
            await stage.assign()
            await asyncio.sleep(2)
            stage.epoch = 2
            assert isinstance(await stage.answer(await stage.to_node(assignment(), "c-1")), DirectiveDone)
            again = (DeclareMinions(minions={"walk": 4}), WarmUp(), StartMinions(at=0.0))
            for directive in again:
                assert isinstance(await stage.answer(await stage.direct(directive)), DirectiveIgnored)
            other = await stage.answer(await stage.direct(DeclareMinions(minions={"walk": 5})))
            assert isinstance(other, DirectiveFailed)
            other = await stage.answer(await stage.to_node(assignment(seed=2), "c-1"))
            assert isinstance(other, DirectiveFailed)
            await stage.answer(await stage.direct(CloseCampaign()))
            assert total(await stage.is_told(Final), Slot.MINIONS_STARTED) == 4
            assert stage.kinds().count(WorkerState) == 2

    play(test())


def test_what_a_new_head_asks_while_it_is_being_done_is_answered_when_it_is(tmp_path: Path) -> None:
    async def test() -> None:
        async with Stage(tmp_path) as stage:
            await stage.accept()
            stage.listen_to("c-1")
            await stage.to_node(assignment(), "c-1")
            declared = DeclareMinions(minions={"walk": 4})
            first, second = await stage.direct(declared, epoch=1), await stage.direct(declared, epoch=2)
            assert isinstance(await stage.answer(second), DirectiveIgnored)
            assert isinstance(await stage.answer(first), DirectiveDone)

    play(test())


@pytest.mark.parametrize("directive", [WarmUp(), AbortCampaign(), StopScenario(scenario="walk")])
def test_the_same_message_again_changes_nothing(tmp_path: Path, directive: Any) -> None:
    async def test() -> None:
        async with Stage(tmp_path) as stage:
            await stage.accept()
            await stage.assign()
            publisher = stage._publishers[f"1 {topics.directives('c-1', 'eu-1')}"]
            _, body = publisher._sender.encode(directive, "c-1")
            for _ in range(3):
                await stage.transport.publish(topics.directives("c-1", "eu-1"), body)
            await asyncio.sleep(1)
            answers = (DirectiveDone, DirectiveIgnored, DirectiveFailed)
            assert sum(kind in answers for kind in stage.kinds()) == 5

    play(test())


# The lease


def test_a_lease_that_is_renewed_does_not_end(tmp_path: Path) -> None:
    async def test() -> None:
        async with Stage(tmp_path) as stage:
            await stage.accept()
            await stage.assign()
            await asyncio.sleep(60)
            assert LeaseEnded not in stage.kinds()

    play(test())


def test_a_factory_in_the_process_of_its_head_has_no_lease(tmp_path: Path) -> None:
    async def test() -> None:
        async with Stage(tmp_path, lease=None) as stage:
            stage.is_silent = True
            await stage.accept()
            await stage.assign()
            await asyncio.sleep(300)
            assert LeaseEnded not in stage.kinds()

    play(test())


def test_without_its_head_a_factory_interrupts_everything_by_itself(tmp_path: Path) -> None:
    async def test() -> None:
        async with Stage(tmp_path) as stage:
            await stage.accept()
            await stage.assign()
            await asyncio.sleep(3.2)
            stage.is_silent = True
            last = max(message.clock for message in stage.told["c-1"] if isinstance(message, Heartbeat))
            ended = await stage.is_told(LeaseEnded)
            assert ended.at == pytest.approx(last + 12.0, abs=0.01)
            # It did not end, this factory did: what is left of it is for others.
            assert ScenarioEnded not in stage.kinds()
            snapshots = stage.kinds().count(SnapshotTaken)
            stage.is_silent = False  # the head is back, too late
            await asyncio.sleep(5)
            assert stage.kinds().count(SnapshotTaken) == snapshots
            late = await stage.answer(await stage.direct(StopScenario(scenario="walk")))
            assert isinstance(late, DirectiveIgnored)
            # Nor does it fail: it has told its head that it is gone.
            assert isinstance(await stage.answer(await stage.direct(WarmUp())), DirectiveIgnored)
            assert Final not in stage.kinds()
            await stage.answer(await stage.direct(CloseCampaign()))
            assert total(await stage.is_told(Final), Slot.MINIONS_ABORTED) == 4
            assert stage.kinds().count(LeaseEnded) == stage.kinds().count(Final) == 1
            await stage.assign("c-2", "quick")

    play(test())


def test_without_anybody_a_factory_is_free_again_after_a_while(tmp_path: Path) -> None:
    async def test() -> None:
        async with Stage(tmp_path) as stage:
            stage.is_silent = True
            await stage.accept()
            await stage.assign()
            ended = await stage.is_told(LeaseEnded)
            await stage.is_told(Final)
            waited = stage.clock.epoch(stage.clock.now()) - ended.at
            assert waited == pytest.approx(engagement.CLOSE_SECONDS, abs=0.1)
            await stage.assign("c-2", "quick")

    play(test())


def test_an_answer_to_an_old_heartbeat_does_not_shorten_the_lease(tmp_path: Path) -> None:
    async def test() -> None:
        async with Stage(tmp_path) as stage:
            stage.is_silent = True
            await stage.accept()
            await stage.assign()
            began = stage.clock.epoch(stage.clock.now())
            await asyncio.sleep(4)
            for clock in (began + 4.0, began - 100.0):
                await stage.direct(HeartbeatReply(lease_s=15.0, committed=0, clock=clock))
            ended = await stage.is_told(LeaseEnded)
            assert ended.at == pytest.approx(began + 16.0, abs=0.01)

    play(test())
