"""A factory as a member of its cluster."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from qalipsis.cluster import topics
from qalipsis.cluster.messages import (
    PROTOCOL,
    AbortCampaign,
    CampaignOver,
    DeclareMinions,
    DirectiveFailed,
    Farewell,
    Final,
    Handshake,
    HandshakeRefused,
    HandshakeWanted,
    Heartbeat,
    LeaseEnded,
    ScenarioEnded,
    Shutdown,
    WarmUp,
)
from qalipsis.config.settings import GracefulShutdown
from qalipsis.errors import FactoryError, FactoryRefused, ServiceUnavailable, TransportClosed
from qalipsis.metrics.ledger import Slot

from .stage import Stage, assignment, ends, play


def test_a_factory_introduces_itself_with_all_that_a_head_needs(tmp_path: Path) -> None:
    async def test() -> Handshake:
        async with Stage(tmp_path) as stage:
            return await stage.hears(Handshake)

    handshake = play(test())
    assert (handshake.node, handshake.protocol, handshake.workers) == ("eu-1", PROTOCOL, 2)
    assert (handshake.zone, handshake.tenant, handshake.tags) == ("eu", "acme", {"rack": "3"})
    assert {scenario.name for scenario in handshake.scenarios} == {"walk", "quick"}


def test_an_accepted_factory_sends_a_heartbeat_each_period(tmp_path: Path) -> None:
    async def test() -> None:
        async with Stage(tmp_path) as stage:
            await stage.accept()
            began = stage.clock.now()
            third = await stage.hears(Heartbeat, 3)
            assert stage.clock.now() == pytest.approx(began + 3.0)
            assert third.clock == pytest.approx(stage.clock.epoch(began + 3.0))
            assert third.state == "idle"

    play(test())


def test_a_head_that_does_not_know_the_factory_is_introduced_to_it_again(tmp_path: Path) -> None:
    async def test() -> None:
        async with Stage(tmp_path) as stage:
            await stage.accept()
            await stage.hears(Heartbeat)
            await stage.to_node(HandshakeWanted())
            assert await stage.hears(Handshake, 2) == await stage.hears(Handshake)

    play(test())


def test_a_refused_factory_ends_with_the_reason(tmp_path: Path) -> None:
    async def test() -> None:
        async with Stage(tmp_path) as stage:
            await stage.hears(Handshake)
            await stage.to_node(HandshakeRefused(reason="another factory is called eu-1"))
            await stage.served

    with pytest.raises(FactoryRefused, match="another factory is called eu-1"):
        play(test())


def test_without_an_answer_the_broker_and_the_topic_are_named(tmp_path: Path) -> None:
    async def test() -> None:
        async with Stage(tmp_path, broker="Redis at 10.0.0.1:6379") as stage:
            await stage.served

    with pytest.raises(ServiceUnavailable, match=r"within 30 s: .* `handshake` of Redis at 10\.0\.0\.1:6379"):
        play(test())


def test_an_idle_factory_says_farewell_when_a_head_shuts_it_down(tmp_path: Path) -> None:
    async def test() -> None:
        async with Stage(tmp_path) as stage:
            await stage.accept()
            await stage.hears(Heartbeat)
            await stage.to_node(Shutdown(reason="the cluster shrinks"))
            await stage.served
            await stage.hears(Farewell)
            said = len(stage.heard)
            await asyncio.sleep(10)
            assert len(stage.heard) == said  # not a heartbeat more
            assert topics.node("eu-1", 7) not in stage.transport._topics

    play(test())


def test_a_handshake_that_nobody_answers_is_said_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Who read it may have died, and what it knew with it."""

    async def test() -> None:
        async with Stage(tmp_path) as stage:
            began = stage.clock.now()
            await stage.hears(Handshake, 3)
            assert stage.clock.now() - began == pytest.approx(10.0, abs=0.5)
            for _ in range(3):  # a head that comes late reads them all
                await stage.accept()
            await asyncio.sleep(30)
            assert sum(isinstance(each, Handshake) for each in stage.heard) == 3

    caplog.set_level("INFO")
    play(test())
    assert [record.getMessage() for record in caplog.records if "accepted" in record.getMessage()] == [
        "a head has accepted this factory, which waits for campaigns"
    ]


def test_a_factory_without_a_head_ends_when_it_is_told_to(tmp_path: Path) -> None:
    async def test() -> None:
        async with Stage(tmp_path) as stage:
            await stage.hears(Handshake)
            stage.session.stop(is_hard=False)
            await stage.served

    play(test())


def test_a_campaign_that_ended_without_the_factory_is_forgotten_without_a_word(tmp_path: Path) -> None:
    async def test() -> None:
        async with Stage(tmp_path) as stage:
            await stage.accept()
            await stage.assign()
            stage.is_silent = True
            await stage.is_told(LeaseEnded)
            await stage.to_node(CampaignOver(campaign="another"))
            await asyncio.sleep(2.0)
            assert stage.heard[-1].state == "busy"  # type: ignore[union-attr]
            await stage.to_node(CampaignOver(campaign="c-1"))
            await asyncio.sleep(2.0)
            assert stage.heard[-1].state == "idle"  # type: ignore[union-attr]
            said = len(stage.told["c-1"])
            await asyncio.sleep(60.0)
            assert len(stage.told["c-1"]) == said
            assert not any(isinstance(each, Final) for each in stage.told["c-1"])

    play(test())


