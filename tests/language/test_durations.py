from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qalipsis.language.durations import seconds, text


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (timedelta(milliseconds=1500), 1.5),
        (2, 2.0),
        (0.25, 0.25),
        ("500ms", 0.5),
        ("10s", 10.0),
        ("1.5 s", 1.5),
        ("5m", 300.0),
        ("1h", 3600.0),
        ("2d", 172800.0),
        ("1m30s", 90.0),
        ("PT10S", 10.0),
        ("PT1H30M", 5400.0),
        ("P1DT0.5S", 86400.5),
        ("-1s", -1.0),
    ],
)
def test_a_duration_is_read_in_every_way_authors_write_it(
    written: timedelta | float | str, read: float
) -> None:
    assert seconds(written) == pytest.approx(read, rel=1e-12)


@pytest.mark.parametrize("written", ["", "10 parsecs", "s", "PT", "1s later", None, True, [1]])
def test_what_is_no_duration_is_refused_with_an_example(written: object) -> None:
    with pytest.raises(ValueError, match="write a duration such as"):
        seconds(written)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("length", "words"),
    [
        (0, "0 ms"),
        (0.25, "250 ms"),
        (1.5, "1.5 s"),
        (90, "90 s"),
        (120, "2 min"),
        (150, "2 min 30 s"),
        (3599.9, "1 h"),
        (5400, "1 h 30 min"),
        (90000, "25 h"),
    ],
)
def test_a_length_is_shown_in_short_words(length: float, words: str) -> None:
    assert text(length) == words


@given(st.integers(1, 10**9))
def test_whole_milliseconds_are_read_exactly(milliseconds: int) -> None:
    assert seconds(f"{milliseconds}ms") == pytest.approx(milliseconds / 1000, rel=1e-15)
