from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qalipsis import Minion, StepFailed, journey, profile, scenario
from qalipsis.engine.feed import Broadcast, Cursor, Unicast
from qalipsis.engine.pump import Shard
from qalipsis.engine.runner import WorkerEngine
from qalipsis.engine.source import Numbered
from qalipsis.engine.step import StepError
from qalipsis.engine.wheel import TimerWheel
from qalipsis.errors import ServiceUnavailable
from qalipsis.language import steps
from qalipsis.language.source import Feed
from qalipsis.metrics.ledger import Slot, ledger_bytes
from qalipsis.metrics.meters import WorkerMeters
from qalipsis.plan.compiler import compile_chain
from qalipsis.plan.ownership import Ownership
from qalipsis.plan.properties import Properties
from qalipsis.testing.virtual_clock import VirtualClock
from tests.engine.sources import Fed, Listed, ListedReader, find_source, listed

Play = Callable[..., Any]


def taking(source: Any, minions: int, taken: list[Any], times: int = 1) -> Any:
    return (
        scenario("taking", minions=minions)
        .start()
        .then(source)
        .named("take")
        .iterate(times)
        .on_each(lambda context, record: taken.append((context.minion.index, record)))
    )


async def test_a_unicast_record_goes_to_exactly_one_minion(play: Play) -> None:
    taken: list[Any] = []
    played = await play(taking(listed([1, 2], [3, 4, 5]).unicast(), 5, taken), find_source=find_source)
    assert sorted(record for _, record in taken) == [1, 2, 3, 4, 5]
    assert len({minion for minion, _ in taken}) == 5
    assert played[Slot.MINIONS_COMPLETED] == 5


async def test_a_source_as_a_step_is_unicast(play: Play) -> None:
    taken: list[Any] = []
    await play(taking(listed([1, 2]), 2, taken), find_source=find_source)
    assert sorted(record for _, record in taken) == [1, 2]


async def test_minions_of_a_dry_source_end_in_order_and_are_counted(play: Play) -> None:
    taken: list[Any] = []
    played = await play(taking(listed([1, 2]), 5, taken, times=1000), find_source=find_source)
    assert sorted(record for _, record in taken) == [1, 2]
    assert played[Slot.MINIONS_COMPLETED] == 5
    step = played.step("take")
    assert step.counters == {"records-read": 2, "records-delivered": 2, "found-none": 5, "ended": 1}
    assert step.failed == 0


async def test_a_dry_minion_does_not_walk_again(play: Play) -> None:
    taken: list[Any] = []
    stages = profile.stages(profile.stage(100, ramp_up="1s", total="100s"))
    chain = (
        scenario("taking", minions=2, profile=stages)
        .start()
        .then(listed([1, 2, 3]))
        .on_each(taken.append)
        .delay("1s")
    )
    played = await play(chain, find_source=find_source)
    assert sorted(taken) == [1, 2, 3]
    assert played[Slot.PASSES_STARTED] == 5
    assert played.seconds < 10


async def test_steps_that_name_the_same_feed_share_it(play: Play) -> None:
    taken: list[Any] = []
    rows = listed([1, 2]).unicast(name="rows")
    chain = (
        scenario("sharing", minions=1)
        .start()
        .then(rows)
        .named("first")
        .on_each(taken.append)
        .then(rows)
        .named("second")
        .on_each(taken.append)
    )
    await play(chain, find_source=find_source)
    assert taken == [1, 2]


async def test_a_minion_waits_for_a_record_that_comes_later(play: Play) -> None:
    source, taken = Fed(), []  # type: ignore[var-annotated]

    def meddle(engine: Any, elapsed: float) -> None:
        if elapsed > 5 and not source.queue.qsize() and len(taken) < 1:
            source.queue.put_nowait("late")

    chain = scenario("late", minions=1).start().then(source).on_each(taken.append)
    played = await play(chain, seconds=20, find_source=find_source, meddle=meddle)
    assert taken == ["late"]
    assert 5 <= played.seconds < 6


