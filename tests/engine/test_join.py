from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from decimal import Decimal
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qalipsis import Pair, scenario
from qalipsis.engine.join import Branch, Join, Zip
from qalipsis.engine.operation import WAIT
from qalipsis.engine.step import StepError
from qalipsis.engine.wheel import TimerWheel
from qalipsis.metrics.ledger import Slot
from qalipsis.metrics.meters import WorkerMeters
from qalipsis.testing.virtual_clock import VirtualClock
from tests.engine.sources import Fed, find_source, listed

Play = Callable[..., Any]


class Name(StrEnum):
    ADA = "ada"


def join_with(right: Any, pairs: list[Any], minions: int = 3, **options: Any) -> Any:
    return (
        scenario("joining", minions=minions)
        .start()
        .returns(lambda context, _: context.minion.index)
        .inner_join(right, on=lambda index: index, having=lambda record: record[0], timeout="10s", **options)
        .named("join")
        .on_each(pairs.append)
    )


async def test_a_record_meets_the_right_value_with_its_key(play: Play) -> None:
    pairs: list[Any] = []
    played = await play(join_with(listed([(1, "b"), (0, "a")], [(2, "c")]), pairs), find_source=find_source)
    assert sorted(pairs, key=lambda pair: pair.left) == [
        Pair(0, (0, "a")),
        Pair(1, (1, "b")),
        Pair(2, (2, "c")),
    ]
    assert played.step("join").counters == {
        "right-read": 3, "matched": 3, "left-unmatched": 0, "right-evicted": 0,
    }  # fmt: skip
    assert played[Slot.MINIONS_COMPLETED] == 3


async def test_a_record_waits_for_a_value_that_comes_later(play: Play) -> None:
    source, pairs = Fed(), []  # type: ignore[var-annotated]

    def meddle(engine: Any, elapsed: float) -> None:
        if elapsed > 3 and not pairs:
            source.queue.put_nowait((0, "late"))

    await play(join_with(source, pairs, minions=1), find_source=find_source, meddle=meddle)
    assert pairs == [Pair(0, (0, "late"))]


async def test_a_record_without_a_match_fails_after_the_timeout(play: Play) -> None:
    pairs: list[Any] = []
    played = await play(join_with(listed([(0, "a"), (9, "z")]), pairs, minions=2), find_source=find_source)
    step = played.step("join")
    assert len(pairs) == 1
    assert step.errors == {"unmatched": 1}
    assert "the key 1 came within 10 s" in step.first_error
    assert (step.counters["left-unmatched"], step.counters["right-read"], step.counters["matched"]) == (
        1,
        2,
        1,
    )
    assert 10 <= played.seconds < 10.1


async def test_a_left_join_goes_on_without_a_match(play: Play) -> None:
    pairs: list[Any] = []
    chain = (
        scenario("joining", minions=2)
        .start()
        .returns(lambda context, _: context.minion.index)
        .left_join(listed([(0, "a")]), on=lambda i: i, having=lambda record: record[0], timeout="10s")
        .on_each(pairs.append)
    )
    played = await play(chain, find_source=find_source)
    assert sorted(pairs, key=lambda pair: pair.left) == [Pair(0, (0, "a")), Pair(1, None)]
    assert played[Slot.MINIONS_COMPLETED] == 2


async def test_a_key_that_cannot_be_made_spoils_only_its_record(play: Play) -> None:
    pairs: list[Any] = []
    played = await play(join_with(listed([None, (0, "a"), ([],)]), pairs, minions=1), find_source=find_source)
    assert pairs == [Pair(0, (0, "a"))]
    assert played.step("join").counters["right-broken"] == 2


async def test_keys_of_types_that_never_match_are_warned_about_once(play: Play, caplog: Any) -> None:
    pairs: list[Any] = []
    await play(join_with(listed([("0", "a"), ("1", "b")]), pairs, minions=2), find_source=find_source)
    warnings = [record.getMessage() for record in caplog.records if "never equal" in record.getMessage()]
    assert warnings == ["join: keys on the left are int, on the right str, and never equal: convert one side"]


