"""The books of a campaign, by scenario and by worker, from the workers' counters."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec.structs import replace

from qalipsis.head.assignment import Assignment
from qalipsis.head.tally import Place, Tally
from qalipsis.metrics.ledger import SLOTS, Books, books, closes, total

_NOTHING = (0,) * SLOTS


class Accounts:
    """The account of every worker and scenario, and their sums."""

    def __init__(self, tally: Tally, assignment: Assignment) -> None:
        self._books = {
            (place, scenario): _with_estimate(
                books(
                    worker.ledgers.get(scenario, _NOTHING),
                    scheduled=assignment.share(*place, scenario),
                    is_dead=worker.is_lost,
                ),
                worker.estimates.get(scenario, 0),
            )
            for place, worker in tally.workers.items()
            for scenario in assignment.minions
        }

    def of_scenario(self, name: str) -> Books:
        return total(account for (_, scenario), account in self._books.items() if scenario == name)

    def of_factory(self, name: str) -> Books:
        return total(account for ((factory, _), _), account in self._books.items() if factory == name)

    def of_campaign(self) -> Books:
        return total(self._books.values())

    def problems(self, is_in_order: bool) -> tuple[str, ...]:
        """What does not add up, naming where; without `is_in_order` arrivals may be left over."""
        return tuple(self._problems(is_in_order))

    def _problems(self, is_in_order: bool) -> Iterable[str]:
        for (place, scenario), account in self._books.items():
            for problem in closes(account, is_in_order=is_in_order):
                yield f"the books of {scenario} at {worker_name(place)} do not close: {problem}"


def _with_estimate(account: Books, requests: int) -> Books:
    """The account with so many more requests of which nobody knows what came of them."""
    if not requests:
        return account
    known = account.requests
    estimated = replace(known, attempted=known.attempted + requests, unknown=known.unknown + requests)
    return replace(account, requests=estimated)


def worker_name(place: Place) -> str:
    """How a report calls a worker."""
    return f"worker {place[1]} of {place[0]}"