async def test_a_feed_without_records_for_its_idle_timeout_ends(play: Play) -> None:
    taken: list[Any] = []
    played = await play(
        taking(Fed((["only"],)).unicast(idle_timeout="10s"), 2, taken), find_source=find_source
    )
    assert [record for _, record in taken] == ["only"]
    assert 9.9 <= played.seconds < 10.1
    assert played[Slot.MINIONS_COMPLETED] == 2


async def test_a_source_that_breaks_fails_those_who_wait_under_its_class(play: Play) -> None:
    taken: list[Any] = []
    source = listed([1], StepError("closed", "lost the broker at 127.0.0.1:9"))
    played = await play(taking(source, 3, taken), find_source=find_source)
    step = played.step("take")
    assert [record for _, record in taken] == [1]
    assert step.errors == {"closed": 2}
    assert "127.0.0.1:9" in step.first_error
    assert played[Slot.MINIONS_FAILED] == 2


async def test_every_minion_gets_every_broadcast_record(play: Play) -> None:
    taken: list[Any] = []
    await play(taking(listed([1, 2], [3]).broadcast(), 3, taken, times=3), find_source=find_source)
    assert Counter(taken) == {(minion, record): 1 for minion in range(3) for record in (1, 2, 3)}


async def test_a_looped_source_starts_over(play: Play) -> None:
    taken: list[Any] = []
    source = listed([1, 2])
    played = await play(taking(source.loop(), 2, taken, times=5), find_source=find_source)
    for minion in range(2):
        assert [record for index, record in taken if index == minion] == [1, 2, 1, 2, 1]
    assert played[Slot.MINIONS_COMPLETED] == 2
    assert len(source.closed) == len(source.opened)


async def test_a_looped_source_without_records_ends_instead_of_spinning(play: Play) -> None:
    taken: list[Any] = []
    played = await play(taking(listed().loop(), 2, taken), find_source=find_source)
    assert taken == []
    assert played[Slot.MINIONS_COMPLETED] == 2


async def test_each_minion_reads_a_sequential_source_from_its_beginning(play: Play) -> None:
    taken: list[Any] = []
    source = listed([1], [2], [3])
    await play(taking(source.sequential(), 3, taken, times=2), find_source=find_source)
    assert Counter(taken) == {(minion, record): 1 for minion in range(3) for record in (1, 2)}
    assert len(source.closed) == len(source.opened)


async def test_readers_are_closed_when_the_engine_is(play: Play) -> None:
    source = Fed((["a"],))
    await play(taking(source, 1, []), find_source=find_source)
    assert len(source.closed) == len(source.opened) == 1


async def test_rows_are_dealt_to_workers_without_a_gap_or_a_repeat() -> None:
    ownership = Ownership((2, 1, 0, 3))
    rows = list(range(1000))
    shards = [Shard(ownership.owner, worker) for worker in range(4)]
    got = [[*shard.own(rows[:333]), *shard.own(rows[333:])] for shard in shards]
    assert sorted(row for own in got for row in own) == rows
    assert got[2] == []


async def test_records_with_numbers_of_their_own_go_to_one_worker_whatever_their_order() -> None:
    ownership = Ownership((2, 1))
    rows = list(range(100))
    shards = [Shard(ownership.owner, worker) for worker in range(2)]
    first = shards[0].own(Numbered(rows, rows))
    second = shards[1].own(Numbered(rows[::-1], rows[::-1]))
    assert sorted([*first, *second]) == rows
    assert first
    assert second


class Someone:
    """A minion as far as feeds know it."""

    def __init__(self) -> None:
        self.resources: dict[Any, Any] = {}
        self.is_dry = False


class Record:
    def __init__(self) -> None:
        self.minion = Someone()


