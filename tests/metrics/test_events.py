import pytest

from qalipsis.metrics.events import Level, LevelFilter


def test_levels_are_ordered_and_found_by_name() -> None:
    assert Level.TRACE < Level.DEBUG < Level.INFO < Level.WARN < Level.ERROR < Level.OFF
    assert Level.of(" warn ") is Level.WARN
    with pytest.raises(ValueError, match="TRACE, DEBUG, INFO, WARN, ERROR, OFF"):
        Level.of("loud")


def test_the_longest_prefix_decides() -> None:
    levels = LevelFilter(
        Level.INFO,
        {"step": Level.WARN, "step.execution": Level.DEBUG, "step.execution.failed": Level.OFF},
    )
    assert levels.level("minion.started") is Level.INFO
    assert levels.level("step.assertion.failure") is Level.WARN
    assert levels.level("step.execution.started") is Level.DEBUG
    assert levels.level("step.execution.failed") is Level.OFF


def test_a_prefix_ends_with_a_part_of_the_name() -> None:
    levels = LevelFilter(Level.INFO, {"step": Level.ERROR})
    assert levels.level("steps.done") is Level.INFO


def test_an_event_passes_from_its_level_on_and_never_when_off() -> None:
    levels = LevelFilter(Level.DEBUG, {"minion": Level.OFF})
    assert levels.accepts("step.execution.started", Level.DEBUG)
    assert not levels.accepts("step.execution.started", Level.TRACE)
    assert not levels.accepts("minion.started", Level.ERROR)
    assert not levels.accepts("minion.started", Level.OFF)
