"""What is silence, and what only deafness."""

from qalipsis.head.hearing import Hearing


def test_who_hears_all_the_time_counts_from_the_last_word() -> None:
    hearing = Hearing()
    for tenth in range(100):
        hearing.awake(100.0 + tenth / 10)
    assert hearing.silence(100.0, 110.0) == 10.0


def test_who_was_deaf_counts_from_the_end_of_it() -> None:
    hearing = Hearing()
    hearing.restart(104.0)
    assert hearing.silence(100.0, 110.0) == 6.0
    assert hearing.silence(107.0, 110.0) == 3.0


def test_who_was_frozen_was_deaf() -> None:
    hearing = Hearing()
    hearing.awake(100.0)
    hearing.awake(101.0)
    assert hearing.silence(100.0, 101.0) == 1.0
    hearing.awake(102.5)
    assert hearing.silence(100.0, 103.0) == 0.5


def test_who_begins_was_not_frozen_before() -> None:
    hearing = Hearing()
    hearing.awake(1000.0)
    assert hearing.silence(100.0, 1000.0) == 900.0
