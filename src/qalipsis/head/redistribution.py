"""Who starts the minions of lost workers again: living workers, of the same zone if there are, each an even
part.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from msgspec import Struct

from qalipsis.cluster.messages import RestartMinions
from qalipsis.head.assignment import Assignment
from qalipsis.metrics.ledger import SLOTS, Slot
from qalipsis.plan.portion import Portion, Takeover, skip_first

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
        load[each.worker] += _minions(assignment, each.scenario, each.what.minions)
    taken: list[Taken] = []
    restarted: dict[int, dict[str, int]] = {}
    stranded: dict[int, dict[str, int]] = {}
    for worker in lost:
        for scenario in assignment.minions:
            neighbours = _neighbours(assignment, worker, scenario, able)
            counts = losses[worker].get(scenario, _NOTHING)
            left = _left(assignment, held(assignment, book, worker, scenario), scenario, counts)
            minions = _minions(assignment, scenario, left.minions)
            if minions == 0:
                continue
            (restarted if neighbours else stranded).setdefault(worker, {})[scenario] = minions
            for taker, what in _dealt(assignment, scenario, left, neighbours, load).items():
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
            left[each.scenario] += _minions(assignment, each.scenario, each.what.minions)
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


def _neighbours(assignment: Assignment, worker: int, scenario: str, able: list[int]) -> list[int]:
    """Who may start the minions of a worker again: those of its zone. When nobody is left there, all others
    may, unless the scenario was asked for zone by zone.
    """
    near = [each for each in able if assignment.zone(each) == assignment.zone(worker)]
    return near if near or scenario in assignment.shares else able


def _left(assignment: Assignment, whole: Takeover, scenario: str, counts: Sequence[int]) -> Takeover:
    """Of what a worker held, what its counters do not show as done."""
    dealt = partial(_dealt_at_first, assignment, scenario)
    ended = sum(counts[Slot.MINIONS_COMPLETED : Slot.MINIONS_ABORTED + 1])
    passed = sum(counts[Slot.PASSES_COMPLETED : Slot.PASSES_ABORTED + 1])
    return Takeover(
        minions=skip_first(whole.minions, ended, dealt),
        arrivals=skip_first(whole.arrivals, counts[Slot.ARRIVALS_PLANNED]),
        records=skip_first(whole.records, passed),
    )


def _dealt(
    assignment: Assignment, scenario: str, left: Takeover, takers: list[int], load: Counter[int]
) -> dict[int, Takeover]:
    """Who takes over what; `load` are the minions that each was given so far, and is kept up to date.

    Arrivals and records go where minions go: somewhere else, nobody might come for them.
    """
    if not takers:
        return {}
    minions: dict[int, list[Portion]] = {}
    for portion in left.minions:
        takers = sorted(takers, key=lambda worker: (load[worker], worker))
        for place, taker in enumerate(takers):
            part = portion.deal(place, len(takers))
            count = _minions(assignment, scenario, (part,))
            if count:
                load[taker] += count
                minions.setdefault(taker, []).append(part)
    busy = sorted(minions)
    return {
        taker: Takeover(
            minions=tuple(minions[taker]),
            arrivals=tuple(portion.deal(place, len(busy)) for portion in left.arrivals),
            records=tuple(portion.deal(place, len(busy)) for portion in left.records),
        )
        for place, taker in enumerate(busy)
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


def _minions(assignment: Assignment, scenario: str, portions: Iterable[Portion]) -> int:
    return sum(portion.count(assignment.dealt(portion.worker, scenario)) for portion in portions)


def _dealt_at_first(assignment: Assignment, scenario: str, worker: int) -> int:
    return assignment.dealt(worker, scenario)
