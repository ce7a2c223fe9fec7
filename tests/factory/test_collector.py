"""The collector sees only what is young, and is left as it was."""

import gc
from collections.abc import Iterator

import pytest

from qalipsis.factory.collector import FEWEST, PERIOD_SECONDS, Collector


@pytest.fixture
def collector() -> Iterator[Collector]:
    collector = Collector()
    collector.open(now=0.0)
    yield collector
    collector.close()


class Node:
    """Part of a cycle that only a full collection finds."""

    def __init__(self) -> None:
        self.itself = self


def test_what_was_loaded_is_frozen_and_full_collections_are_put_off(collector: Collector) -> None:
    assert gc.get_freeze_count() > 1000
    assert gc.get_threshold()[2] > 1_000_000


def test_minions_are_frozen_as_they_start_but_less_and_less_often(collector: Collector) -> None:
    frozen_at = []
    for thousands in range(1, 100):
        kept = [[] for _ in range(100)]  # type: ignore[var-annotated]
        collector.second(started=thousands * FEWEST, now=0.0)
        collected = set(map(id, gc.get_objects()))  # without what is frozen
        if collected.isdisjoint(map(id, kept)):
            frozen_at.append(thousands)
    assert frozen_at[:4] == [1, 3, 5, 7]
    assert 15 < len(frozen_at) < 30


def test_long_runs_are_collected_now_and_then(collector: Collector) -> None:
    collector.second(started=10, now=1.0)
    Node()
    collector.second(started=10, now=PERIOD_SECONDS - 0.1)
    before = gc.get_stats()[2]["collections"]
    collector.second(started=10, now=PERIOD_SECONDS)
    collector.second(started=10, now=PERIOD_SECONDS + 1)
    assert gc.get_stats()[2]["collections"] == before + 1


def test_it_is_left_as_it_was_found() -> None:
    before = gc.get_threshold()
    collector = Collector()
    collector.open(now=0.0)
    collector.close()
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0
