"""The memory store keeps what every store promises."""

from __future__ import annotations

import pytest

from qalipsis.head.memory_store import MemoryStore
from qalipsis.testing.store import CHECKS, Check, check_store
from qalipsis.testing.virtual_clock import VirtualClock


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_the_memory_store_keeps_its_promise(check: Check) -> None:
    await check(MemoryStore())


async def test_all_promises_hold_in_one_store() -> None:
    await check_store(MemoryStore())


async def test_states_are_kept_in_their_order() -> None:
    store = MemoryStore()
    for state, at in (("PREPARING", 1.0), ("RUNNING", 2.0), ("RUNNING", 3.0)):
        await store.save_state("c-1", state, at)
    assert store.states["c-1"] == [("PREPARING", 1.0), ("RUNNING", 2.0)]


async def test_leases_end_by_the_clock_of_the_store() -> None:
    clock = VirtualClock()
    store = MemoryStore(clock)
    await store.save_state("c-1", "RUNNING", 1.0)
    assert await store.claim("c-1", "first", 3.0) is not None
    clock.advance(2.9)
    assert await store.claim("c-1", "second", 3.0) is None
    clock.advance(0.1)
    claim = await store.claim("c-1", "second", 3.0)
    assert claim is not None
    assert claim.epoch == 2
