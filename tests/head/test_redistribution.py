from __future__ import annotations

from collections import Counter

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from qalipsis.head.assignment import Assignment, Member, assign
from qalipsis.head.redistribution import Book, Redistribution, held, redistribute, refused
from qalipsis.head.scenario_request import ScenarioRequest
from qalipsis.metrics.ledger import SLOTS, Books, Slot, books, closes, total
from qalipsis.plan.model import ScenarioDescriptor
from qalipsis.plan.portion import Portion, Takeover

FLEET = (("a", 2, "west"), ("b", 3, "west"), ("c", 1, "east"))


def descriptor(name: str, minions: int) -> ScenarioDescriptor:
    return ScenarioDescriptor(name=name, minions=minions, profile="immediate")


def assignment(
    minions: int = 60,
    fleet: tuple[tuple[str, int, str], ...] = FLEET,
    requested: dict[str, ScenarioRequest] | None = None,
) -> Assignment:
    members = [Member(node=node, workers=workers, zone=zone) for node, workers, zone in fleet]
    return assign([descriptor("shop", minions)], members, requested=requested)


def row(**slots: int) -> tuple[int, ...]:
    counts = [0] * SLOTS
    for name, count in slots.items():
        counts[Slot[name.upper()]] = count
    return tuple(counts)


def minions_in(of: Assignment, whats: list[Takeover]) -> list[tuple[int, int]]:
    return sorted(
        (portion.worker, ordinal)
        for what in whats
        for portion in what.minions
        for ordinal in portion.ordinals(0, of.dealt(portion.worker, "shop"))
    )


def test_what_a_lost_worker_did_not_end_is_dealt_to_its_zone() -> None:
    of = assignment()
    assert of.first_worker == {"c": 0, "a": 1, "b": 3}
    assert [of.factory(worker) for worker in range(6)] == ["c", "a", "a", "b", "b", "b"]
    found = redistribute(
        of, Book(), {1: {"shop": row(minions_started=7, minions_completed=3, minions_failed=1)}}, range(6)
    )
    assert found.restarted == {1: {"shop": 6}}
    assert found.stranded == {}
    assert set(found.directives) == {"a", "b"}
    assert set(found.directives["a"].takeovers) == {2}
    assert set(found.directives["b"].takeovers) == {3, 4, 5}
    assert found.directives["a"].takeovers[2]["shop"].minions == (Portion(1, 4, 4),)
    assert found.directives["b"].round == found.book.round == 1
    assert minions_in(of, [each.what for each in found.book.taken]) == [(1, n) for n in range(4, 10)]


def test_where_no_zones_were_asked_for_another_zone_helps_out() -> None:
    found = redistribute(
        assignment(), Book(), {0: {"shop": row(minions_started=7, minions_completed=3)}}, range(6)
    )
    assert (found.restarted, found.stranded) == ({0: {"shop": 7}}, {})
    assert set(found.directives) == {"a", "b"}


def test_a_zone_without_a_living_worker_leaves_its_minions_behind() -> None:
    zones = {zone: 50 for _, _, zone in FLEET}
    of = assignment(20, requested={"shop": ScenarioRequest(zones=zones)})
    found = redistribute(of, Book(), {0: {"shop": row(minions_started=7, minions_completed=3)}}, range(6))
    assert found.stranded == {0: {"shop": 7}}
    assert (found.directives, found.restarted, found.book.round) == ({}, {}, 0)
    assert found.book.lost == (0,)


def test_the_same_loss_counts_once() -> None:
    of = assignment()
    first = redistribute(of, Book(), {1: {}}, range(6))
    again = redistribute(of, first.book, {1: {}}, range(6))
    assert again == Redistribution(book=first.book)


def test_a_factory_is_lost_with_all_its_workers() -> None:
    of = assignment(fleet=(("a", 2, ""), ("b", 2, "")))
    found = redistribute(of, Book(), {0: {}, 1: {"shop": row(minions_completed=15)}}, range(4))
    assert found.restarted == {0: {"shop": 15}}
    shares = [of_worker["shop"].minions for of_worker in found.directives["b"].takeovers.values()]
    assert shares == [(Portion(0, 0, 2),), (Portion(0, 1, 2),)]


def test_arrivals_go_on_where_minions_go_and_after_those_that_were_planned() -> None:
    # Three minions for five workers: of the lost one's, there is one to take over.
    of = assignment(minions=3, fleet=(("a", 5, ""),))
    counts = row(minions_started=1, arrivals_planned=40, passes_completed=38)
    found = redistribute(of, Book(), {0: {"shop": counts}}, range(5))
    assert found.directives["a"].takeovers == {
        1: {"shop": Takeover(minions=(Portion(0),), arrivals=(Portion(0, 40),), records=(Portion(0, 38),))}
    }


def test_scenarios_and_rounds_are_spread_together() -> None:
    of = assignment(minions=5, fleet=(("a", 5, ""),))
    first = redistribute(of, Book(), {0: {}}, range(5))
    second = redistribute(of, first.book, {2: {}}, range(5))
    assert [(each.round, each.worker) for each in second.book.taken] == [(1, 1), (2, 3)]


def test_a_refusal_leaves_the_minions_behind() -> None:
    of = assignment(fleet=(("a", 1, ""), ("b", 1, ""), ("c", 1, "")))
    found = redistribute(of, Book(), {0: {}}, range(3))
    book, left = refused(of, found.book, "c", 1)
    assert left == {"shop": 10}
    assert {each.worker for each in book.taken} == {1}
    assert (book.round, book.lost) == (1, (0,))
    assert book.round_of(range(1, 2), "shop") == 1
    assert book.round_of(range(2, 3), "shop") == 0


