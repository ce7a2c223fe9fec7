"""What was saved is there, once."""

import pytest

from qalipsis.head.store import MemoryStore, Store
from qalipsis.reports.model import Second


def second(t: int) -> Second:
    return Second(
        t_s=float(t), offered_per_s=10.0 * t, achieved_per_s=9.5, errors_per_s=0.5, minions=t, p99_ms=1.25
    )


@pytest.fixture
def store() -> Store:
    return MemoryStore()


async def test_the_timeline_comes_back_as_it_was_saved(store: Store) -> None:
    await store.save_seconds("c-1", [second(0), second(1)])
    await store.save_seconds("c-2", [second(7)])
    await store.save_seconds("c-1", [second(2)])
    assert await store.seconds("c-1") == (second(0), second(1), second(2))
    assert await store.seconds("nobody") == ()


async def test_a_second_that_is_saved_again_stays_one(store: Store) -> None:
    await store.save_seconds("c-1", [second(0), second(1)])
    await store.save_seconds("c-1", [second(1), second(2)])
    assert [each.t_s for each in await store.seconds("c-1")] == [0.0, 1.0, 2.0]


async def test_states_are_kept_in_their_order() -> None:
    store = MemoryStore()
    for state, at in (("PREPARING", 1.0), ("RUNNING", 2.0), ("RUNNING", 3.0)):
        await store.save_state("c-1", state, at)
    assert store.states["c-1"] == [("PREPARING", 1.0), ("RUNNING", 2.0)]
