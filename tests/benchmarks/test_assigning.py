from __future__ import annotations

from benchmarks.assigning import BOUND_SECONDS, assign_all


async def test_two_hundred_factories_know_their_part_of_a_million_minions_within_a_second() -> None:
    taken = min([await assign_all() for _ in range(3)])
    print(f"200 factories had their orders after {taken:.3f} s")
    assert taken < BOUND_SECONDS
