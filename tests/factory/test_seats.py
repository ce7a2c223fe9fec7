"""A factory that works for two campaigns at once: what befalls one of them is nothing to the other."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from qalipsis.cluster.messages import (
    AbortCampaign,
    Answer,
    CloseCampaign,
    DeclareMinions,
    DirectiveDone,
    DirectiveFailed,
    Farewell,
    Fault,
    Final,
    Handshake,
    Heartbeat,
    LeaseEnded,
    ScenarioEnded,
    Shutdown,
)
from qalipsis.factory.limits import Need
from qalipsis.metrics.ledger import Slot

from .stage import Stage, assignment, play


def total(final: Final, slot: Slot) -> int:
    return sum(row[slot] for rows in final.ledgers.values() for row in rows.values())


async def close(stage: Stage, campaign: str) -> Final:
    assert isinstance(await stage.answer(await stage.direct(CloseCampaign(), campaign)), DirectiveDone)
    return await stage.is_told(Final, campaign)


async def declared(stage: Stage, campaign: str) -> Answer:
    await stage.to_node(assignment(campaign), campaign)
    stage.listen_to(campaign)
    return await stage.answer(await stage.direct(DeclareMinions(minions={"walk": 4}), campaign))


def test_a_factory_says_for_how_many_campaigns_it_works_at_once(tmp_path: Path) -> None:
    async def test() -> None:
        async with Stage(tmp_path, campaigns=2) as stage:
            await stage.accept()
            handshake = await stage.hears(Handshake)
            assert (handshake.campaigns, handshake.workers) == (2, 2)
            states = []
            for nth, campaign in enumerate(("", "c-1", "c-2"), start=1):
                if campaign:
                    await stage.assign(campaign)
                await asyncio.sleep(1.5)
                states.append((await stage.hears(Heartbeat, 2 * nth - 1)).state)
            assert states == ["idle", "idle", "busy"]

    play(test())


def test_two_campaigns_have_workers_and_accounts_of_their_own(tmp_path: Path) -> None:
    async def test() -> None:
        async with Stage(tmp_path, campaigns=2) as stage:
            await stage.accept()
            await stage.assign("c-1", "walk")
            await stage.assign("c-2", "quick")
            ended = await stage.is_told(ScenarioEnded, "c-2")
            assert ended.scenario == "quick"
            assert ScenarioEnded not in stage.kinds("c-1")
            final = await close(stage, "c-2")
            assert (total(final, Slot.MINIONS_COMPLETED), total(final, Slot.MINIONS_ABORTED)) == (4, 0)
            said, began = len(stage.told["c-2"]), stage.clock.now()
            await asyncio.sleep(60)
            assert len(stage.told["c-2"]) == said
            kinds = Counter(stage.kinds("c-1"))
            assert kinds[Heartbeat] >= stage.clock.now() - began - 1
            assert LeaseEnded not in kinds
            await stage.direct(AbortCampaign(), "c-1")
            await stage.is_told(ScenarioEnded, "c-1")
            final = await close(stage, "c-1")
            assert (total(final, Slot.MINIONS_COMPLETED), total(final, Slot.MINIONS_ABORTED)) == (0, 4)

    play(test())


def test_a_third_campaign_is_refused_by_name_until_one_has_ended(tmp_path: Path) -> None:
    async def test() -> None:
        async with Stage(tmp_path, campaigns=2) as stage:
            await stage.accept()
            await stage.assign("c-2")
            await stage.assign("c-1")
            stage.listen_to("c-3")
            answer = await stage.answer(await stage.to_node(assignment("c-3"), "c-3"))
            assert isinstance(answer, DirectiveFailed)
            assert (answer.cause, answer.reason) == ("refused", "the factory works for campaign c-1 and c-2")
            await close(stage, "c-2")
            await stage.assign("c-3", "quick")  # at once: the last word of c-2 was said
            await stage.is_told(ScenarioEnded, "c-3")

    play(test())


def test_the_workers_of_a_further_campaign_stay_for_the_next_one(tmp_path: Path) -> None:
    async def test() -> None:
        async with Stage(tmp_path, campaigns=2) as stage:
            await stage.accept()
            further = stage.session._seats[1].supervisor
            await stage.assign("c-1")
            assert not any(handle.is_alive for handle in further._handles)
            await stage.assign("c-2")
            workers = list(further._handles)
            assert all(handle.is_alive for handle in workers)
            await close(stage, "c-2")
            await stage.assign("c-3", "quick")
            assert further._handles == workers
            await stage.is_told(ScenarioEnded, "c-3")

    play(test())


def test_a_further_campaign_is_refused_when_its_workers_find_other_scenarios(tmp_path: Path) -> None:
    async def test() -> None:
        async with Stage(tmp_path, campaigns=2) as stage:
            await stage.accept()
            await stage.assign("c-1")
            scenarios = stage.file.read_text()
            stage.file.write_text(scenarios.replace('"quick"', '"slow"'))
            answer = await declared(stage, "c-2")
            assert isinstance(answer, DirectiveFailed)
            assert "worker 0 was started later than others, and found other scenarios" in answer.reason
            await close(stage, "c-2")
            assert Fault not in stage.kinds("c-1")
            stage.file.write_text(scenarios)
            await stage.assign("c-3", "quick")
            await stage.is_told(ScenarioEnded, "c-3")

    play(test())


def test_a_campaign_that_is_closed_while_its_workers_start_leaves_none_behind_that_is_half_loaded(
    tmp_path: Path,
) -> None:
    async def test() -> None:
        async with Stage(tmp_path, campaigns=2) as stage:
            await stage.accept()
            await stage.assign("c-1")
            stage.listen_to("c-2")
            await stage.answer(await stage.to_node(assignment("c-2"), "c-2"))
            await stage.direct(DeclareMinions(minions={"walk": 4}), "c-2")
            await close(stage, "c-2")
            await stage.assign("c-3", "quick")
            await stage.is_told(ScenarioEnded, "c-3")

    play(test())


def test_a_worker_that_dies_is_told_to_its_own_campaign(tmp_path: Path) -> None:
    async def test() -> None:
        async with Stage(tmp_path, campaigns=2) as stage:
            await stage.accept()
            await stage.assign("c-1")
            await stage.assign("c-2")
            stage.session._seats[1].supervisor._handles[1].kill("was killed by the test")
            assert (await stage.is_told(Fault, "c-2")).worker == 1
            await asyncio.sleep(5)
            assert Fault not in stage.kinds("c-1")

    play(test())


def test_a_lease_that_ends_interrupts_the_campaign_whose_head_is_gone_only(tmp_path: Path) -> None:
    async def test() -> None:
        async with Stage(tmp_path, campaigns=2) as stage:
            await stage.accept()
            await stage.assign("c-1")
            await stage.assign("c-2")
            stage.silent_to.add("c-1")
            await stage.is_told(LeaseEnded, "c-1")
            assert total(await close(stage, "c-1"), Slot.MINIONS_ABORTED) == 4
            await asyncio.sleep(30)
            assert {LeaseEnded, ScenarioEnded}.isdisjoint(stage.kinds("c-2"))

    play(test())


def test_both_campaigns_are_ended_before_the_factory(tmp_path: Path) -> None:
    async def test() -> None:
        async with Stage(tmp_path, campaigns=2) as stage:
            await stage.accept()
            await stage.assign("c-1")
            await stage.assign("c-2")
            await asyncio.sleep(3)
            began = stage.clock.now()
            await stage.to_node(Shutdown(reason="the cluster shrinks"))
            await stage.served
            assert stage.clock.now() - began == pytest.approx(5.0, abs=0.2)  # one grace for both
            for campaign in ("c-1", "c-2"):
                assert total(await stage.is_told(Final, campaign), Slot.MINIONS_ABORTED) == 4
            await stage.hears(Farewell)

    play(test())


def test_a_transient_factory_ends_with_the_last_campaign_that_runs_beside_its_first(tmp_path: Path) -> None:
    async def test() -> None:
        async with Stage(tmp_path, campaigns=2, is_transient=True) as stage:
            await stage.accept()
            await stage.assign("c-1")
            await stage.assign("c-2")
            await close(stage, "c-1")
            await asyncio.sleep(30)
            assert not stage.served.done()
            await close(stage, "c-2")
            await stage.served

    play(test())


def test_the_connections_of_a_campaign_count_for_others_until_it_is_over(tmp_path: Path) -> None:
    async def test() -> None:
        async with Stage(tmp_path, campaigns=2) as stage:
            await stage.accept()
            await stage.assign("c-1")
            first, second = (seat.supervisor for seat in stage.session._seats[:2])
            first._needs = {0: Need({("shop.example", 80): 70}, 1024, 10)}
            assert second._held_by_others() == {("shop.example", 80): 70}
            await close(stage, "c-1")
            assert not second._held_by_others()

    play(test())
