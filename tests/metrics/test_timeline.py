import pytest

from qalipsis.metrics.timeline import OpenSecond, second_of

STEPS = [
    ("shop", "home", "http.request"),
    ("shop", "wait", "delay"),
    ("shop", "group", "stage"),
    ("shop", "buy", "journey"),
    ("shop", "check", "verify"),
]
HOME, WAIT, GROUP, BUY, CHECK = range(5)


@pytest.mark.parametrize(
    ("elapsed", "last", "second"),
    [
        (1.003, -1, 0),  # shortly after the full second: it tells of the one before
        (0.998, -1, 0),
        (2.001, 0, 1),
        (1.999, 0, 1),
        (10.2, 9, 10),  # the last part of a campaign is a second of its own
        (0.5, -1, 0),
        (1.0, 0, 0),  # two snapshots of one second
        (4.5, 0, 4),  # a worker that was stuck tells of the second in which it came back
        (0.0, -1, 0),
        (0.0, 0, 0),
    ],
)
def test_a_snapshot_tells_of_the_second_that_ended(elapsed: float, last: int, second: int) -> None:
    assert second_of(elapsed, last) == second


def test_steady_snapshots_fill_every_second_once_whatever_their_jitter() -> None:
    last, seconds = -1, []
    for tick in range(1, 200):
        last = second_of(tick + 0.2 * ((tick * 7919) % 10) / 10, last)
        seconds.append(last)
    assert seconds == list(range(199))


def test_pauses_journeys_and_stages_are_no_responses() -> None:
    second = OpenSecond()
    for step in (HOME, WAIT, GROUP, BUY):
        second.latencies.add(step, 0.1 + step)
    figures = second.close(3, STEPS)
    assert (figures.t, figures.achieved) == (3, 1)
    assert figures.p50_ms == figures.p99_ms == pytest.approx(100)


def test_errors_are_those_of_all_steps_but_stages_which_only_pass_them_on() -> None:
    second = OpenSecond()
    for step in (HOME, GROUP, BUY, CHECK):
        second.count(step, executed=2, failed=1)
    assert second.close(0, STEPS).errors == 3


def test_each_step_has_its_own_second() -> None:
    second = OpenSecond()
    second.count(HOME, executed=4, failed=1)
    second.count(HOME, executed=2, failed=0)
    second.count(CHECK, executed=3, failed=3)
    second.latencies.add(HOME, 0.2)
    steps = second.close(0, STEPS).steps
    assert set(steps) == {("shop", "home"), ("shop", "check")}
    assert (steps["shop", "home"].executed, steps["shop", "home"].failed) == (6, 1)
    assert steps["shop", "home"].p95_ms == pytest.approx(200)
    assert steps["shop", "check"].p95_ms == 0.0
