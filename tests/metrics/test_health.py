import pytest

from qalipsis.metrics.health import SUSTAINED, InjectorHealth
from qalipsis.metrics.snapshot import WorkerHealth

GOOD = WorkerHealth(cpu=0.95, loop_lag_p99_s=0.05, start_delay_p99_s=0.1, dropped=0)

TROUBLES = pytest.mark.parametrize(
    ("row", "words"),
    [
        (WorkerHealth(cpu=0.97), "97% of a core"),
        (WorkerHealth(loop_lag_p99_s=0.08), "80 ms late (loop lag p99)"),
        (WorkerHealth(start_delay_p99_s=0.25), "started minions up to 250 ms late"),
        (WorkerHealth(dropped=3), "dropped arrivals"),
    ],
)


def reasons(*rows: WorkerHealth) -> tuple[str, ...]:
    health = InjectorHealth()
    for row in rows:
        health.add(row)
    return health.reasons("worker 1 of factory a")


def test_figures_at_their_limit_are_no_reason() -> None:
    assert reasons(*[GOOD] * 100) == ()


@TROUBLES
def test_five_bad_seconds_in_a_row_are_a_reason(row: WorkerHealth, words: str) -> None:
    [reason] = reasons(GOOD, *[row] * SUSTAINED, GOOD)
    assert reason.startswith("worker 1 of factory a ")
    assert words in reason
    assert "5 s in a row" in reason


@TROUBLES
def test_a_good_second_in_between_starts_the_count_again(row: WorkerHealth, words: str) -> None:
    assert reasons(*[row] * 4, GOOD, *[row] * 4) == ()


def test_a_reason_tells_the_longest_streak_and_the_worst_figure_in_one() -> None:
    spike = WorkerHealth(cpu=1.5)
    long, short = WorkerHealth(cpu=0.96), WorkerHealth(cpu=0.98)
    [reason] = reasons(spike, GOOD, *[long] * 8, GOOD, *[short] * 5)
    assert "98% of a core for 8 s in a row" in reason


def test_the_peaks_of_all_seconds_are_kept() -> None:
    health = InjectorHealth()
    health.add(WorkerHealth(cpu=0.5, loop_lag_p99_s=0.2, dropped=2))
    health.add(WorkerHealth(cpu=0.9, start_delay_p99_s=0.3, dropped=1))
    assert (health.cpu_max, health.loop_lag_max_s, health.start_delay_max_s) == (0.9, 0.2, 0.3)
    assert health.dropped == 3
