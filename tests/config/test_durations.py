from __future__ import annotations

from datetime import timedelta

import pytest

from qalipsis.config.durations import seconds


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (timedelta(minutes=2), 120.0),
        (3, 3.0),
        (0.25, 0.25),
        ("10", 10.0),
        ("1.5", 1.5),
        ("500ms", 0.5),
        ("10s", 10.0),
        ("5m", 300.0),
        ("1h", 3600.0),
        ("2d", 172800.0),
        ("1m30s", 90.0),
        ("1 h 30 m", 5400.0),
        ("-3s", -3.0),
        ("PT10S", 10.0),
        ("PT1M0.5S", 60.5),
        ("P1DT2H", 93600.0),
        ("pt4m", 240.0),
        ("-PT1S", -1.0),
    ],
)
def test_a_duration_is_read_as_seconds(written: timedelta | float | str, expected: float) -> None:
    assert seconds(written) == expected


@pytest.mark.parametrize(
    "written", ["", "s", "10 parsecs", "P", "PT", "1s30", "ten", "--1s", True, None, "1s,2s"]
)
def test_anything_else_is_refused_with_examples(written: object) -> None:
    with pytest.raises(ValueError, match="is not a duration; write a duration such as `500ms`"):
        seconds(written)  # type: ignore[arg-type]
