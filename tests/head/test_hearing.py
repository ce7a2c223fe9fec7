"""What is silence, and what only deafness."""

from qalipsis.head.hearing import MOST_DEAF_SECONDS, Hearing


def test_who_hears_all_the_time_counts_from_the_last_word() -> None:
    hearing = Hearing(2.75)
    for tenth in range(100):
        hearing.awake(100.0 + tenth / 10)
    assert hearing.silence(100.0, 110.0) == 10.0


def test_who_was_deaf_counts_from_the_end_of_it() -> None:
    hearing = Hearing(2.75)
    hearing.restart(104.0)
    assert hearing.silence(100.0, 110.0) == 6.0
    assert hearing.silence(107.0, 110.0) == 3.0


def test_who_was_frozen_was_deaf() -> None:
    hearing = Hearing(2.75)
    hearing.awake(100.0)
    hearing.awake(101.0)
    assert hearing.silence(100.0, 101.0) == 1.0
    hearing.awake(102.5)
    assert hearing.silence(100.0, 103.0) == 0.5


def test_who_begins_was_not_frozen_before() -> None:
    hearing = Hearing(2.75)
    hearing.awake(1000.0)
    assert hearing.silence(100.0, 1000.0) == 900.0


def test_who_is_deaf_on_and_off_hears_losses_after_half_a_minute() -> None:
    hearing, now = Hearing(2.75), 100.0
    while now <= 100.0 + MOST_DEAF_SECONDS:
        assert hearing.restart(now)
        now += 2.5
    assert not hearing.restart(now)
    assert hearing.silence(100.0, now) == 2.5
    assert not hearing.restart(now + 2.5)
    assert hearing.silence(100.0, now + 2.5) == 5.0


def test_who_has_heard_for_long_enough_may_be_deaf_again_for_as_long() -> None:
    hearing = Hearing(2.75)
    for tenth in range(600):
        hearing.restart(100.0 + tenth / 10)
    assert not hearing.restart(160.0)
    assert hearing.restart(162.75)
    assert hearing.silence(100.0, 163.75) == 1.0


def test_who_was_frozen_was_deaf_however_slow_the_broker_is() -> None:
    hearing = Hearing(2.75)
    for tenth in range(600):
        hearing.restart(100.0 + tenth / 10)
    hearing.awake(160.0)
    hearing.awake(165.0)
    assert hearing.silence(100.0, 166.0) == 1.0
