from __future__ import annotations

from qalipsis.metrics.ledger import ArrivalBooks, Books, MinionBooks, RequestBooks
from qalipsis.reports import closing


def test_empty_books_have_no_sums() -> None:
    assert closing.sums(Books()) == ()


def test_restarted_minions_are_counted_as_attempts() -> None:
    books = Books(minions=MinionBooks(scheduled=10, restarted=2, started=12, completed=10, lost=2))
    assert all(each.closes for each in closing.sums(books))


def test_a_missing_request_breaks_its_sum() -> None:
    books = Books(requests=RequestBooks(attempted=10, ok=7, error=2))
    (broken,) = closing.broken(closing.sums(books))
    assert (broken.account, broken.difference) == ("requests", 1)


def test_arrivals_of_an_aborted_campaign_stay_open() -> None:
    books = Books(arrivals=ArrivalBooks(planned=100, started=40))
    assert closing.broken(closing.sums(books))
    (open_sum,) = closing.sums(books, aborted=True)
    assert open_sum.is_open
    assert not open_sum.is_broken
