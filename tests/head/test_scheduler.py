"""Scheduled campaigns when heads die, come late, or are several; in a time that leaps."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from qalipsis.errors import ServiceUnavailable
from qalipsis.head.campaign_configuration import from_kept
from qalipsis.head.campaign_list import CampaignQuery
from qalipsis.head.memory_store import MemoryStore
from qalipsis.head.scheduler import Scheduler, next_key
from qalipsis.testing.loop_clock import LoopClock
from qalipsis.testing.virtual_loop import VirtualLoop
from tests.head.api.desk import Desk, configuration
from tests.head.stage import MortalStore

AT_ONCE = from_kept(configuration())
HOURLY = from_kept(configuration(scheduledAt="2000-01-01T01:00:00Z", scheduling={"scheduling": "HOURLY"}))
HOUR = 3600


def run(test: Coroutine[Any, Any, None]) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(test)


def clock() -> LoopClock:
    return LoopClock(cast("VirtualLoop", asyncio.get_running_loop()))


@asynccontextmanager
async def open_head(
    store: MemoryStore, name: str, *, is_alone: bool = False, seen: MemoryStore | MortalStore | None = None
) -> AsyncIterator[Desk]:
    """A head of this store, which it sees through `seen`. Its campaigns take a second."""
    desk = Desk(clock=clock(), store=cast("MemoryStore", seen or store), head=name, is_alone=is_alone)
    desk.welcome()
    tasks = [asyncio.create_task(desk.service.serve()), asyncio.create_task(_end_runs(desk))]
    try:
        yield desk
    finally:
        waiting = set(tasks)
        while waiting:  # who died in the middle of a call does not even clean up
            for task in waiting:
                task.cancel()
            _, waiting = await asyncio.wait(waiting, timeout=0.01)


async def _end_runs(desk: Desk) -> None:
    done = 0
    while True:
        await asyncio.sleep(1)
        for each in desk.runs[done:]:
            each.go()
            done += 1


async def schedule(head: Desk) -> str:
    return (await head.service.schedule(HOURLY, "somebody")).key


async def kept(store: MemoryStore) -> dict[str, tuple[str, str]]:
    """The status and the planned hour of each campaign, by the end of its key."""
    page = await store.campaigns(CampaignQuery(size=100))
    return {
        each.key[22:]: (each.status, f"{each.scheduled_at:%H:%M}")
        for each in sorted(page.elements, key=lambda record: record.key)
    }


def test_a_head_that_was_away_starts_late_and_once() -> None:
    async def test() -> None:
        store = MemoryStore(clock())
        async with open_head(store, "first") as head:
            await schedule(head)
        await asyncio.sleep(5.5 * HOUR)
        async with open_head(store, "second", is_alone=True) as desk:
            await asyncio.sleep(60)
            assert len(desk.runs) == 1
            assert await kept(store) == {"": ("SUCCESSFUL", "01:00"), "-n2": ("SCHEDULED", "06:00")}

    run(test())


def test_of_several_heads_one_starts_it() -> None:
    async def test() -> None:
        store = MemoryStore(clock())
        async with (
            open_head(store, "first") as first,
            open_head(store, "second") as second,
            open_head(store, "third") as third,
        ):
            await schedule(first)
            await asyncio.sleep(2.5 * HOUR)
            runs = Counter(each.request.key[22:] for desk in (first, second, third) for each in desk.runs)
            assert runs == {"": 1, "-n2": 1}
            assert (await kept(store))["-n3"] == ("SCHEDULED", "03:00")

    run(test())


@pytest.mark.parametrize("has_effect", [False, True])
@pytest.mark.parametrize("calls", range(1, 17))
def test_wherever_a_head_dies_the_series_goes_on(calls: int, has_effect: bool) -> None:
    """From its first look after the campaign was due to the end of it."""

    async def test() -> None:
        store = MemoryStore(clock())
        async with open_head(store, "there before") as head:
            await schedule(head)
        await asyncio.sleep(HOUR)
        async with open_head(store, "mortal", seen=MortalStore(store, calls, has_effect)) as mortal:
            await asyncio.sleep(10)
        async with open_head(store, "heir") as heir:
            await asyncio.sleep(60)
        await asyncio.sleep(HOUR - 80)
        async with open_head(store, "heir's heir") as last:
            await asyncio.sleep(30)
        runs = Counter(each.request.key[22:] for desk in (mortal, heir, last) for each in desk.runs)
        assert runs[""] in (1, 2)  # two only when the first died before it entered its first state
        assert runs == {"": runs[""], "-n2": 1}
        found = await kept(store)
        assert list(found) == ["", "-n2", "-n3"]
        assert [found[key][1] for key in found] == ["01:00", "02:00", "03:00"]
        assert found["-n2"][0] == "SUCCESSFUL"

    run(test())


def test_aborting_what_a_dead_head_had_just_followed_up_ends_the_series() -> None:
    async def test() -> None:
        store = MemoryStore(clock())
        async with open_head(store, "first") as head:
            key = await schedule(head)
            record = await store.campaign(key)
            assert record is not None
            await Scheduler(store, "dead", lambda: datetime(2000, 1, 1, 1, tzinfo=UTC)).follow_up(record)
            assert (await kept(store))["-n2"] == ("SCHEDULED", "02:00")
            await head.service.abort(key, False, "somebody")
            assert await kept(store) == {"": ("ABORTED", "01:00"), "-n2": ("ABORTED", "02:00")}

    run(test())


async def wait_in_line(desk: Desk) -> list[str]:
    """Have a campaign become due while others hold the factory; returns all keys, its own first."""
    await asyncio.sleep(HOUR - 1.5)
    keys = [await schedule(desk)]
    keys += [(await desk.service.start(AT_ONCE, "somebody else")).key for _ in range(4)]
    await asyncio.sleep(2)
    return keys


def test_what_is_due_and_waits_stays_due_when_its_head_is_stopped() -> None:
    async def test() -> None:
        store = MemoryStore(clock())
        async with open_head(store, "first", is_alone=True) as desk:
            due, *others = await wait_in_line(desk)
            await desk.service.aclose(is_hard=True)
            record = await store.campaign(due)
            assert record is not None
            assert (record.state, record.status, record.owner) == ("SCHEDULED", "SCHEDULED", None)
            ended = [each for key in others if (each := await store.campaign(key)) is not None]
            assert {each.status for each in ended} == {"SUCCESSFUL", "ABORTED"}
        async with open_head(store, "second") as desk:
            await asyncio.sleep(2)
            assert [each.request.key for each in desk.runs] == [due]

    run(test())


def test_what_waits_at_a_head_of_a_cluster_is_left_to_the_others_when_it_is_stopped() -> None:
    async def test() -> None:
        store = MemoryStore(clock())
        async with open_head(store, "first") as desk:
            keys = await wait_in_line(desk)
            await desk.service.aclose(is_hard=True)
        async with open_head(store, "second"):
            await asyncio.sleep(20)
            ended = [each for key in keys if (each := await store.campaign(key)) is not None]
            assert [each.status for each in ended] == ["SUCCESSFUL"] * 5

    run(test())


def test_a_store_that_is_away_costs_a_series_nothing() -> None:
    class Away(MemoryStore):
        is_away = False

        async def create_campaign(self, new: Any) -> Any:
            if self.is_away:
                raise ServiceUnavailable("the store is away")
            return await super().create_campaign(new)

    async def test() -> None:
        store = Away(clock())
        async with open_head(store, "head") as desk:
            await schedule(desk)
            store.is_away = True
            await asyncio.sleep(HOUR + 60)
            assert desk.runs == []
            assert await kept(store) == {"": ("SCHEDULED", "01:00")}
            store.is_away = False
            await asyncio.sleep(10)
            assert await kept(store) == {"": ("SUCCESSFUL", "01:00"), "-n2": ("SCHEDULED", "02:00")}

    run(test())


def test_what_cannot_be_read_any_more_fails_and_holds_nobody_up() -> None:
    async def test() -> None:
        store = MemoryStore(clock())
        async with open_head(store, "head") as desk:
            key = await schedule(desk)
            other = await schedule(desk)
            store._kept[key].record.configuration.clear()
            await asyncio.sleep(HOUR + 120)
            record = await store.campaign(key)
            assert record is not None
            assert (record.status, "not started with a configuration" in str(record.failure_reason)) == (
                *("FAILED", True),
            )
            assert [each.request.key for each in desk.runs] == [other]

    run(test())


def test_the_campaigns_of_a_series_are_numbered() -> None:
    keys = ["20261128-090000-123456"]
    for _ in range(10):
        keys.append(next_key(keys[-1]))
    assert keys[1:3] == ["20261128-090000-123456-n2", "20261128-090000-123456-n3"]
    assert keys[-1] == "20261128-090000-123456-n11"
