from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qalipsis.reports import figures


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 ms"),
        (0.0042, "0.004 ms"),
        (0.42, "0.42 ms"),
        (9.994, "9.99 ms"),
        (9.996, "10.0 ms"),
        (12.34, "12.3 ms"),
        (99.96, "100 ms"),
        (812.4, "812 ms"),
        (999.6, "1.00 s"),
        (1234, "1.23 s"),
        (12_340, "12.3 s"),
        (3_600_000, "3,600 s"),
        (float("nan"), "–"),
    ],
)
def test_a_latency_has_about_three_digits(value: float, text: str) -> None:
    assert figures.milliseconds(value) == text


def test_a_latency_of_nothing_is_no_zero() -> None:
    assert figures.latency(0.0, 0) == "–"
    assert figures.latency(0.0, 1) == "0 ms"


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [
        (0, 10, "0 %"),
        (10, 10, "100 %"),
        (1, 1_000_000, "< 0.01 %"),
        (999_999, 1_000_000, "> 99.99 %"),
        (1, 3, "33.33 %"),
        (0, 0, "–"),
    ],
)
def test_a_share_never_hides_a_rest(part: int, whole: int, text: str) -> None:
    assert figures.share(part, whole) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0/s"), (0.25, "0.25/s"), (411.53, "411.5/s"), (12_345.6, "12,346/s")]
)
def test_a_rate_has_sensible_decimals(value: float, text: str) -> None:
    assert figures.rate(value) == text


def test_a_run_without_length_has_no_rate() -> None:
    assert figures.per_second(10, 0) == "–"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0 B"), (999, "999 B"), (1_500, "1.50 kB"), (882_400_000, "882.4 MB"), (2e16, "20.0 PB")],
)
def test_sizes_use_decimal_units(value: float, text: str) -> None:
    assert figures.size(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.84, "0.8 s"), (59.97, "1 min 00 s"), (200, "3 min 20 s"), (3725, "1 h 02 min 05 s")],
)
def test_a_duration_is_read_in_words(value: float, text: str) -> None:
    assert figures.duration(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(35.9, "00:35"), (600, "10:00"), (3725, "1:02:05"), (-1, "00:00")]
)
def test_a_clock_counts_like_a_stopwatch(value: float, text: str) -> None:
    assert figures.clock(value) == text


def test_all_labels_of_an_axis_share_one_unit() -> None:
    assert [figures.compact(value, 15_000) for value in (0, 5_000, 15_000)] == ["0", "5k", "15k"]


def test_a_terminal_escape_is_shown_instead_of_obeyed() -> None:
    assert figures.printable("a\x1b[2Jb\n\ud800\u202e日本") == "a\\x1b[2Jb\n\\ud800\\u202e日本"


@given(st.text(st.characters()))
def test_printable_text_can_always_be_encoded(text: str) -> None:
    shown = figures.printable(text)
    shown.encode()
    assert not any(ord(letter) < 32 and letter not in "\n\t" for letter in shown)
