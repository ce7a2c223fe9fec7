from __future__ import annotations

from itertools import count
from random import Random

import pytest

from qalipsis.cluster.redis.arrivals import FORGET_SECONDS, SILENT_SECONDS, Arrivals, Entry, Receipt

ids = count(1)


def entry(number: int, first: int = 1, publisher: str = "p", body: bytes | None = b"x") -> Entry:
    return Entry(id=f"{next(ids)}-0", publisher=publisher, number=number, first=first, body=body)


def added(arrivals: Arrivals, *entries: Entry, now: float = 0.0) -> list[int]:
    return [ready.number for each in entries for ready in arrivals.add(each, now)]


def test_entries_are_handed_out_in_order_with_nothing_left_out() -> None:
    arrivals = Arrivals()
    assert added(arrivals, entry(1), entry(3), entry(4)) == [1]
    assert arrivals.take_receipts() == {"p": Receipt(0, missing=2)}
    assert added(arrivals, entry(2)) == [2, 3, 4]
    assert arrivals.take_receipts() == {"p": Receipt(0)}


def test_publishers_do_not_wait_for_each_other() -> None:
    arrivals = Arrivals()
    assert added(arrivals, entry(2, publisher="a"), entry(1, publisher="b"), entry(2, publisher="b")) == [
        1,
        2,
    ]


def test_a_repetition_is_acknowledged_together_with_what_it_repeats() -> None:
    arrivals = Arrivals()
    first, again, late = entry(1), entry(1), entry(1)
    assert added(arrivals, first, again) == [1]
    assert arrivals.take_acknowledged() == []
    arrivals.settle(first)
    assert arrivals.take_acknowledged() == [first.id, again.id]
    assert added(arrivals, late) == []
    assert arrivals.take_acknowledged() == [late.id]


def test_messages_may_be_settled_in_any_order() -> None:
    arrivals = Arrivals()
    entries = [entry(number) for number in range(1, 6)]
    added(arrivals, *entries)
    for place in (4, 1, 2):
        arrivals.settle(entries[place])
    assert arrivals.take_receipts() == {"p": Receipt(0, beyond=frozenset({2, 3, 5}))}
    arrivals.settle(entries[0])
    arrivals.settle(entries[0])
    assert arrivals.take_receipts() == {"p": Receipt(3, beyond=frozenset({5}))}
    assert arrivals.known == {entries[3].id}


def test_a_reminder_tells_of_messages_that_never_came() -> None:
    arrivals = Arrivals()
    reminder = entry(3, body=None)
    assert added(arrivals, entry(1), reminder) == [1]
    assert arrivals.take_acknowledged() == [reminder.id]
    assert arrivals.take_receipts() == {"p": Receipt(0, missing=2)}


def test_a_reader_goes_on_where_the_one_before_stopped() -> None:
    arrivals = Arrivals()
    arrivals.resume({"p": Receipt(3, missing=5, beyond=frozenset({6, 7}))}, now=0)
    assert added(arrivals, entry(2), entry(5), entry(4), entry(8)) == [4, 5, 8]


def test_a_reader_that_knows_nothing_believes_the_publisher() -> None:
    arrivals = Arrivals()
    assert added(arrivals, entry(9, first=8)) == []
    assert arrivals.take_receipts() == {"p": Receipt(7, missing=8)}
    assert added(arrivals, entry(8, first=8)) == [8, 9]
    # Somebody else has acknowledged up to 20, and told the publisher.
    assert added(arrivals, entry(21, first=21)) == [21]


def test_what_waits_is_freed_when_the_publisher_needs_nothing_before_it() -> None:
    arrivals = Arrivals()
    assert added(arrivals, entry(5)) == []
    assert added(arrivals, entry(5, first=5, body=None)) == [5]


def test_nobody_waits_for_the_dead() -> None:
    arrivals = Arrivals()
    added(arrivals, entry(1), entry(3), entry(6), entry(9, body=None))
    assert arrivals.give_up_the_dead(now=SILENT_SECONDS) == []
    assert [each.number for each in arrivals.give_up_the_dead(now=SILENT_SECONDS + 1)] == [3, 6]
    assert arrivals.take_receipts() == {"p": Receipt(0)}


def test_the_silent_are_forgotten_once_nothing_of_them_is_left() -> None:
    arrivals = Arrivals()
    only = entry(1)
    added(arrivals, only, entry(1, publisher="q"))
    assert arrivals.forget_silent(FORGET_SECONDS + 1) == []
    arrivals.settle(only)
    assert arrivals.forget_silent(FORGET_SECONDS + 1) == ["p"]
    arrivals.settle(only)
    assert added(arrivals, entry(2, first=2)) == [2]


def test_what_could_not_be_told_is_told_later() -> None:
    arrivals = Arrivals()
    only = entry(1)
    added(arrivals, only)
    arrivals.settle(only)
    taken, receipts = arrivals.take_acknowledged(), arrivals.take_receipts()
    assert not arrivals.has_news
    arrivals.give_back(taken, receipts)
    assert arrivals.take_acknowledged() == taken
    assert arrivals.take_receipts() == receipts
    arrivals.write_all()
    assert arrivals.take_receipts() == receipts


@pytest.mark.parametrize(
    ("receipt", "text"),
    [
        (Receipt(12), "12"),
        (Receipt(12, missing=15), "12 15"),
        (Receipt(12, beyond=frozenset({18, 17})), "12 - 17,18"),
        (Receipt(12, missing=15, beyond=frozenset({17})), "12 15 17"),
    ],
)
def test_a_receipt_is_read_as_it_was_written(receipt: Receipt, text: str) -> None:
    assert str(receipt) == text
    assert Receipt.read(text) == receipt


@pytest.mark.parametrize("seed", range(50))
def test_whatever_is_lost_repeated_and_mixed_comes_in_order_to_readers_that_die(seed: int) -> None:
    random = Random(seed)
    last, done = 80, set[int]()
    broker: dict[str, Entry] = {}  # not acknowledged
    receipts: dict[str, Receipt] = {}
    arrivals, unsettled, latest = Arrivals(), list[Entry](), 0

    def hear(came: Entry) -> None:
        nonlocal latest
        for ready in arrivals.add(came, 0.0):
            assert ready.number not in done
            assert ready.number > latest
            assert all(number in done for number in range(latest + 1, ready.number))
            latest = ready.number
            unsettled.append(ready)

    while len(done) < last:
        first = receipts.get("p", Receipt(0)).acknowledged + 1
        number = random.randint(first, min(last, first + 15))
        came = entry(number, first, body=None if random.random() < 0.2 else b"x")
        broker[came.id] = came
        hear(came)
        random.shuffle(unsettled)
        for _ in range(min(len(unsettled), random.randint(0, 3))):
            settled = unsettled.pop()
            done.add(settled.number)
            arrivals.settle(settled)
        receipts |= arrivals.take_receipts()
        for id in arrivals.take_acknowledged():
            del broker[id]
        if random.random() < 0.05:
            arrivals, unsettled, latest = Arrivals(), [], 0
            arrivals.resume(receipts, 0.0)
            for left in tuple(broker.values()):
                hear(left)
    assert receipts == {"p": Receipt(last)}
    assert set(broker) <= arrivals.known
