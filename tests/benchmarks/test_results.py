from __future__ import annotations

import json
from pathlib import Path

from benchmarks.figure import Figure, at_least, at_most
from benchmarks.results import record, table


def test_a_bound_is_kept_or_missed() -> None:
    assert at_most("error", 2.5, "ms", 2.5).holds is True
    assert at_most("error", 2.6, "ms", 2.5).holds is False
    assert at_least("ratio", 0.46, "×", 0.45).holds is True
    assert at_least("ratio", 0.44, "×", 0.45).holds is False


def test_a_figure_without_a_bound_is_information() -> None:
    assert Figure("rate", 100.0, "/s").holds is None


def test_the_table_says_what_was_missed() -> None:
    text = table("starts", [at_most("p99", 3.0, "ms", 2.5), Figure("rate", 12345.6, "/s")])
    assert "MISSED" in text
    assert "12,346 /s" in text


def test_figures_of_other_benchmarks_stay_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    record(path, "starts", [Figure("a", 1.0, "ms")])
    record(path, "memory", [Figure("b", 2.0, "kB")])
    record(path, "starts", [Figure("a", 3.0, "ms")])
    known = json.loads(path.read_text())
    assert known["starts"]["figures"][0]["value"] == 3.0
    assert known["memory"]["figures"][0]["value"] == 2.0
