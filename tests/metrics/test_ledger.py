import pytest
from hypothesis import given
from hypothesis import strategies as st

from qalipsis.metrics.ledger import (
    SLOTS,
    ArrivalBooks,
    Books,
    MinionBooks,
    RequestBooks,
    ScenarioLedger,
    Slot,
    books,
    closes,
    ledger_bytes,
    total,
)


def counts(**slots: int) -> list[int]:
    row = [0] * SLOTS
    for name, count in slots.items():
        row[Slot[name.upper()]] = count
    return row


def test_scenarios_count_in_memory_of_their_own() -> None:
    memory = memoryview(bytearray(ledger_bytes(2)))
    first, second = ScenarioLedger(memory, 0), ScenarioLedger(memory, 1)
    first.counts[Slot.REQUESTS_ATTEMPTED] += 1
    second.lease[0] = 2.5
    assert second.counts.tolist() == [0] * SLOTS
    assert first.lease[0] == 2.5


def test_a_dead_worker_has_lost_minions_and_unknown_requests() -> None:
    row = counts(
        minions_scheduled=10,
        minions_started=8,
        minions_completed=3,
        minions_failed=1,
        minions_aborted=1,
        passes_started=9,
        passes_completed=5,
        requests_attempted=100,
        requests_ok=90,
        requests_error=4,
    )
    account = books(row, is_dead=True)
    assert (account.minions.unstarted, account.minions.lost) == (2, 3)
    assert (account.passes.scheduled, account.passes.lost) == (9, 4)
    assert account.requests.unknown == 6
    assert closes(account) == ()


def test_a_living_worker_that_ended_in_order_closes() -> None:
    row = counts(
        minions_scheduled=4,
        minions_started=4,
        minions_completed=4,
        requests_attempted=7,
        requests_ok=7,
        arrivals_planned=5,
        arrivals_started=4,
        arrivals_dropped=1,
    )
    assert closes(books(row)) == ()


def test_what_a_worker_could_not_write_is_given_by_others() -> None:
    account = books(counts(minions_started=3, minions_restarted=2), scheduled=5, is_dead=True)
    assert account.minions == MinionBooks(scheduled=5, restarted=2, unstarted=4, started=3, lost=3)


@pytest.mark.parametrize(
    ("account", "sentence"),
    [
        (
            Books(minions=MinionBooks(scheduled=3, started=2)),
            "minions: 3 scheduled + 0 restarted are not 0 unstarted + 2 started",
        ),
        (
            Books(passes=MinionBooks(scheduled=2, started=2, completed=1)),
            "passes: 2 started are not 1 completed + 0 failed + 0 aborted + 0 lost",
        ),
        (
            Books(requests=RequestBooks(attempted=3, ok=2)),
            "requests: 3 attempted are not 2 ok + 0 error + 0 unknown",
        ),
        (
            Books(requests=RequestBooks(attempted=3, ok=4, unknown=-1)),
            "requests: 3 attempted are not 4 ok + 0 error + -1 unknown",
        ),
        (
            Books(arrivals=ArrivalBooks(planned=3, started=1, dropped=1)),
            "arrivals: 3 planned are not 1 started + 1 dropped",
        ),
    ],
)
def test_what_does_not_close_is_said_with_its_figures(account: Books, sentence: str) -> None:
    assert sentence in closes(account)


def test_planned_arrivals_may_be_missing_when_the_end_was_not_in_order() -> None:
    missing = Books(arrivals=ArrivalBooks(planned=3, started=1, dropped=1))
    excess = Books(arrivals=ArrivalBooks(planned=1, started=1, dropped=1))
    assert closes(missing, is_in_order=False) == ()
    assert len(closes(excess, is_in_order=False)) == 1


@given(st.lists(st.lists(st.integers(0, 1000), min_size=SLOTS, max_size=SLOTS), max_size=5))
def test_the_sum_of_dead_workers_is_the_account_of_their_summed_counters(rows: list[list[int]]) -> None:
    summed = [sum(column) for column in zip(*rows, strict=True)] if rows else [0] * SLOTS
    assert total(books(row, is_dead=True) for row in rows) == books(summed, is_dead=True)
