"""Who starts the minions of lost workers again: living workers, of the same zone if there are, each an even
part.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from math import ceil
from typing import Final, NamedTuple

from msgspec import Struct

from qalipsis.cluster.messages import RestartMinions
from qalipsis.head.assignment import Assignment
from qalipsis.metrics.ledger import SLOTS, Slot
from qalipsis.plan.portion import Portion, Takeover, skip_first

FINER: Final = 4
"""Pieces per taker when lots cannot be dealt evenly: nobody gets more than a quarter above the others."""

EVEN: Final = 0.02
"""So close to a whole number of takers, a lot is dealt to just as many."""

_NOTHING = (0,) * SLOTS


class Taken(Struct, frozen=True, kw_only=True):
    """What a worker, by its number in the whole fleet, was given in a round."""

    round: int
    worker: int
    scenario: str
    what: Takeover


class Book(Struct, frozen=True, kw_only=True):
    """Who holds what beyond what everybody was dealt at first. Fits into a checkpoint."""

    round: int = 0
    """The last round of restarts."""
    lost: tuple[int, ...] = ()
    """Workers whose minions were dealt with already."""
    taken: tuple[Taken, ...] = ()
    """In the order of the rounds, and kept when its worker is lost as well."""

    def round_of(self, workers: range, scenario: str) -> int:
        """The last round in which one of these was given something of the scenario, 0 when there was none.

        A `ScenarioEnded` of an earlier round crossed the order on its way, and means nothing.
        """
        rounds = (each.round for each in self.taken if each.worker in workers and each.scenario == scenario)
        return max(rounds, default=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Redistribution:
    """What follows from a loss. The counts are minions, by lost worker and scenario."""

    book: Book
    directives: dict[str, RestartMinions] = field(default_factory=dict)
    """By factory; those that have nothing to do are not here."""
    restarted: dict[int, dict[str, int]] = field(default_factory=dict)
    stranded: dict[int, dict[str, int]] = field(default_factory=dict)
    """What nobody starts again, for no worker lives in the zone."""

    @property
    def walking(self) -> frozenset[tuple[str, str]]:
        """Who is given something of what, as (factory, scenario)."""
        return frozenset(
            (factory, scenario)
            for factory, directive in self.directives.items()
            for takeovers in directive.takeovers.values()
            for scenario in takeovers
        )


def redistribute(
    assignment: Assignment,
    book: Book,
    losses: Mapping[int, Mapping[str, Sequence[int]]],
    living: Collection[int],
) -> Redistribution:
    """Deal out what lost workers have not brought to an end. A worker that was dealt with before is left out.

    `losses` has the last known counters of each lost worker by scenario, in the order of `Slot`, `living`
    those that may be given something. All of them go by their number in the whole fleet.

    Of what a worker held, as many minions are skipped as have ended there, those that began first, so each
    one that did not end is started again once in number. The arrivals go on after those that were planned,
    the records of a source after as many as passes have ended.
    """
    lost = sorted(losses.keys() - set(book.lost))
    if not lost:
        return Redistribution(book=book)
    able = sorted(set(living) - losses.keys() - set(book.lost))
    number = book.round + 1
    # So that everybody gets as much as the others, over all rounds and scenarios.
    load = Counter(dict.fromkeys(able, 0))
    for each in book.taken:
        if each.worker in load:
            load[each.worker] += _minions(assignment, each.scenario, each.what)
    taken: list[Taken] = []
    restarted: dict[int, dict[str, int]] = {}
    stranded: dict[int, dict[str, int]] = {}
    for zone in sorted({assignment.zone(worker) for worker in lost}):
        near = [worker for worker in able if assignment.zone(worker) == zone]
        for scenario in assignment.minions:
            # Where nobody is left in the zone, others help out with what was not asked for zone by zone.
            neighbours = near if near or scenario in assignment.shares else able
            left = []
            for worker in lost:
                if assignment.zone(worker) != zone:
                    continue
                counts = losses[worker].get(scenario, _NOTHING)
                lots = _left(assignment, held(assignment, book, worker, scenario), scenario, counts)
                minions = sum(lot.size for lot in lots)
                if minions:
                    (restarted if neighbours else stranded).setdefault(worker, {})[scenario] = minions
                    left += lots
            for taker, what in _dealt(left, neighbours, load).items():
                taken.append(Taken(round=number, worker=taker, scenario=scenario, what=what))
    return Redistribution(
        book=Book(
            round=number if taken else book.round, lost=(*book.lost, *lost), taken=(*book.taken, *taken)
        ),
        directives=_directives(assignment, number, taken),
        restarted=restarted,
        stranded=stranded,
    )


def refused(assignment: Assignment, book: Book, factory: str, number: int) -> tuple[Book, dict[str, int]]:
    """The book after a factory could not take what it was given in a round, and the minions by scenario that
    are started nowhere because of it.
    """
    left: Counter[str] = Counter()
    kept = []
    for each in book.taken:
        if each.round == number and assignment.factory(each.worker) == factory:
            left[each.scenario] += _minions(assignment, each.scenario, each.what)
        else:
            kept.append(each)
    return Book(round=book.round, lost=book.lost, taken=tuple(kept)), dict(left)


def held(assignment: Assignment, book: Book, worker: int, scenario: str) -> Takeover:
    """Everything that a worker was ever to run of a scenario: what it was dealt, and what it took over."""
    first = (Portion(worker),) if assignment.dealt(worker, scenario) else ()
    return _together(
        [
            Takeover(minions=first, arrivals=first, records=first),
            *(each.what for each in book.taken if each.worker == worker and each.scenario == scenario),
        ]
    )


class _Lot(NamedTuple):
    """A portion of minions, and what belongs to them."""

    size: int
    minions: Portion
    arrivals: Portion
    records: Portion

    def deal(self, places: int) -> list[_Lot]:
        return [
            _Lot(
                (self.size + places - 1 - place) // places,
                self.minions.deal(place, places),
                self.arrivals.deal(place, places),
                self.records.deal(place, places),
            )
            for place in range(places)
        ]


def _left(assignment: Assignment, whole: Takeover, scenario: str, counts: Sequence[int]) -> list[_Lot]:
    """Of what a worker held, what its counters do not show as done."""

    def dealt(worker: int) -> int:
        return assignment.dealt(worker, scenario)

    # What was aborted is not: a factory whose lease ends, or that is told to end, interrupts what it runs.
    ended = counts[Slot.MINIONS_COMPLETED] + counts[Slot.MINIONS_FAILED]
    passed = counts[Slot.PASSES_COMPLETED] + counts[Slot.PASSES_FAILED]
    return [
        _Lot(minions.count(dealt(minions.worker)), minions, arrivals, records)
        for minions, arrivals, records in zip(
            skip_first(whole.minions, ended, dealt),
            skip_first(whole.arrivals, counts[Slot.ARRIVALS_PLANNED]),
            skip_first(whole.records, passed),
            strict=True,
        )
    ]


def _dealt(lots: list[_Lot], takers: list[int], load: Counter[int]) -> dict[int, Takeover]:
    """Who takes over what; `load` are the minions that each was given so far, and is kept up to date.

    Lots are cut no finer than an even spread asks for: if each were dealt to everybody, a fleet that loses
    one factory after the other would hold ten times as many each time.
    """
    if not lots or not takers:
        return {}
    fair = sum(lot.size for lot in lots) / len(takers)
    pieces: list[_Lot] = []
    for lot in lots:
        # As many as takers could live on it; of what does not come out even, smaller pieces fill the gaps.
        mouths = lot.size / fair
        is_even = abs(mouths - round(mouths)) < EVEN and mouths >= 1
        pieces += lot.deal(max(1, min(lot.size, round(mouths) if is_even else ceil(FINER * mouths))))
    given: dict[int, list[_Lot]] = {}
    heap = [(load[worker], worker) for worker in takers]
    heapify(heap)
    # The largest first. Arrivals of minions that have all ended go where others are, so they come last.
    for piece in sorted(pieces, key=lambda piece: -piece.size):
        if piece.size == 0:
            minimum = min(given, key=lambda worker: (len(given[worker]), worker))
            given[minimum].append(piece)
            continue
        _, taker = heappop(heap)
        given.setdefault(taker, []).append(piece)
        load[taker] += piece.size
        heappush(heap, (load[taker], taker))
    return {
        taker: Takeover(
            minions=tuple(piece.minions for piece in own),
            arrivals=tuple(piece.arrivals for piece in own),
            records=tuple(piece.records for piece in own),
        )
        for taker, own in sorted(given.items())
    }


def _directives(assignment: Assignment, number: int, taken: Iterable[Taken]) -> dict[str, RestartMinions]:
    by_factory: dict[str, dict[int, dict[str, list[Takeover]]]] = {}
    for each in taken:
        of_worker = by_factory.setdefault(assignment.factory(each.worker), {}).setdefault(each.worker, {})
        of_worker.setdefault(each.scenario, []).append(each.what)
    return {
        factory: RestartMinions(
            round=number,
            takeovers={
                worker: {scenario: _together(parts) for scenario, parts in scenarios.items()}
                for worker, scenarios in workers.items()
            },
        )
        for factory, workers in by_factory.items()
    }


def _together(parts: Sequence[Takeover]) -> Takeover:
    return Takeover(
        minions=tuple(portion for part in parts for portion in part.minions),
        arrivals=tuple(portion for part in parts for portion in part.arrivals),
        records=tuple(portion for part in parts for portion in part.records),
    )


def _minions(assignment: Assignment, scenario: str, what: Takeover) -> int:
    return sum(portion.count(assignment.dealt(portion.worker, scenario)) for portion in what.minions)