@settings(max_examples=200)
@given(st.lists(st.one_of(st.integers(0, 3), st.just("put")), max_size=200), st.integers(1, 10))
def test_a_bounded_broadcast_keeps_few_records_and_skips_none(moves: list[Any], buffer: int) -> None:
    feed = Broadcast(WorkerMeters().step("s", "n", "t"), TimerWheel(VirtualClock()), buffer=buffer)
    minions: dict[int, Any] = {}
    got: dict[int, list[int]] = {}
    given_out = 0
    for move in moves:
        if move == "put":
            if feed.has_room():
                feed.put([given_out])
                given_out += 1
            assert len(feed._records) <= buffer
        else:
            context = minions.setdefault(move, Record())
            value = feed.take(context)
            if isinstance(value, int):
                got.setdefault(move, []).append(value)
    for values in got.values():
        assert values == list(range(values[0], values[0] + len(values)))


def test_a_minion_that_ends_no_longer_holds_a_broadcast_back() -> None:
    feed = Broadcast(WorkerMeters().step("s", "n", "t"), TimerWheel(VirtualClock()), buffer=4)
    fast, slow = Record(), Record()
    went_on: list[int] = []
    feed.go_on = lambda: went_on.append(1)
    feed.put([0, 1, 2, 3])
    for _ in range(4):
        feed.take(fast)
    feed.take(slow)
    assert not feed.has_room()
    [cursor] = [each for each in slow.minion.resources.values() if isinstance(each, Cursor)]
    cursor.close()
    assert went_on
    assert feed.has_room()


def test_a_unicast_reads_on_once_half_of_its_buffer_is_used() -> None:
    feed = Unicast(WorkerMeters().step("s", "n", "t"), TimerWheel(VirtualClock()), buffer=10)
    went_on: list[int] = []
    feed.go_on = lambda: went_on.append(1)
    feed.put(list(range(10)))
    assert not feed.has_room()
    for _ in range(4):
        feed.take(Record())
    assert not went_on
    feed.take(Record())
    assert went_on


@pytest.mark.parametrize(
    ("feed", "problem"),
    [
        (listed().unicast(buffer=0), "unicast(buffer=0) should be a whole number of at least 1"),
        (
            listed().unicast(idle_timeout=-1),
            "unicast idle_timeout cannot be negative: -1; write how long, such as '1s'",
        ),
        (Fed().loop(), "loop() starts over what ends, and test.fed never does: use broadcast()"),
    ],
)
def test_mistakes_of_a_feed_are_named(feed: Feed[Any], problem: str) -> None:
    assert feed.problems() == [problem]


async def test_a_journey_takes_records_and_ends_in_order_when_none_is_left(play: Play) -> None:
    taken: list[Any] = []
    rows = listed([1, 2, 3])

    @journey("taking", minions=2)
    async def walk(minion: Minion) -> None:
        try:
            while True:
                taken.append(await minion.take(rows, name="row"))
        except Exception as error:  # an author who catches everything must not keep a dry journey going
            taken.append(error)

    played = await play(walk.chain(), find_source=find_source)
    assert sorted(taken) == [1, 2, 3]
    assert played[Slot.MINIONS_COMPLETED] == 2
    assert played.step("row").counters["found-none"] == 2


async def test_a_journey_waits_for_a_record(play: Play) -> None:
    source, taken = Fed(), []  # type: ignore[var-annotated]

    def meddle(engine: Any, elapsed: float) -> None:
        if elapsed > 2 and not taken:
            source.queue.put_nowait("late")

    @journey("taking")
    async def walk(minion: Minion) -> None:
        taken.append(await minion.take(source))

    await play(walk.chain(), find_source=find_source, meddle=meddle, seconds=30)
    assert taken == ["late"]


async def test_a_journey_is_told_that_its_source_broke(play: Play) -> None:
    taken: list[Any] = []
    source = listed(StepError("closed", "lost the broker"))

    @journey("taking")
    async def walk(minion: Minion) -> None:
        try:
            await minion.take(source)
        except StepFailed as error:
            taken.append((error.kind, str(error)))

    await play(walk.chain(), find_source=find_source)
    assert taken == [("closed", "listed: lost the broker")]


async def test_a_take_keeps_its_timeout(play: Play) -> None:
    chain = scenario("slow", minions=1).start().then(Fed()).named("row").timeout("3s")
    played = await play(chain, find_source=find_source)
    assert played.step("row").timeouts == 1
    assert 3 <= played.seconds < 3.1


