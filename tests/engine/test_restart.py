"""What becomes of the minions of lost workers, worker by worker, on virtual time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from qalipsis import profile, scenario
from qalipsis.engine.step import StepError
from qalipsis.errors import FactoryError
from qalipsis.language.chain import Chain
from qalipsis.metrics.ledger import Slot, closes
from qalipsis.plan.portion import Portion, Takeover
from tests.engine.fleet import Fleet
from tests.engine.sources import Fed, find_source, listed


class Log:
    """Who began a pass when, and when it was due, in seconds after the start."""

    def __init__(self) -> None:
        self.begun: list[tuple[int, float]] = []
        self.fleet: Fleet

    def note(self, context: Any, value: Any) -> None:
        self.begun.append((context.minion.index, round(context.due_at - 1000.0, 3)))

    def times(self, since: float = 0.0) -> list[float]:
        return sorted(due for _, due in self.begun if due >= since)


def walking(ramp: Any, minions: int, pause: str = "2s") -> tuple[Chain[Any], Log]:
    log = Log()
    return scenario("walk", minions=minions, profile=ramp).start().on_each(log.note).delay(pause), log


async def played(
    chain: Chain[Any],
    workers: int,
    *losses: tuple[float, tuple[int, ...], float],
    until: float,
    find_source: Callable[[str], Any] | None = None,
) -> Fleet:
    """A fleet that has lost these workers at a moment, of which the head heard at another one."""
    fleet = Fleet(chain, workers, find_source)
    await fleet.start()
    for killed_at, lost, known_at in losses:
        await fleet.run_until(killed_at)
        fleet.kill(*lost)
        await fleet.run_until(known_at)
        fleet.restart()
    await fleet.run_until(until)
    await fleet.aclose()
    assert closes(fleet.books(), is_in_order=not losses) == ()
    return fleet


async def test_who_has_not_ended_starts_again_late_ones_at_once_and_the_others_at_their_moment() -> None:
    chain, log = walking(profile.regular("1s", 3), 30)
    fleet = await played(chain, 3, (4.5, (0,), 6.5), until=60)
    of_lost = sorted(due for index, due in log.begun if index % 3 == 0)
    # Minions 0, 3 … 27 are due at 0, 1 … 9: those of 0, 1 and 2 had ended, those of 3 and 4 are lost.
    assert of_lost == [0, 1, 2, 3, 4, 6.5, 6.5, 6.5, 6.5, 7, 8, 9]
    assert sorted(due for index, due in log.begun if index % 3 == 1) == list(range(10))
    account = fleet.books().minions
    assert (account.scheduled, account.restarted, account.lost) == (30, 7, 2)
    assert account.completed == 30
    assert {fleet.count(1, Slot.MINIONS_RESTARTED), fleet.count(2, Slot.MINIONS_RESTARTED)} == {3, 4}


async def test_the_outage_is_in_no_start_delay() -> None:
    chain, log = walking(profile.immediate(), 9, "1s")
    fleet = await played(chain, 3, (0.5, (0,), 20.0), until=60)
    assert log.times(1.0) == [20.0] * 3
    health = fleet.engines[1].snapshot().health
    assert health.start_delay_p99_s < 0.1


async def test_stages_replay_until_their_end_as_before() -> None:
    ramp = profile.stages(profile.stage(100, ramp_up=0, total="20s"))
    chain, log = walking(ramp, 12, "3s")
    fleet = await played(chain, 3, (5.0, (0,), 8.0), until=60)
    by_moment = Counter(log.times())
    assert [by_moment[at] for at in (0, 3, 8, 11, 14, 17)] == [12, 12, 4, 4, 4, 4]
    assert [by_moment[at] for at in (6, 9, 12, 15, 18)] == [8] * 5
    assert max(log.times()) < 20
    account = fleet.books()
    assert (account.minions.completed, account.minions.lost, account.minions.restarted) == (12, 4, 4)
    assert account.passes.lost == 4


async def test_a_hard_end_interrupts_whom_it_finds() -> None:
    ramp = profile.stages(profile.stage(100, ramp_up=0, total="10s"), completion="hard")
    chain, _ = walking(ramp, 6, "4s")
    fleet = await played(chain, 2, (5.0, (0,), 7.0), until=60)
    account = fleet.books().minions
    assert (account.lost, account.restarted) == (3, 3)
    assert account.completed + account.aborted == 6
    assert account.aborted >= 3


@pytest.mark.parametrize("completion", ["graceful", "hard"])
async def test_once_stages_are_over_nobody_starts_again(completion: str) -> None:
    ramp = profile.stages(profile.stage(100, ramp_up=0, total="10s"), completion=completion)
    chain, log = walking(ramp, 6, "4s")
    fleet = await played(chain, 2, (7.0, (0,), 11.0), until=60)
    assert max(log.times()) < 10
    account = fleet.books().minions
    assert (account.restarted, account.unstarted) == (3, 3)
    assert [worker for worker, _ in fleet.ended] in ([1], [1, 1])


async def test_arrivals_go_on_at_their_moments_and_missed_ones_are_dropped() -> None:
    chain, log = walking(profile.arrival_rate(10, over="20s"), 9, "200ms")
    fleet = await played(chain, 3, (5.05, (0,), 8.05), until=60)
    account = fleet.books().arrivals
    assert account.planned == account.started + account.dropped == 200
    assert account.dropped == 10  # a third of 3 s
    moments = [n / 10 for n in range(200)]
    missed = [n / 10 for n in range(0, 200, 3) if 5.05 < n / 10 < 8.05]
    assert log.times() == sorted(set(moments) - set(missed))
    assert fleet.books().minions.restarted == 3


async def test_arrivals_are_served_once_however_often_workers_are_lost() -> None:
    chain, log = walking(profile.arrival_rate(50, over="20s"), 20, "100ms")
    losses = ((3.01, (0,), 3.01), (6.01, (2,), 6.01), (9.01, (3, 1), 9.01))
    fleet = await played(chain, 5, *losses, until=60)
    account = fleet.books()
    assert (account.arrivals.planned, account.arrivals.dropped) == (1000, 0)
    assert log.times() == [n / 50 for n in range(1000)]
    assert account.minions.scheduled == 20


async def test_a_scenario_that_had_ended_ends_once_more() -> None:
    chain, _ = walking(profile.immediate(), 9, "1s")
    fleet = await played(chain, 3, (0.5, (0,), 3.0), until=60)
    assert fleet.ended == [(1, 1), (2, 1), (1, 4), (2, 4)]


async def test_a_worker_that_had_no_minion_takes_one_over() -> None:
    chain, log = walking(profile.immediate(), 1)
    fleet = await played(chain, 2, (0.5, (0,), 3.0), until=60)
    assert log.begun == [(0, 0), (0, 3)]
    assert fleet.books().minions.completed == 1
    assert [worker for worker, _ in fleet.ended] == [1, 1]


async def test_after_a_stop_whoever_is_taken_over_stays_unstarted() -> None:
    chain, log = walking(profile.immediate(), 4)
    fleet = Fleet(chain, 2)
    await fleet.start()
    await fleet.run_until(0.5)
    fleet.kill(0)
    fleet.engines[1].stop()
    fleet.restart()
    await fleet.run_until(60)
    await fleet.aclose()
    account = fleet.books().minions
    assert (account.completed, account.lost, account.unstarted) == (2, 2, 2)
    assert closes(fleet.books()) == ()
    assert len(log.begun) == 4
    assert fleet.ended == [(1, 2.0)]


async def test_nothing_starts_again_before_the_start() -> None:
    chain, _ = walking(profile.immediate(), 4)
    fleet = Fleet(chain, 2)
    await fleet.engines[1].open({"walk": 4})
    with pytest.raises(FactoryError, match="before the start"):
        fleet.engines[1].restart({"walk": Takeover(minions=(Portion(0),))})
    await fleet.engines[1].aclose()


async def test_minions_choose_as_they_did_before() -> None:
    chosen: list[tuple[int, int]] = []
    chain = (
        scenario("dice", minions=40)
        .start()
        .on_each(lambda context, value: chosen.append((context.minion.index, context.minion.random.random())))
        .delay("1s")
    )
    await played(chain, 4, (0.5, (2,), 1.0), until=60)
    assert len(chosen) == 50
    assert len(set(chosen)) == 40


async def test_a_crowd_of_late_minions_leaves_turns_to_others() -> None:
    chain, log = walking(profile.regular("1ms", 1), 8_000, "1ms")
    fleet = await played(chain, 2, (4.0, (0,), 6.0), until=10)
    assert fleet.books().minions.completed == 8_000
    late = Counter(due for index, due in log.begun if index % 2 == 0)
    assert late[6.0] > 990
    assert max(count for due, count in late.items() if due != 6.0) == 1


async def test_a_lost_workers_rows_are_read_again_from_the_first_unfinished_one() -> None:
    taken: list[int] = []
    rows = listed(list(range(12)))
    chain = scenario("rows", minions=12).start().then(rows).named("row").on_each(taken.append).delay("2s")
    fleet = await played(chain, 3, (1.0, (0,), 4.0), until=60, find_source=find_source)
    # Rows 0, 3, 6 and 9 were given to the lost worker, and no pass of it has ended.
    assert sorted(taken) == sorted([*range(12), 0, 3, 6, 9])
    assert fleet.books().minions.completed == 12


async def test_rows_whose_passes_have_ended_are_not_given_again() -> None:
    taken: list[int] = []
    rows = listed(list(range(30)))
    chain = (
        scenario("rows", minions=30, profile=profile.regular("1s", 3))
        .start()
        .then(rows)
        .named("row")
        .on_each(taken.append)
        .delay("500ms")
    )
    fleet = await played(chain, 3, (4.2, (0,), 4.4), until=60, find_source=find_source)
    assert sorted(taken) == sorted([*range(30), 12])
    assert fleet.books().minions.completed == 30


async def test_the_right_side_of_a_zip_is_read_again() -> None:
    pairs: list[Any] = []
    chain = (
        scenario("zipped", minions=12)
        .start()
        .returns("left")
        .zip(listed(list(range(12))), timeout="10s")
        .on_each(lambda pair: pairs.append(pair.right))
        .delay("2s")
    )
    fleet = await played(chain, 3, (1.0, (0,), 4.0), until=60, find_source=find_source)
    assert sorted(pairs) == sorted([*range(12), 0, 3, 6, 9])
    assert fleet.books().minions.completed == 12


async def test_rows_that_come_later_go_to_those_who_took_over() -> None:
    source, taken = Fed(), []
    feeds: list[Any] = []

    def finding(kind: str) -> Any:
        def make(spec: Any) -> Any:
            own = Fed()
            feeds.append(own)
            return find_source(kind)(own)

        return make

    chain = scenario("live", minions=4).start().then(source.unicast()).named("row").on_each(taken.append)
    fleet = Fleet(chain, 2, finding)
    await fleet.start()
    await fleet.run_until(1.0)
    fleet.kill(0)
    fleet.restart()
    await fleet.run_until(2.0)
    for row in range(4):
        feeds[1].queue.put_nowait(row)
    await fleet.run_until(3.0)
    assert sorted(taken) == [0, 1, 2, 3]
    assert fleet.books().minions.completed == 4
    await fleet.aclose()


async def test_a_worker_without_minions_opens_its_sources_late() -> None:
    taken: list[int] = []
    rows = listed([7])
    chain = scenario("rows", minions=1).start().then(rows).named("row").on_each(taken.append).delay("2s")
    fleet = await played(chain, 2, (1.0, (0,), 2.0), until=60, find_source=find_source)
    assert taken == [7, 7]
    assert fleet.books().minions.completed == 1


async def test_an_idle_timeout_that_passed_where_nobody_was_ends_nothing() -> None:
    taken: list[int] = []
    feed = listed([7]).broadcast(idle_timeout="1s")
    chain = scenario("rows", minions=1).start().then(feed).named("row").on_each(taken.append).delay("5s")
    fleet = await played(chain, 2, (2.0, (0,), 3.0), until=60, find_source=find_source)
    assert taken == [7, 7]
    assert fleet.books().minions.completed == 1


async def test_a_source_that_cannot_be_opened_late_fails_the_minions() -> None:
    opened: list[Any] = []

    def finding(kind: str) -> Any:
        def make(spec: Any) -> Any:
            reader = find_source(kind)(spec)
            if len(opened) > 1:
                reader = find_source(kind)(listed(StepError("unavailable", "gone")))
            opened.append(reader)
            return reader

        return make

    chain = scenario("rows", minions=1).start().then(listed([7])).named("row").delay("2s")
    fleet = await played(chain, 2, (1.0, (0,), 2.0), until=60, find_source=finding)
    assert fleet.books().minions.failed == 1


async def test_asides_feed_joins_where_no_minion_was_before() -> None:
    pairs: list[Any] = []
    chain = (
        scenario("meet", minions=1)
        .aside("right", lambda aside: aside.then(listed([1]).broadcast()).named("right"))
        .start()
        .returns(1)
        .delay("1s")
        .inner_join("right", on=lambda value: value, having=lambda value: value, timeout="5s")
        .on_each(pairs.append)
    )
    fleet = await played(chain, 2, (0.5, (0,), 2.0), until=60, find_source=find_source)
    assert len(pairs) == 1
    assert fleet.books().minions.completed == 1


@settings(deadline=None, max_examples=25, phases=[Phase.explicit, Phase.generate])
@given(
    st.integers(2, 5),
    st.integers(1, 40),
    st.sampled_from(
        [
            profile.immediate(),
            profile.regular("300ms", 2),
            profile.stages(profile.stage(100, ramp_up="3s", total="9s")),
            profile.stages(profile.stage(100, ramp_up="3s", total="9s"), completion="hard"),
            profile.arrival_rate(7, over="8s"),
        ]
    ),
    st.data(),
)
async def test_whatever_is_lost_when_the_books_close(
    workers: int, minions: int, ramp: Any, data: st.DataObject
) -> None:
    chain, log = walking(ramp, minions, "700ms")
    fleet = Fleet(chain, workers)
    await fleet.start()
    now = 0.0
    for _ in range(data.draw(st.integers(1, 3))):
        now += data.draw(st.floats(0, 4))
        await fleet.run_until(now)
        fleet.kill(*data.draw(st.lists(st.sampled_from(fleet.living), min_size=1, max_size=2, unique=True)))
        if not fleet.living:
            break
        now += data.draw(st.sampled_from([0.0, 0.3, 2.75]))
        await fleet.run_until(now)
        fleet.restart()
    await fleet.run_until(40)
    await fleet.aclose()
    account = fleet.books()
    assert closes(account, is_in_order=False) == ()
    assert account.minions.scheduled == minions
    if fleet.living:
        ended = account.minions.completed + account.minions.aborted
        unstarted_here = sum(
            fleet.count(worker, Slot.MINIONS_SCHEDULED)
            + fleet.count(worker, Slot.MINIONS_RESTARTED)
            - fleet.count(worker, Slot.MINIONS_STARTED)
            for worker in fleet.living
        )
        assert ended + unstarted_here == minions
        if ramp.is_arrivals:
            assert account.arrivals.planned == 56
            assert account.arrivals.started + account.arrivals.dropped == 56
            assert len(log.begun) == account.arrivals.started
        elif ramp.replay(1.0) is None:
            assert unstarted_here == 0
    counted = {worker for worker, _ in fleet.ended}
    assert counted >= set(fleet.living)
