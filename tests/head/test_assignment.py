"""Who runs what."""

from hypothesis import given
from hypothesis import strategies as st

from qalipsis.head.assignment import assign, minions_of
from qalipsis.plan.model import ScenarioDescriptor


def scenario(name: str, minions: int, fixed: bool = False) -> ScenarioDescriptor:
    return ScenarioDescriptor(name=name, minions=minions, profile="immediate", fixed_minions=fixed)


def test_a_factor_multiplies_and_leaves_at_least_one() -> None:
    assert minions_of(scenario("shop", 10), 1.5, None) == 15
    assert minions_of(scenario("shop", 10), 0.01, None) == 1


def test_a_given_count_replaces_the_scenarios_own() -> None:
    assert minions_of(scenario("shop", 10), 3.0, 7) == 7


def test_counts_of_a_profile_are_not_touched() -> None:
    assert minions_of(scenario("shop", 80, fixed=True), 2.0, 7) == 80


@given(st.integers(1, 10_000), st.dictionaries(st.sampled_from("abcd"), st.integers(1, 5), min_size=1))
def test_every_minion_belongs_to_exactly_one_worker(minions: int, factories: dict[str, int]) -> None:
    assignment = assign([scenario("shop", minions)], factories)
    shares = [
        assignment.share(factory, worker, "shop")
        for factory, workers in factories.items()
        for worker in range(workers)
    ]
    assert sum(shares) == minions
    assert max(shares) - min(shares) <= 1
