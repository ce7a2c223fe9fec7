"""What a campaign may ask for at most."""

from qalipsis.head.limits import Limits, refusal, refusal_of_duration


def test_too_many_minions_are_refused_with_the_numbers_and_the_key() -> None:
    assert refusal(Limits(max_minions=100), {"shop": 60, "search": 40}) is None
    reason = refusal(Limits(max_minions=100), {"shop": 60, "search": 41})
    assert reason is not None
    assert "101 minions are more than the 100" in reason
    assert "campaign.configuration.validation.max-minions-count" in reason


def test_too_many_scenarios_are_refused() -> None:
    reason = refusal(Limits(max_scenarios=1), {"shop": 1, "search": 1})
    assert reason is not None
    assert "max-scenarios-count" in reason


def test_too_long_profiles_are_refused() -> None:
    assert refusal_of_duration(Limits(max_duration=60.0), 60.0) is None
    reason = refusal_of_duration(Limits(max_duration=60.0), 90.0)
    assert reason is not None
    assert "90 s" in reason
    assert "max-execution-duration" in reason
