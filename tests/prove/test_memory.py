"""Memory over the length of a run: what is counted is kept, what happened is not."""

from __future__ import annotations

import time
from statistics import median

import pytest

from benchmarks.campaign import SCENARIOS, children, resident_bytes, run_campaign
from qalipsis.demo.shop_process import running_shop


class Samples:
    """Resident bytes of the parent and of its worker, over the time since the worker was first seen."""

    def __init__(self) -> None:
        self.of_parent: list[tuple[float, int]] = []
        self.of_worker: list[tuple[float, int]] = []
        self._began: float | None = None

    def __call__(self, pid: int) -> None:
        workers = children(pid)
        if not workers:
            return
        if self._began is None:
            self._began = time.monotonic()
        elapsed = time.monotonic() - self._began
        self.of_parent.append((elapsed, resident_bytes(pid)))
        self.of_worker.append((elapsed, max(map(resident_bytes, workers))))


def around(samples: list[tuple[float, int]], second: float, width: float = 2.0) -> float:
    return median(size for elapsed, size in samples if abs(elapsed - second) <= width)


@pytest.mark.parametrize(
    ("early", "late"),
    [(10, 25), pytest.param(60, 600, marks=pytest.mark.prove)],
    ids=["short", "long"],
)
def test_memory_does_not_grow_with_the_length_of_a_run(early: int, late: int) -> None:
    samples = Samples()
    with running_shop(errors=0.01) as shop:
        run_campaign(
            SCENARIOS / "steady.py",
            {"target.url": shop.url, "bench.duration": f"{late + 5}s"},
            while_running=samples,
            timeout_seconds=late + 120,
        )
    for measured in (samples.of_parent, samples.of_worker):
        assert around(measured, late) <= 1.05 * around(measured, early)
