"""The books: what was attempted and what came of it, counted before anything is sent.

A ledger is a row of 64-bit counters in memory that a worker shares with its supervisor, so that a killed
worker cannot hide what it did last. Each scenario has `SLOTS` counters; the header holds the lease.
"""

from __future__ import annotations

from enum import IntEnum

from msgspec import Struct

HEADER = 8
"""Slots before the first scenario: slot 0 is the lease (float, monotonic seconds until sends are allowed)."""


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
