"""What the target of the load has received: the only book that no fault can falsify."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Truth:
    """Told of every request as it arrives, and of every last word of a factory as it is said."""

    on_broken: Callable[[str], None]
    received: Counter[str] = field(default_factory=Counter)
    """Requests by campaign."""
    last_at: dict[str, float] = field(default_factory=dict)
    ended: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Last requests of passes, by campaign and scenario."""
    finished: dict[tuple[str, str], set[int]] = field(default_factory=lambda: defaultdict(set))
    """The minions of each scenario whose last request has come."""
    first_at: dict[str, dict[str, float]] = field(default_factory=lambda: defaultdict(dict))
    """By campaign and worker."""
    _of_workers: Counter[tuple[str, str]] = field(default_factory=Counter)
    _holders: dict[tuple[str, str, int], list[str]] = field(default_factory=lambda: defaultdict(list))
    _over: set[tuple[str, str, int]] = field(default_factory=set)
    _last_words: dict[tuple[str, str, int], int] = field(default_factory=dict)
    """The sequence of the final accounts, by campaign, factory and incarnation."""

    def receive(
        self, at: float, campaign: str, worker: str, scenario: str, minion: int | None, is_last: bool
    ) -> None:
        """A request of a minion, which lives in one worker at a time, or of a step that closes."""
        self.received[campaign] += 1
        self._of_workers[campaign, worker] += 1
        self.last_at[campaign] = at
        if minion is None:
            return
        self.first_at[campaign].setdefault(worker, at)
        if is_last:
            self.ended[campaign, scenario] += 1
            self.finished[campaign, scenario].add(minion)
        holders = self._holders[campaign, scenario, minion]
        if not holders or holders[-1] != worker:
            if worker in holders:
                self.on_broken(
                    f"{campaign}: minion {minion} of {scenario} sends from {worker}, "
                    f"though {holders[-1]} has taken it over"
                )
            holders.append(worker)

    def answer_last(self, campaign: str, scenario: str, minion: int) -> None:
        """The last request of a minion is answered: it has come to its end."""
        self._over.add((campaign, scenario, minion))

    def walkers(self, campaign: str, scenario: str) -> set[str]:
        """The workers of minions that have begun and have not come to their end."""
        return {
            holders[-1]
            for minion, holders in self._holders.items()
            if minion[:2] == (campaign, scenario) and minion not in self._over
        }

    def of_factory(self, campaign: str, factory: str) -> int:
        """The requests of all its workers."""
        return sum(
            count
            for (key, worker), count in self._of_workers.items()
            if key == campaign and worker.startswith(f"{factory}/")
        )

    def say_last(self, campaign: str, factory: str, incarnation: int, sequence: int) -> None:
        """A factory says its final accounts; said again for another broker, the later ones count."""
        self._last_words[campaign, factory, incarnation] = sequence

    def begin_anew(self, campaign: str) -> None:
        """The campaign is assigned: what factories said last was of a time before."""
        for known in [known for known in self._last_words if known[0] == campaign]:
            del self._last_words[known]

    def settled(self, campaign: str, watermarks: dict[tuple[str, int], int]) -> frozenset[str]:
        """The factories whose final accounts were heard, by the sequences up to which each was."""
        return frozenset(
            factory
            for (key, factory, incarnation), sequence in self._last_words.items()
            if key == campaign and watermarks.get((factory, incarnation), 0) >= sequence
        )
