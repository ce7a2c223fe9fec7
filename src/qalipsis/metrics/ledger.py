"""The books: what was attempted and what came of it, counted before anything is sent.

A ledger is a row of 64-bit counters in memory that a worker shares with its supervisor, so that a killed
worker cannot hide what it did last. Each scenario has `SLOTS` counters; the header holds the lease.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from enum import IntEnum
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

_Account = TypeVar("_Account", "MinionBooks", "RequestBooks", "ArrivalBooks")

HEADER = 8
"""Slots before the first scenario."""

LEASE = 0
"""The slot of the lease: a float, monotonic seconds until which sends are allowed."""


class Slot(IntEnum):
    """Offsets of one scenario's counters."""

    MINIONS_STARTED = 0
    MINIONS_COMPLETED = 1
    MINIONS_FAILED = 2
    MINIONS_ABORTED = 3
    PASSES_STARTED = 4
    PASSES_COMPLETED = 5
    PASSES_FAILED = 6
    PASSES_ABORTED = 7
    REQUESTS_ATTEMPTED = 8
    REQUESTS_OK = 9
    REQUESTS_ERROR = 10
    ARRIVALS_PLANNED = 11
    ARRIVALS_STARTED = 12
    ARRIVALS_DROPPED = 13
    MINIONS_SCHEDULED = 14
    MINIONS_RESTARTED = 15
    """Minions of lost workers that this one was given, each an attempt of its own."""


SLOTS = 16


def ledger_bytes(scenarios: int) -> int:
    """Size of the shared memory for so many scenarios."""
    return 8 * (HEADER + SLOTS * scenarios)


class ScenarioLedger:
    """One scenario's counters of one worker.

    `counts` is a memoryview of int64 (`counts[Slot.REQUESTS_ATTEMPTED] += 1` on the hot path);
    `lease` one of float64: nothing may be sent once the clock passed `lease[0]`.
    """

    __slots__ = ("counts", "lease")

    def __init__(self, memory: memoryview, scenario: int) -> None:
        whole = memory.cast("B").cast("q")
        first = HEADER + SLOTS * scenario
        self.counts = whole[first : first + SLOTS]
        self.lease = memory.cast("B").cast("d")[:HEADER]


class MinionBooks(Struct, frozen=True, kw_only=True):
    """scheduled + restarted = unstarted + started; started = completed + failed + aborted + lost."""

    scheduled: int = 0
    restarted: int = 0
    unstarted: int = 0
    started: int = 0
    completed: int = 0
    failed: int = 0
    aborted: int = 0
    lost: int = 0


class RequestBooks(Struct, frozen=True, kw_only=True):
    """attempted = ok + error + unknown."""

    attempted: int = 0
    ok: int = 0
    error: int = 0
    unknown: int = 0


class ArrivalBooks(Struct, frozen=True, kw_only=True):
    """planned = started + dropped once the campaign ended in order."""

    planned: int = 0
    started: int = 0
    dropped: int = 0


class Books(Struct, frozen=True, kw_only=True):
    """A closed or open account of minions, passes, requests and arrivals."""

    minions: MinionBooks = MinionBooks()
    passes: MinionBooks = MinionBooks()
    requests: RequestBooks = RequestBooks()
    arrivals: ArrivalBooks = ArrivalBooks()


def books(counts: Sequence[int], *, scheduled: int | None = None, is_dead: bool = False) -> Books:
    """The account behind raw counters in the order of `Slot`.

    What was begun and has no end is running, unless the worker is dead: then minions and passes are lost and
    requests unknown. `scheduled` replaces the worker's own figure, which it may have died too early to write.
    """
    slot = [int(count) for count in counts]
    planned = slot[Slot.MINIONS_SCHEDULED] if scheduled is None else scheduled
    restarted = slot[Slot.MINIONS_RESTARTED]
    minions = _open(slot[Slot.MINIONS_STARTED : Slot.MINIONS_ABORTED + 1], is_dead)
    passes = _open(slot[Slot.PASSES_STARTED : Slot.PASSES_ABORTED + 1], is_dead)
    attempted, ok, error = slot[Slot.REQUESTS_ATTEMPTED : Slot.REQUESTS_ERROR + 1]
    return Books(
        minions=replace(
            minions,
            scheduled=planned,
            restarted=restarted,
            unstarted=planned + restarted - minions.started,
        ),
        passes=replace(passes, scheduled=passes.started),
        requests=RequestBooks(
            attempted=attempted,
            ok=ok,
            error=error,
            unknown=attempted - ok - error if is_dead else 0,
        ),
        arrivals=ArrivalBooks(
            planned=slot[Slot.ARRIVALS_PLANNED],
            started=slot[Slot.ARRIVALS_STARTED],
            dropped=slot[Slot.ARRIVALS_DROPPED],
        ),
    )


def total(parts: Iterable[Books]) -> Books:
    """The sum of several accounts."""
    parts = tuple(parts)
    return Books(
        minions=_sum(MinionBooks, [part.minions for part in parts]),
        passes=_sum(MinionBooks, [part.passes for part in parts]),
        requests=_sum(RequestBooks, [part.requests for part in parts]),
        arrivals=_sum(ArrivalBooks, [part.arrivals for part in parts]),
    )


def closes(account: Books, *, is_in_order: bool = True) -> tuple[str, ...]:
    """What does not add up at the end of a campaign, one sentence each; empty when the books close.

    Without `is_in_order` (aborted, or a worker was lost) arrivals may be planned that nobody came to handle.
    """
    return (
        *_minions_close("minions", account.minions),
        *_minions_close("passes", account.passes),
        *_requests_close(account.requests),
        *_arrivals_close(account.arrivals, is_in_order),
    )


def _open(counts: list[int], is_dead: bool) -> MinionBooks:
    started, completed, failed, aborted = counts
    return MinionBooks(
        started=started,
        completed=completed,
        failed=failed,
        aborted=aborted,
        lost=started - completed - failed - aborted if is_dead else 0,
    )


def _minions_close(what: str, it: MinionBooks) -> Iterator[str]:
    if it.scheduled + it.restarted != it.unstarted + it.started or it.unstarted < 0:
        yield (
            f"{what}: {it.scheduled} scheduled + {it.restarted} restarted are not "
            f"{it.unstarted} unstarted + {it.started} started"
        )
    if it.started != it.completed + it.failed + it.aborted + it.lost or it.lost < 0:
        yield (
            f"{what}: {it.started} started are not {it.completed} completed + {it.failed} failed "
            f"+ {it.aborted} aborted + {it.lost} lost"
        )


def _requests_close(it: RequestBooks) -> Iterator[str]:
    if it.attempted != it.ok + it.error + it.unknown or it.unknown < 0:
        yield (
            f"requests: {it.attempted} attempted are not {it.ok} ok + {it.error} error + {it.unknown} unknown"
        )


def _arrivals_close(it: ArrivalBooks, is_in_order: bool) -> Iterator[str]:
    handled = it.started + it.dropped
    if handled > it.planned or (is_in_order and handled < it.planned):
        yield f"arrivals: {it.planned} planned are not {it.started} started + {it.dropped} dropped"


def _sum(kind: type[_Account], parts: list[_Account]) -> _Account:
    return kind(**{field: sum(getattr(part, field) for part in parts) for field in kind.__struct_fields__})
