from __future__ import annotations

from qalipsis.cluster.redis.window import FIRST_QUIET_SECONDS, LONGEST_QUIET_SECONDS, Window


def filled(count: int, **bounds: int) -> Window:
    window = Window(**bounds)
    for number in range(1, count + 1):
        assert window.add(b"%d" % number) == number
    return window


def numbers(window: Window, most: int = 100, most_bytes: int = 1000) -> list[int]:
    return [number for number, _ in window.unsent(most, most_bytes)]


def test_messages_are_sent_in_order_and_held_until_acknowledged() -> None:
    window = filled(5)
    assert list(window.unsent(3, 1000)) == [(1, b"1"), (2, b"2"), (3, b"3")]
    window.sent(3, now=0)
    assert numbers(window) == [4, 5]
    assert window.acknowledged(2, now=0)
    assert (window.first, window.last, window.held_bytes) == (3, 5, 3)
    window.sent(5, now=0)
    assert window.is_sent
    assert not window.is_empty
    assert window.acknowledged(5, now=0)
    assert window.is_empty


def test_an_old_or_impossible_acknowledgement_changes_nothing() -> None:
    window = filled(3)
    window.sent(3, now=0)
    window.acknowledged(2, now=0)
    assert not window.acknowledged(1, now=0)
    assert not window.acknowledged(9, now=0)
    assert (window.first, window.last) == (3, 3)


def test_what_is_missing_is_sent_again_with_all_after_it() -> None:
    window = filled(5)
    window.sent(5, now=0)
    window.acknowledged(1, now=0)
    window.missing(3, now=10)
    assert numbers(window) == [3, 4, 5]
    window.acknowledged(4, now=12)
    assert numbers(window) == [5]


def test_a_reader_that_does_not_get_on_gets_ever_more_time() -> None:
    window = filled(5)
    window.sent(5, now=0)
    now, repeats = 0.0, []
    while now < 100:
        window.missing(2, now)
        if not window.is_sent:
            repeats.append(now)
            window.sent(5, now)
        now += 0.25
    assert repeats == [0, 1, 3, 7, 15, 31, 61, 91]


def test_a_reader_that_gets_on_is_not_disturbed() -> None:
    window = filled(50)
    window.sent(50, now=0)
    window.missing(2, now=0)
    window.sent(50, now=0)
    for second in range(1, 40):
        window.missing(2 + second, now=second)
        assert window.is_sent
    window.missing(41, now=40.5)
    assert window.is_sent
    window.missing(41, now=42)
    assert numbers(window)[0] == 41
    window.sent(50, now=42)
    window.missing(None, now=43)
    window.add(b"51")
    window.sent(51, now=43)
    window.missing(51, now=43)  # lost since
    assert numbers(window) == [51]


def test_what_is_let_go_or_not_sent_yet_cannot_be_missing() -> None:
    window = filled(5)
    window.sent(3, now=0)
    window.acknowledged(2, now=0)
    window.missing(2, now=0)
    window.missing(4, now=0)
    assert numbers(window) == [4, 5]


def test_a_silent_reader_is_reminded_ever_more_rarely() -> None:
    window = filled(1)
    assert not window.is_reminder_due(now=100)  # it is not sent yet
    window.sent(1, now=100)
    now, reminders = 100.0, []
    while now < 130:
        if window.is_reminder_due(now):
            window.reminded(now)
            reminders.append(now - 100)
        now += 0.25
    assert reminders == [0.5, 1.5, 3.5, 7.5, 15.5, 23.5]
    assert window.quiet_seconds == LONGEST_QUIET_SECONDS
    window.add(b"2")
    window.sent(2, now=130)
    window.acknowledged(1, now=130)
    assert window.is_reminder_due(130 + FIRST_QUIET_SECONDS)
    window.acknowledged(2, now=131)
    assert not window.is_reminder_due(200)


def test_a_window_is_full_by_messages_or_bytes() -> None:
    assert not filled(4, most_messages=5).is_full
    assert filled(5, most_messages=5).is_full
    assert not filled(4, most_bytes=5).is_full
    assert filled(5, most_bytes=5).is_full


def test_a_batch_is_bounded_by_bytes_but_never_empty() -> None:
    window = Window()
    for size in (10, 10, 100, 1):
        window.add(bytes(size))
    assert numbers(window, most_bytes=25) == [1, 2]
    window.sent(2, now=0)
    assert numbers(window, most_bytes=25) == [3]
