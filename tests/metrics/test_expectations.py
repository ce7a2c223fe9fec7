import pytest

from qalipsis.metrics.expectations import OPERATORS, Condition, describe, evaluate


class Figure:
    """An aggregate with one figure."""

    def __init__(self, figure: float | None) -> None:
        self.figure = figure
        self.asked: tuple[str, float | None] | None = None

    def statistic(self, name: str, argument: float | None = None) -> float | None:
        self.asked = (name, argument)
        return self.figure


def holds(operator: str, actual: float, *bounds: float) -> bool:
    satisfied, figure = evaluate(
        Condition(statistic="value", operator=operator, bounds=bounds), Figure(actual)
    )
    assert figure == actual
    return satisfied


@pytest.mark.parametrize(
    ("operator", "below", "at", "above"),
    [
        ("is_greater_than", False, False, True),
        ("is_greater_than_or_equal", False, True, True),
        ("is_less_than", True, False, False),
        ("is_less_than_or_equal", True, True, False),
        ("is_equal", False, True, False),
    ],
)
def test_a_figure_is_compared_with_its_bound(operator: str, below: bool, at: bool, above: bool) -> None:
    assert (holds(operator, 1, 2), holds(operator, 2, 2), holds(operator, 3, 2)) == (below, at, above)


def test_between_includes_both_ends_and_not_between_excludes_them() -> None:
    assert [holds("is_between", figure, 2, 4) for figure in (1, 2, 3, 4, 5)] == [
        False,
        True,
        True,
        True,
        False,
    ]
    assert [holds("is_not_between", figure, 2, 4) for figure in (1, 2, 3, 4, 5)] == [
        True,
        False,
        False,
        False,
        True,
    ]


def test_the_statistic_and_its_argument_are_asked_for() -> None:
    figure = Figure(0.5)
    evaluate(Condition(statistic="percentile", argument=95.0, operator="is_less_than", bounds=(1.0,)), figure)
    assert figure.asked == ("percentile", 95.0)


@pytest.mark.parametrize("operator", OPERATORS)
def test_nothing_holds_where_nothing_was_recorded(operator: str) -> None:
    condition = Condition(statistic="mean", operator=operator, bounds=(0.0, 0.0))
    assert evaluate(condition, Figure(None)) == (False, None)


def test_an_unknown_operator_is_refused() -> None:
    with pytest.raises(ValueError, match="is_less_than"):
        holds("is_about", 1, 1)


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        (
            Condition(
                statistic="percentile", argument=95, operator="is_less_than", bounds=(1.0,), is_duration=True
            ),
            "p95 of latency is less than 1 s",
        ),
        (
            Condition(
                statistic="percentile",
                argument=99.9,
                operator="is_between",
                bounds=(0.0, 0.25),
                is_duration=True,
            ),
            "p99.9 of latency is between 0 s and 250 ms",
        ),
        (
            Condition(statistic="max", operator="is_less_than_or_equal", bounds=(5e-5,), is_duration=True),
            "max of latency is less than or equal to 50 µs",
        ),
        (Condition(statistic="value", operator="is_less_than", bounds=(0.01,)), "latency is less than 0.01"),
        (
            Condition(statistic="count", operator="is_equal", bounds=(100000.0,)),
            "count of latency is equal to 100000",
        ),
    ],
)
def test_a_condition_is_told_in_words(condition: Condition, text: str) -> None:
    assert describe(condition, "latency") == text
