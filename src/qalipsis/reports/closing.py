"""Whether the books close: each sum that must hold, with what it says."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from qalipsis.metrics.ledger import Books, MinionBooks

Entries = tuple[tuple[str, int], ...]


class Sum(Struct, frozen=True, kw_only=True):
    """`left` must equal `right`; an open sum (of a campaign that was aborted) may still miss something."""

    account: str
    left: Entries
    right: Entries
    is_open: bool = False

    @property
    def difference(self) -> int:
        """What the right side lacks."""
        return sum(value for _, value in self.left) - sum(value for _, value in self.right)

    @property
    def closes(self) -> bool:
        return self.difference == 0

    @property
    def is_broken(self) -> bool:
        return not self.closes and not self.is_open


def sums(books: Books, aborted: bool = False) -> tuple[Sum, ...]:
    """Every sum of the books in which something was counted."""
    minions, passes, requests, arrivals = books.minions, books.passes, books.requests, books.arrivals
    candidates = (
        *_walks("minions", minions),
        *_walks("passes", passes),
        Sum(
            account="requests",
            left=(("attempted", requests.attempted),),
            right=(("ok", requests.ok), ("error", requests.error), ("unknown", requests.unknown)),
        ),
        Sum(
            account="arrivals",
            left=(("planned", arrivals.planned),),
            right=(("started", arrivals.started), ("dropped", arrivals.dropped)),
            is_open=aborted,
        ),
    )
    return tuple(each for each in candidates if any(value for _, value in each.left + each.right))


def broken(sums: Iterable[Sum]) -> tuple[Sum, ...]:
    """Those that should hold and do not."""
    return tuple(each for each in sums if each.is_broken)


def _walks(account: str, books: MinionBooks) -> Iterable[Sum]:
    yield Sum(
        account=account,
        left=(("scheduled", books.scheduled), ("restarted", books.restarted)),
        right=(("unstarted", books.unstarted), ("started", books.started)),
    )
    yield Sum(
        account=account,
        left=(("started", books.started),),
        right=(
            ("completed", books.completed),
            ("failed", books.failed),
            ("aborted", books.aborted),
            ("lost", books.lost),
        ),
    )