def test_zones_that_a_scenario_does_not_run_in_take_nothing_over() -> None:
    of = assignment(minions=40, requested={"shop": ScenarioRequest(zones={"west": 100})})
    assert redistribute(of, Book(), {0: {}}, range(6)).book.taken == ()
    found = redistribute(of, Book(), {1: {}, 2: {}, 3: {}}, range(6))
    assert {each.worker for each in found.book.taken} == {4, 5}
    assert found.restarted == {worker: {"shop": 8} for worker in (1, 2, 3)}


@given(st.integers(1, 8), st.integers(1, 70), st.integers(0, 20_000))
def test_everybody_gets_about_as_much_in_few_pieces(lost: int, takers: int, minions: int) -> None:
    of = assignment(max(1, minions), (("a", lost, ""), ("b", takers, "")))
    found = redistribute(of, Book(), {worker: {} for worker in range(lost)}, range(lost, lost + takers))
    more = Counter(
        {
            taker: sum(each.count(of.dealt(each.worker, "shop")) for each in takeovers["shop"].minions)
            for directive in found.directives.values()
            for taker, takeovers in directive.takeovers.items()
        }
    )
    fair = sum(more.values()) / takers
    assert all(count <= 1.25 * fair + 2 for count in more.values())
    assert sum(len(each.what.minions) for each in found.book.taken) <= 4 * takers + 2 * lost


def test_a_fleet_that_loses_one_factory_after_the_other_stays_simple() -> None:
    of = assignment(100_000, tuple((f"f{number}", 8, "") for number in range(8)))
    book, living = Book(), set(range(64))
    for factory in range(6):
        lost = range(8 * factory, 8 * factory + 8)
        living -= set(lost)
        found = redistribute(of, book, {worker: {} for worker in lost}, living)
        book = found.book
        assert all(len(msgspec.msgpack.encode(each)) < 20_000 for each in found.directives.values())
    whole = [held(of, book, worker, "shop") for worker in living]
    everyone = minions_in(of, whole)
    assert len(everyone) == len(set(everyone)) == 100_000


class Fleet:
    """Workers that start, end and are lost as they like."""

    def __init__(self, of: Assignment, workers: int) -> None:
        self.of = of
        self.book = Book()
        self.living = list(range(workers))
        self.lost: list[int] = []
        self.counts = {worker: [0] * SLOTS for worker in range(workers)}
        self.stranded = 0
        self.restarted = 0

    def held(self, worker: int) -> int:
        what = held(self.of, self.book, worker, "shop")
        return sum(each.count(self.of.dealt(each.worker, "shop")) for each in what.minions)

    def walk(self, worker: int, started: float, ended: float) -> None:
        counts = self.counts[worker]
        counts[Slot.MINIONS_STARTED] += int((self.held(worker) - counts[Slot.MINIONS_STARTED]) * started)
        running = counts[Slot.MINIONS_STARTED] - counts[Slot.MINIONS_COMPLETED]
        counts[Slot.MINIONS_COMPLETED] += int(running * ended)

    def lose(self, workers: list[int]) -> None:
        left = sum(self.held(worker) - self.counts[worker][Slot.MINIONS_COMPLETED] for worker in workers)
        self.living = [worker for worker in self.living if worker not in workers]
        self.lost += workers
        losses = {worker: {"shop": tuple(self.counts[worker])} for worker in workers}
        before = {worker: self.held(worker) for worker in self.living}
        found = redistribute(self.of, self.book, losses, self.living)
        self.book = msgspec.msgpack.decode(msgspec.msgpack.encode(found.book), type=Book)
        assert self.book == found.book
        restarted = sum(count for each in found.restarted.values() for count in each.values())
        stranded = sum(count for each in found.stranded.values() for count in each.values())
        assert restarted + stranded == left
        more = {worker: self.held(worker) - before[worker] for worker in self.living}
        assert sum(more.values()) == restarted
        for worker, count in more.items():
            self.counts[worker][Slot.MINIONS_RESTARTED] += count
        self.restarted += restarted
        self.stranded += stranded

    def account(self) -> Books:
        return total(
            books(counts, scheduled=self.of.share("f", worker, "shop"), is_dead=worker in self.lost)
            for worker, counts in self.counts.items()
        )


@settings(deadline=None)
@given(st.integers(1, 7), st.integers(1, 500), st.data())
def test_every_minion_that_did_not_end_is_started_again_once_and_the_books_close(
    workers: int, minions: int, data: st.DataObject
) -> None:
    fleet = Fleet(assignment(minions, (("f", workers, ""),)), workers)
    progress = st.floats(0, 1)
    while fleet.living:
        for worker in fleet.living:
            fleet.walk(worker, data.draw(progress), data.draw(progress))
        if data.draw(st.booleans()):
            break
        fleet.lose(data.draw(st.lists(st.sampled_from(fleet.living), min_size=1, unique=True, max_size=3)))
    for worker in fleet.living:
        fleet.walk(worker, 1.0, 1.0)
    account = fleet.account()
    assert closes(account) == ()
    assert account.minions.scheduled == minions
    assert account.minions.restarted == fleet.restarted
    assert account.minions.completed + fleet.stranded == minions
