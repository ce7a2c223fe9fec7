"""Whole clusters, each from its seed to its end: whatever goes wrong, what is promised holds."""

import os

import pytest

from tests.simulation.run import simulate

SEEDS = os.environ.get("QALIPSIS_TEST_SEEDS", "0-199")
"""From the first to the last; each takes about a tenth of a second."""

HERE = "tests/simulation/test_simulation.py::test_a_cluster_keeps_its_promises"


def seeds() -> range:
    first, _, last = SEEDS.partition("-")
    return range(int(first), int(last or first) + 1)


@pytest.mark.parametrize("seed", seeds())
def test_a_cluster_keeps_its_promises(seed: int) -> None:
    outcome = simulate(seed)
    if outcome.broken:
        story = "\n".join(outcome.trace)
        pytest.fail(
            f"{story}\n\nIn the world of seed {seed}, after {', '.join(outcome.faults) or 'no faults'}:\n"
            + "\n".join(outcome.broken)
            + f"\n\nAlone: QALIPSIS_TEST_SEEDS={seed} python -m pytest '{HERE}[{seed}]'",
            pytrace=False,
        )


def test_a_seed_always_tells_the_same_story() -> None:
    first, second = simulate(7), simulate(7)
    assert (first.faults, first.ended, first.seconds) == (second.faults, second.ended, second.seconds)