def test_a_factory_whose_lease_has_ended_takes_the_next_campaign_at_once(tmp_path: Path) -> None:
    async def test() -> None:
        async with Stage(tmp_path) as stage:
            await stage.accept()
            await stage.assign("c-1")
            stage.is_silent = True
            await stage.is_told(LeaseEnded)
            stage.is_silent = False
            began = stage.clock.now()
            await stage.assign("c-2")
            assert stage.clock.now() - began < 1.0

    play(test())


@pytest.mark.parametrize("is_hard", [False, True])
def test_a_campaign_is_ended_before_the_factory(tmp_path: Path, is_hard: bool) -> None:
    async def test() -> None:
        async with Stage(tmp_path) as stage:
            await stage.accept()
            await stage.assign()
            await asyncio.sleep(3)
            began = stage.clock.now()
            stage.session.stop(is_hard)
            await stage.to_node(assignment("c-2"), "c-2")
            stage.listen_to("c-2")
            await stage.served
            # The passes of `walk` take longer than the grace.
            assert stage.clock.now() - began == pytest.approx(0.0 if is_hard else 5.0, abs=0.2)
            final = await stage.is_told(Final)
            assert sum(rows["walk"][Slot.MINIONS_ABORTED] for rows in final.ledgers.values()) == 4
            # Others can run the next one: their head is told that this factory is gone, not that it failed.
            assert (await stage.is_told(Final, "c-2")).ledgers == {}
            assert stage.kinds("c-2") == [Final]
            await stage.hears(Farewell)
            beats = [message for message in stage.told["c-1"] if isinstance(message, Heartbeat)]
            assert len(beats) >= (3 if is_hard else 7)  # the head hears of it to the end

    play(test())


def test_a_factory_that_leaves_while_it_warms_up_does_not_fail_the_campaign(tmp_path: Path) -> None:
    async def test() -> None:
        async with Stage(tmp_path) as stage:
            await stage.accept()
            await stage.to_node(assignment(), "c-1")
            stage.listen_to("c-1")
            supervisor = stage.session._seats[0].supervisor
            was_interrupted = asyncio.Event()
            abort = supervisor.abort

            async def warm_up(directive: WarmUp) -> None:
                await was_interrupted.wait()
                raise FactoryError("interrupted")  # as a worker answers

            async def interrupt(directive: AbortCampaign) -> None:
                was_interrupted.set()
                await abort(directive)

            supervisor.warm_up, supervisor.abort = warm_up, interrupt  # type: ignore[method-assign]
            await stage.direct(DeclareMinions(minions={"walk": 4}))
            await stage.direct(WarmUp())
            await asyncio.sleep(1.0)
            stage.session.stop(is_hard=False)
            await stage.served
            assert Final in stage.kinds()
            assert DirectiveFailed not in stage.kinds()

    play(test())


def test_passes_that_end_within_the_grace_are_not_interrupted(tmp_path: Path) -> None:
    async def test() -> None:
        async with Stage(tmp_path, grace=GracefulShutdown(campaign=200_000.0)) as stage:
            await stage.accept()
            await stage.assign(scenario="quick")
            await stage.is_told(ScenarioEnded)
            stage.session.stop(is_hard=False)
            await stage.served
            final = await stage.is_told(Final)
            assert sum(rows["quick"][Slot.MINIONS_COMPLETED] for rows in final.ledgers.values()) == 4

    play(test())


def test_a_second_request_hurries_a_soft_end(tmp_path: Path) -> None:
    async def test() -> None:
        async with Stage(tmp_path, grace=GracefulShutdown(campaign=1e6)) as stage:
            await stage.accept()
            await stage.assign()
            await asyncio.sleep(3)
            stage.session.stop(is_hard=False)
            await asyncio.sleep(20)
            assert not stage.served.done()
            stage.session.stop(is_hard=True)
            await stage.served

    play(test())


def test_a_transport_that_is_given_up_interrupts_the_campaign_and_is_replaced(tmp_path: Path) -> None:
    async def test() -> None:
        async with Stage(tmp_path) as stage:
            await stage.accept()
            await stage.assign()
            await asyncio.sleep(3)
            lost = TransportClosed("Redis at 10.0.0.1:6379 does not answer, for 30 s now")
            stage.fail(lost)
            await ends(stage.served)
            with pytest.raises(TransportClosed):
                stage.served.result()
            stage.replace_transport()
            assert await stage.hears(Handshake, 2)
            await stage.hears(Heartbeat, 4)
            # What was counted is told to whoever drives the campaign now.
            stage.listen_to("c-1")
            ended = await stage.is_told(LeaseEnded)
            final = await stage.is_told(Final)
            assert ended.ledgers == final.ledgers
            assert sum(rows["walk"][Slot.MINIONS_ABORTED] for rows in final.ledgers.values()) == 4
            assert stage.heard[-1].state == "idle"  # type: ignore[union-attr]

    play(test())
