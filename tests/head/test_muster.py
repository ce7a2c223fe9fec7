"""How long a campaign waits for its factories, and what it then has."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from qalipsis.cluster.messages import PROTOCOL, Handshake, Heartbeat
from qalipsis.errors import CampaignRefused, FactoriesMissing, FactoryError
from qalipsis.head.campaign_request import CampaignRequest
from qalipsis.head.directory import Beat
from qalipsis.head.fleet import Fleet, NoFactoryFree
from qalipsis.head.memory_directory import MemoryDirectory
from qalipsis.head.muster import LOOK_SECONDS, REPLACED_SECONDS, Left, muster, tried_muster
from tests.head.stage import SHOP, Stage, virtual


async def come(stage: Stage, node: str, **more: Any) -> None:
    handshake = Handshake(node=node, protocol=PROTOCOL, version="1", workers=1, scenarios=(SHOP,))
    await stage.directory.register(msgspec.structs.replace(handshake, **more), 1)


async def beat(stage: Stage, *nodes: str) -> None:
    while True:
        await asyncio.sleep(1)
        for node in nodes:
            await stage.directory.hear([Beat(node, 1, Heartbeat(state="idle", sequence=1, clock=0.0))])


async def find(stage: Stage, **changes: Any) -> Fleet:
    settings: dict[str, Any] = {"key": "c-1", "name": None, "seed": 1, "factories_timeout": 10.0} | changes
    return await muster(stage.office, CampaignRequest(**settings))


async def held(stage: Stage) -> dict[str, str | None]:
    return {each.node: next(iter(each.campaigns), None) for each in await stage.directory.factories()}


@virtual
async def test_factories_that_are_there_are_reserved_at_once() -> None:
    stage = Stage()
    await come(stage, "a")
    await come(stage, "b")
    began = stage.clock.now()
    fleet = await find(stage)
    assert [each.node for each in fleet.factories] == ["a", "b"]
    assert stage.clock.now() == began
    assert await held(stage) == {"a": "c-1", "b": "c-1"}
    assert await find(stage) == fleet  # after a change of the head


@virtual
async def test_it_waits_for_those_that_are_required() -> None:
    stage = Stage()
    await come(stage, "a")
    finding = asyncio.ensure_future(find(stage, required_factories=2))
    await asyncio.sleep(3)
    assert not finding.done()
    assert await held(stage) == {"a": None}
    await come(stage, "b")
    await asyncio.sleep(LOOK_SECONDS)
    assert len((await finding).factories) == 2


@virtual
async def test_too_few_are_told_with_how_many_came() -> None:
    stage = Stage()
    await come(stage, "a")
    beating = asyncio.ensure_future(beat(stage, "a"))
    with pytest.raises(FactoryError) as late:
        await find(stage, required_factories=3)
    beating.cancel()
    assert str(late.value) == (
        "1 of the 3 required factories came within 10 s: start the others, or lower "
        "campaign.required-factories"
    )


@virtual
async def test_silent_factories_do_not_count() -> None:
    stage = Stage()
    await come(stage, "a")
    await asyncio.sleep(5)
    with pytest.raises(FactoryError, match="0 of the 1 required"):
        await find(stage)


@virtual
async def test_busy_factories_are_waited_for() -> None:
    stage = Stage()
    await come(stage, "a")
    await stage.directory.reserve("c-0", [("a", 1)])
    beating = asyncio.ensure_future(beat(stage, "a"))
    finding = asyncio.ensure_future(find(stage))
    await asyncio.sleep(5)
    assert not finding.done()
    await stage.directory.release("c-0")
    await finding
    assert await held(stage) == {"a": "c-1"}
    with pytest.raises(NoFactoryFree, match="no factory is free: a works for c-1"):
        await find(stage, key="c-2")
    beating.cancel()


@virtual
async def test_what_waiting_would_not_change_is_refused_at_once() -> None:
    stage = Stage()
    await come(stage, "a")
    await come(stage, "b", scenarios=(msgspec.structs.replace(SHOP, digest="other"),))
    began = stage.clock.now()
    with pytest.raises(CampaignRefused, match="different versions"):
        await find(stage)
    assert stage.clock.now() == began
    assert await held(stage) == {"a": None, "b": None}


@virtual
async def test_whoever_was_quicker_to_reserve_them_is_waited_for_too() -> None:
    stage = Stage()

    class Contested(MemoryDirectory):
        """Another head reserves just before the first attempt of this one."""

        attempts = 0

        async def reserve(self, campaign: str, factories: Any) -> bool:
            self.attempts += 1
            if self.attempts == 1:
                await super().reserve("c-0", factories)
            return await super().reserve(campaign, factories)

    stage.directory = contested = Contested(stage.clock)
    stage.office = stage.office_of("head")
    await come(stage, "a")
    finding = asyncio.ensure_future(find(stage))
    await asyncio.sleep(1)
    assert (finding.done(), await held(stage)) == (False, {"a": "c-0"})
    await contested.release("c-0")
    await finding
    assert await held(stage) == {"a": "c-1"}


@virtual
async def test_of_two_campaigns_each_factory_works_for_one() -> None:
    stage = Stage()
    for node in "ab":
        await come(stage, node)
    fleets = await asyncio.gather(
        find(stage), find(stage, key="c-2", factories_timeout=1.0), return_exceptions=True
    )
    assert sum(isinstance(each, Fleet) for each in fleets) == 1
    assert len(set((await held(stage)).values())) == 1


async def find_anew(stage: Stage, left: Left, **changes: Any) -> Fleet:
    settings: dict[str, Any] = {"key": "c-1", "name": None, "seed": 1, "factories_timeout": 3600.0} | changes
    fleet = await tried_muster(stage.office, CampaignRequest(**settings), left)
    if isinstance(fleet, Exception):
        raise fleet
    return fleet


@virtual
async def test_a_campaign_that_begins_anew_takes_whoever_has_forgotten_it_and_nobody_of_before() -> None:
    stage = Stage()
    for node in "abcde":
        await come(stage, node)
    # a has ended what was before, b was lost, c still works, d was started again, e was not there before.
    for node, campaigns in (("a", ()), ("c", ("c-1",))):
        said = Heartbeat(state="idle", sequence=7, clock=0.0, campaigns=campaigns)
        await stage.directory.hear([Beat(node, 1, said)])
    left = Left(lost=frozenset("b"), heard={("a", 1): 7, ("b", 1): 3, ("c", 1): 7, ("d", 0): 9})
    finding = asyncio.ensure_future(find_anew(stage, left))
    await asyncio.sleep(1)
    assert not finding.done()
    await stage.directory.hear([Beat("c", 1, Heartbeat(state="idle", sequence=8, clock=0.0))])
    assert [each.node for each in (await finding).factories] == ["a", "c", "e"]


@virtual
async def test_too_few_that_are_left_are_waited_for_a_short_time_only() -> None:
    stage = Stage()
    for node in "ab":
        await come(stage, node)
    beating = asyncio.ensure_future(beat(stage, "a", "b"))
    began = stage.clock.now()
    reason = "1 of the 2 required factories came within 30 s: .*; lost before the start, and taken no more: b"
    with pytest.raises(FactoriesMissing, match=reason):
        await find_anew(stage, Left(lost=frozenset("b")), required_factories=2)
    with pytest.raises(NoFactoryFree, match=r"a did not end what was begun before a factory was lost; .*: b"):
        await find_anew(stage, Left(lost=frozenset("b"), heard={("a", 1): 10**6}))
    assert stage.clock.now() - began == pytest.approx(2 * REPLACED_SECONDS, abs=2)
    beating.cancel()