async def test_a_minion_that_gave_up_takes_no_record(play: Play) -> None:
    source, taken = Fed(), []  # type: ignore[var-annotated]

    def meddle(engine: Any, elapsed: float) -> None:
        if elapsed > 2 and not source.queue.qsize() and len(taken) < 1:
            source.queue.put_nowait("late")

    chain = (
        scenario("slow", minions=2, profile=profile.regular("1500ms", 1))
        .start()
        .then(source)
        .named("row")
        .timeout("1s")
        .on_each(taken.append)
    )
    played = await play(chain, find_source=find_source, meddle=meddle, seconds=10)
    assert taken == ["late"]
    assert played.step("row").timeouts == 1


async def test_minions_that_wait_for_a_record_end_with_the_last_stage(play: Play) -> None:
    stages = profile.stages(profile.stage(100, ramp_up="1s", total="5s"))
    chain = scenario("waiting", minions=2, profile=stages).start().then(Fed()).named("row")
    played = await play(chain, find_source=find_source, seconds=60)
    assert 5 <= played.seconds < 5.1
    assert played[Slot.MINIONS_COMPLETED] == 2


@pytest.mark.parametrize("mode", ["unicast", "broadcast", "sequential"])
async def test_minions_that_wait_for_a_record_end_with_a_soft_stop(play: Play, mode: str) -> None:
    def meddle(engine: Any, elapsed: float) -> None:
        if elapsed > 3:
            engine.stop()

    source = Fed()
    chain = scenario("waiting", minions=2).start().then(getattr(source, mode)()).named("row")
    played = await play(chain, find_source=find_source, meddle=meddle, seconds=60)
    assert 3 <= played.seconds < 3.2
    assert played[Slot.MINIONS_COMPLETED] == 2
    assert len(source.closed) == len(source.opened)


async def test_a_source_that_waits_for_room_is_not_idle(play: Play) -> None:
    taken: list[Any] = []
    source = listed([1], [2], [3], [4]).unicast(buffer=1, idle_timeout="1s")
    chain = scenario("slow", minions=1).start().then(source).iterate(10).delay("3s").on_each(taken.append)
    await play(chain, find_source=find_source)
    assert taken == [1, 2, 3, 4]


def test_who_gave_up_is_not_kept() -> None:
    feed = Unicast(WorkerMeters().step("s", "n", "t"), TimerWheel(VirtualClock()))
    for _ in range(10):
        feed.wait(Record(), object()).cancel()  # type: ignore[arg-type]
    assert not feed._waiting


async def test_a_dry_source_ends_the_iterations_of_a_step_with_a_timeout(play: Play) -> None:
    chain = scenario("dry", minions=1).start().then(listed([1])).named("take").timeout("1s").iterate(5_000)
    played = await play(chain, find_source=find_source)
    assert played.step("take").counters["found-none"] == 1


@pytest.mark.parametrize("make", [Unicast, Broadcast])
def test_a_feed_that_ended_wants_no_more_records(make: Any) -> None:
    """A loop would otherwise read its file over and over again, as fast as it can."""
    feed = make(WorkerMeters().step("s", "n", "t"), TimerWheel(VirtualClock()))
    assert feed.has_room()
    feed.stop()
    assert not feed.has_room()


async def test_nobody_begins_to_wait_for_a_record_after_a_stop(play: Play) -> None:
    is_stopped: list[bool] = []
    source = Fed()

    def meddle(engine: Any, elapsed: float) -> None:
        if elapsed > 1 and not is_stopped:
            is_stopped.append(True)
            engine.stop()

    @journey("taking")
    async def walk(minion: Minion) -> None:
        await minion.pause("2s")
        await minion.take(source, name="row")

    graph = scenario("own", minions=1).start().delay("2s").then(source.sequential()).named("row")
    for chain in (graph, walk.chain()):
        is_stopped.clear()
        played = await play(chain, find_source=find_source, meddle=meddle)
        assert played[Slot.MINIONS_COMPLETED] == 1
        assert not played.step("row").counters.get("found-none"), "nobody can know whether it ran dry"


