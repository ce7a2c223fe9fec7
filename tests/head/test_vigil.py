"""Whose silence means something."""

from hypothesis import given
from hypothesis import strategies as st

from qalipsis.head.vigil import LOST_BEATS, SUSPECT_BEATS, Vigil

NODES = ("a", "b")


def watching(beat: float = 1.0) -> Vigil:
    vigil = Vigil(beat)
    vigil.watch(NODES, 100.0)
    return vigil


def test_a_factory_is_suspect_after_two_beats_and_lost_after_two_and_three_quarters() -> None:
    vigil = watching()
    assert (vigil.suspects(101.99), vigil.lost(101.99)) == ((), ())
    assert (vigil.suspects(102.0), vigil.lost(102.74)) == (NODES, ())
    assert (vigil.suspects(102.75), vigil.lost(102.75)) == ((), NODES)


def test_the_beat_is_the_measure() -> None:
    vigil = watching(beat=4.0)
    assert vigil.suspects(100.0 + 4 * SUSPECT_BEATS) == NODES
    assert vigil.lost(100.0 + 4 * LOST_BEATS) == NODES


def test_whoever_was_heard_is_there() -> None:
    vigil = watching()
    vigil.heard("a", 102.5)
    assert vigil.lost(103.0) == ("b",)
    assert vigil.lost(105.25) == NODES


def test_who_was_frozen_has_heard_nobody() -> None:
    vigil = watching()
    vigil.awake(100.1)
    vigil.awake(101.0)
    assert vigil.suspects(102.5) == NODES
    vigil.awake(104.0)
    assert (vigil.suspects(104.0), vigil.lost(106.7), vigil.lost(106.75)) == ((), (), NODES)


def test_strangers_are_not_watched() -> None:
    vigil = watching()
    vigil.heard("c", 100.0)
    assert vigil.lost(1000.0) == NODES


def test_whoever_is_dismissed_may_be_silent_and_stays_dismissed() -> None:
    vigil = watching()
    vigil.dismiss("a")
    vigil.dismiss("a")
    vigil.heard("a", 100.0)
    assert vigil.lost(1000.0) == ("b",)
    vigil.restart(1000.0)
    assert vigil.lost(2000.0) == ("b",)


def test_after_deafness_everybody_begins_anew() -> None:
    vigil = watching()
    vigil.restart(200.0)
    assert (vigil.suspects(201.9), vigil.lost(202.7)) == ((), ())
    assert vigil.lost(202.75) == NODES


@given(st.lists(st.floats(0.0, 2.7), max_size=30), st.floats(0.0, 10.0))
def test_whoever_beats_often_enough_is_never_lost(pauses: list[float], silence: float) -> None:
    vigil, now = watching(), 100.0
    for pause in pauses:
        now += pause
        assert vigil.lost(now) == ()
        for node in NODES:
            vigil.heard(node, now)
    now += silence
    is_lost, is_suspect = bool(vigil.lost(now)), bool(vigil.suspects(now))
    assert not (is_lost and is_suspect)
    assert is_lost or is_suspect or silence < SUSPECT_BEATS + 1e-6