async def test_a_right_side_that_breaks_fails_who_waits(play: Play) -> None:
    pairs: list[Any] = []
    source = listed(StepError("closed", "lost the broker"))
    played = await play(join_with(source, pairs, minions=2), find_source=find_source)
    assert played.step("join").errors == {"closed": 2}
    assert played.seconds < 1


async def test_a_step_is_joined_by_its_name(play: Play) -> None:
    pairs: list[Any] = []
    chain = (
        scenario("joining", minions=3)
        .aside(
            "rows", lambda aside: aside.then(listed([0, 1, 2])).map(lambda row: (row, row * 10)).named("rows")
        )
        .start()
        .returns(lambda context, _: context.minion.index)
        .inner_join("rows", on=lambda index: index, having=lambda row: row[0], timeout="5s")
        .on_each(pairs.append)
    )
    played = await play(chain, find_source=find_source)
    assert sorted(pair.right[1] for pair in pairs) == [0, 10, 20]
    assert played[Slot.MINIONS_STARTED] == played[Slot.MINIONS_COMPLETED] == 3
    assert played.step("rows").successful == 3


async def test_a_zip_uses_each_value_once_in_order(play: Play) -> None:
    pairs: list[Any] = []
    chain = scenario("zipping", minions=3).start().zip(listed(["a", "b"]), timeout="1s").on_each(pairs.append)
    played = await play(chain, find_source=find_source)
    assert sorted(pair.right for pair in pairs) == ["a", "b"]
    assert played[Slot.MINIONS_FAILED] == 1


async def test_zip_last_pairs_with_the_latest_value(play: Play) -> None:
    pairs: list[Any] = []
    chain = (
        scenario("zipping", minions=3)
        .start()
        .delay("1s")
        .zip_last(listed(["a", "b"], ["c"]), timeout="1s")
        .on_each(pairs.append)
    )
    await play(chain, find_source=find_source)
    assert [pair.right for pair in pairs] == ["c", "c", "c"]


class Answers:
    """A strand that keeps its answers."""

    def __init__(self, answers: list[Any], left: Any) -> None:
        self._answers = answers
        self._left = left

    def resume(self, value: Any) -> None:
        self._answers.append(value)

    def fail(self, error: BaseException) -> None:
        self._answers.append((self._left, error))


class Left:
    def __init__(self, value: Any) -> None:
        self.value = value


def make_join(cache_size: int = 1000, cache_timeout: float = 0.0) -> tuple[Join, VirtualClock, Any]:
    clock = VirtualClock()
    meters = WorkerMeters().step("s", "join", "inner-join")
    join = Join(
        "join",
        lambda context: context.value[0],
        lambda record: record[0],
        10.0,
        cache_timeout,
        cache_size,
        is_left=False,
        is_counting=True,
        meters=meters,
        wheel=TimerWheel(clock),
    )
    return join, clock, meters


keys = st.integers(0, 5)


@settings(max_examples=300)
@given(st.lists(st.tuples(st.sampled_from(["left", "right", "later"]), keys), max_size=100))
def test_no_pair_is_wrong_whatever_comes_in_whatever_order(moves: list[tuple[str, int]]) -> None:
    """Duplicates, disorder, keys that never come: a pair has one key, and each value is used once."""
    join, clock, meters = make_join()
    answers: list[Any] = []
    lefts: dict[int, int] = defaultdict(int)
    rights: dict[int, int] = defaultdict(int)
    for number, (move, key) in enumerate(moves):
        if move == "left":
            lefts[key] += 1
            context: Any = Left((key, number))
            value = join.take(context)
            if value is WAIT:
                join.wait(context, Answers(answers, context.value))
            else:
                answers.append(value)
        elif move == "right":
            rights[key] += 1
            join.put([(key, number)])
        else:
            clock.advance(1)
    clock.advance(20)
    pairs = [answer for answer in answers if isinstance(answer, Pair)]
    assert len(answers) == sum(lefts.values())
    assert all(pair.left[0] == pair.right[0] for pair in pairs)
    assert max(Counter(pair.right for pair in pairs).values(), default=1) == 1
    assert max(Counter(pair.left for pair in pairs).values(), default=1) == 1
    assert meters.counters["matched"] == len(pairs)
    assert meters.counters["left-unmatched"] == len(answers) - len(pairs)
    kept = sum(len(values) for values in join._rights.values())
    assert meters.counters["right-read"] == len(pairs) + kept == sum(rights.values())
    assert not join._waiting
    if "later" not in {move for move, _ in moves}:
        assert len(pairs) == sum(min(lefts[key], rights[key]) for key in lefts)


