"""Which minions of a campaign are started again: who was given them, and where they have ended."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from msgspec import Struct, field

from qalipsis.head.assignment import Assignment
from qalipsis.head.redistribution import Book, Redistribution, redistribute, refused


class Restarts(Struct, kw_only=True):
    """Of one campaign. Fits into a checkpoint, to be encoded before anything changes."""

    book: Book = Book()
    orders: dict[str, int] = field(default_factory=dict)
    """Rounds of restarts by the id of the message that ordered them."""
    ended: dict[str, dict[str, int]] = field(default_factory=dict)
    """By factory and scenario: the last round after which it said that it had ended."""

    def deal(
        self,
        assignment: Assignment,
        losses: Mapping[int, Mapping[str, Sequence[int]]],
        living: Collection[int],
    ) -> Redistribution:
        """What becomes of the minions of lost workers; see `redistribute`."""
        dealt = redistribute(assignment, self.book, losses, living)
        self.book = dealt.book
        return dealt

    def ordered(self, directive: str, round: int) -> None:
        """A factory was told of a round by the message with this id."""
        self.orders[directive] = round

    def refuse(self, assignment: Assignment, factory: str, directive: str) -> dict[str, int]:
        """The factory could not do what it was ordered; returns the minions, by scenario, that are started
        nowhere because of it.
        """
        self.book, left = refused(assignment, self.book, factory, self.orders.pop(directive))
        return left

    def say_ended(self, factory: str, scenario: str, round: int) -> None:
        """The factory said that the scenario had ended there, when it knew of this round."""
        rounds = self.ended.setdefault(factory, {})
        rounds[scenario] = max(round, rounds.get(scenario, 0))

    def has_ended(self, factory: str, workers: range, scenario: str) -> bool:
        """Whether the scenario has ended at a factory with these workers, and all that they were given of it.

        What was said before they were given something crossed that order on its way: its end is told as well.
        """
        said = self.ended.get(factory, {}).get(scenario, -1)
        return said >= self.book.round_of(workers, scenario)