@dataclass(frozen=True)
class Same(Listed):
    """A source that equals another one with the same settings, as those of plugins do."""

    opened: list[Any] = field(default_factory=list, compare=False)
    closed: list[Any] = field(default_factory=list, compare=False)


async def test_equal_sources_of_a_journey_are_one_however_many_specs_it_makes(play: Play) -> None:
    taken: list[Any] = []

    @journey("taking", minions=2)
    async def walk(minion: Minion) -> None:
        for _ in range(1_000):
            record = await minion.take(Same((list(range(900)),)), name="row")
            taken.append(record)

    await play(walk.chain(), find_source=find_source)
    assert sorted(taken) == list(range(900))


async def test_a_journey_does_not_read_a_source_again_after_many_other_steps(play: Play) -> None:
    taken: list[Any] = []
    rows = listed(list(range(800)))

    @journey("taking")
    async def walk(minion: Minion) -> None:
        for _ in range(1_000):
            taken.append(await minion.take(rows, name="row"))
            await minion.do(steps.Returns(taken[-1]), name="made-anew")

    await play(walk.chain(), find_source=find_source)
    assert taken == list(range(800))
    assert len(rows.opened) == 1


async def test_a_journey_opens_no_end_of_sources(play: Play) -> None:
    made: list[Listed] = []

    @journey("taking")
    async def walk(minion: Minion) -> None:
        for _ in range(200):
            made.append(listed([1]))
            await minion.take(made[-1], name="row")

    played = await play(walk.chain(), find_source=find_source)
    assert sum(len(source.opened) for source in made) == 100
    assert played.step("row").errors == {}
    assert played[Slot.MINIONS_FAILED] == 1


@pytest.mark.parametrize("is_grouped", [False, True])
async def test_a_dry_source_ends_a_journey_however_it_is_asked(play: Play, is_grouped: bool) -> None:
    taken: list[Any] = []
    rows = listed([1])

    async def take(minion: Minion) -> None:
        taken.append(await minion.do(rows, name="row"))

    @journey("taking")
    async def walk(minion: Minion) -> None:
        await take(minion)
        if is_grouped:
            async with asyncio.TaskGroup() as group:
                group.create_task(take(minion))
        else:
            await take(minion)
        taken.append("after")

    played = await play(walk.chain(), find_source=find_source)
    assert taken == [1]
    assert played[Slot.MINIONS_COMPLETED] == 1


async def test_a_reader_that_cannot_be_closed_keeps_nobody_waiting(play: Play, caplog: Any) -> None:
    class Broken(ListedReader):
        async def aclose(self) -> None:
            raise OSError("broken pipe")

    chain = scenario("taking", minions=2).start().then(listed([1])).named("take")
    played = await play(chain, find_source=lambda kind: Broken, seconds=50)
    assert played[Slot.MINIONS_COMPLETED] == 2
    assert played.seconds < 1
    assert [record.getMessage() for record in caplog.records] == ["closing a source broke"]


async def test_a_source_is_closed_when_the_next_one_refuses_the_start() -> None:
    first, second = Fed(), listed()

    class Refusing(ListedReader):
        async def open(self, runtime: Any) -> None:
            if runtime.meters.name == "second":
                raise ServiceUnavailable("there is no such topic")
            await super().open(runtime)

    chain = scenario("taking").start().then(first).named("first").then(second).named("second")
    plan, _ = compile_chain(chain, Properties({}))
    assert plan is not None
    engine = WorkerEngine(
        {"taking": plan}, ["taking"], memoryview(bytearray(ledger_bytes(1))), Ownership((1,)), 0,
        VirtualClock(), find_source=lambda kind: Refusing,
    )  # fmt: skip
    with pytest.raises(ServiceUnavailable):
        await engine.open({"taking": 1})
    await engine.aclose()
    assert len(first.opened) == len(first.closed) == 1