@given(st.lists(keys, max_size=200), st.integers(1, 20))
def test_the_cache_never_keeps_more_than_its_size(arrivals: list[int], size: int) -> None:
    join, _, meters = make_join(cache_size=size)
    for number, key in enumerate(arrivals):
        join.put([(key, number)])
        assert sum(len(values) for values in join._rights.values()) == len(join._kept) <= size
    assert meters.counters["right-evicted"] == max(0, len(arrivals) - size)


def test_right_values_older_than_the_cache_timeout_are_let_go() -> None:
    join, clock, meters = make_join(cache_timeout=5.0)
    join.put([(1, "old")])
    clock.advance(6)
    join.put([(2, "new")])
    assert join.take(Left((1, "x"))) is WAIT  # type: ignore[arg-type]
    assert meters.counters["right-evicted"] == 1


def test_an_old_right_value_is_let_go_behind_a_younger_one_of_another_key() -> None:
    join, clock, meters = make_join(cache_timeout=5.0)
    join.put([(1, "first")])
    clock.advance(1)
    join.put([(2, "old")])
    clock.advance(3)
    join.put([(1, "second")])
    assert join.take(Left((1, "x"))) == Pair((1, "x"), (1, "first"))  # type: ignore[arg-type]
    clock.advance(3)
    assert join.take(Left((2, "x"))) is WAIT  # type: ignore[arg-type]
    assert meters.counters["right-evicted"] == 1


@given(st.lists(keys, max_size=100), st.integers(1, 20))
def test_the_latest_right_values_are_kept_whatever_their_keys(arrivals: list[int], size: int) -> None:
    join, _, _ = make_join(cache_size=size)
    for number, key in enumerate(arrivals):
        join.put([(key, number)])
    latest = list(enumerate(arrivals))[-size:]
    for number, key in latest:
        assert join.take(Left((key, "x"))) == Pair((key, "x"), (key, number))  # type: ignore[arg-type]


def test_a_waiter_that_gives_up_leaves_nothing_behind() -> None:
    join, clock, _ = make_join()
    context: Any = Left((1, "x"))
    assert join.take(context) is WAIT
    answers: list[Any] = []
    join.wait(context, Answers(answers, "x")).cancel()
    join.put([(1, "r")])
    clock.advance(20)
    assert answers == []
    assert not join._waiting


@pytest.mark.parametrize(("left", "right"), [(1, 1.0), (Decimal(1), 1), (True, 1), (Name.ADA, "ada")])
def test_keys_of_types_with_equal_values_are_not_warned_about(left: Any, right: Any, caplog: Any) -> None:
    join, _, meters = make_join()
    join.put([(right, "r")])
    assert join.take(Left((left, "x"))) == Pair((left, "x"), (right, "r"))  # type: ignore[arg-type]
    assert "key-types-differ" not in meters.counters
    assert not caplog.records


def test_a_zip_with_a_step_keeps_the_latest_values_and_counts_what_it_dropped() -> None:
    clock = VirtualClock()
    meters = WorkerMeters().step("s", "zip", "zip")
    branch, zipped = Branch(), Zip(10.0, 3, meters, TimerWheel(clock))
    branch.sinks.append(zipped)
    for number in range(10):
        branch.tap(Left(number))  # type: ignore[arg-type]
    assert zipped.take(Left("x")) == Pair("x", 7)  # type: ignore[arg-type]
    assert meters.counters["records-dropped"] == 7
