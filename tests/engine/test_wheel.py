from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from qalipsis.engine.wheel import SWEEP_FROM, Slot, TimerWheel
from qalipsis.testing.virtual_clock import VirtualClock


@given(st.lists(st.floats(0, 5), max_size=50))
def test_every_timer_fires_once_within_a_millisecond_and_never_early(delays: list[float]) -> None:
    clock = VirtualClock()
    wheel = TimerWheel(clock)
    began, fired = clock.now(), []
    for delay in delays:
        wheel.call_at(began + delay, lambda delay=delay: fired.append((delay, clock.now() - began)))  # type: ignore[misc]
    clock.advance(6)
    assert sorted(delay for delay, _ in fired) == sorted(delays)
    assert all(-1e-9 <= late - delay <= 0.001 + 1e-9 for delay, late in fired)


def test_a_cancelled_timer_does_not_fire() -> None:
    clock = VirtualClock()
    wheel = TimerWheel(clock)
    fired: list[int] = []
    timer = wheel.call_at(clock.now() + 1, lambda: fired.append(1))
    timer.cancel()
    clock.advance(2)
    assert fired == []


class Sleeper:
    """An entry that is set again and again."""

    def __init__(self, clock: VirtualClock) -> None:
        self.slot: Slot | None = None
        self.fired: list[float] = []
        self.generator = self
        self._clock = clock

    def send(self, value: None, /) -> None:
        self.fired.append(self._clock.now())

    def stopped(self, error: Exception) -> None: ...


@given(st.lists(st.tuples(st.floats(0, 0.05), st.booleans()), max_size=20), st.sampled_from([1, SWEEP_FROM]))
def test_an_entry_that_was_cancelled_and_set_again_fires_for_its_last_moment_only(
    naps: list[tuple[float, bool]], sweep_from: int
) -> None:
    clock = VirtualClock()
    wheel = TimerWheel(clock)
    wheel._sweep_at = sweep_from
    sleeper = Sleeper(clock)
    expected: list[float] = []
    for nap, is_cancelled in naps:
        until = clock.now() + nap
        wheel.enter(sleeper, until)
        if is_cancelled:
            wheel.cancel(sleeper)
            wheel.cancel(sleeper)
        else:
            expected.append(until)
            clock.run_until(until + 0.001)
    clock.advance(1)
    assert len(sleeper.fired) == len(expected)
    assert all(
        -1e-9 <= fired - until <= 0.001 + 1e-9 for fired, until in zip(sleeper.fired, expected, strict=True)
    )


def test_a_timer_set_by_a_timer_fires_in_its_turn() -> None:
    clock = VirtualClock()
    wheel = TimerWheel(clock)
    fired: list[float] = []

    def again() -> None:
        fired.append(clock.now())
        if len(fired) < 3:
            wheel.call_at(clock.now() + 0.5, again)

    wheel.call_at(clock.now() + 0.5, again)
    clock.advance(5)
    assert len(fired) == 3


def test_one_broken_callback_does_not_stop_the_others() -> None:
    clock = VirtualClock()
    wheel = TimerWheel(clock)
    fired: list[int] = []

    def broken() -> None:
        raise RuntimeError("broken")

    wheel.call_at(clock.now() + 1, broken)
    wheel.call_at(clock.now() + 1, lambda: fired.append(1))
    clock.advance(2)
    assert fired == [1]


def test_an_earlier_timer_fires_before_a_later_one_set_first() -> None:
    clock = VirtualClock()
    wheel = TimerWheel(clock)
    fired: list[str] = []
    wheel.call_at(clock.now() + 2, lambda: fired.append("late"))
    wheel.call_at(clock.now() + 1, lambda: fired.append("early"))
    clock.advance(3)
    assert fired == ["early", "late"]
