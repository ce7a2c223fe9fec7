from __future__ import annotations

import pytest

from qalipsis.head.findings import findings


@pytest.mark.parametrize(
    ("counters", "expected"),
    [
        ({}, []),
        ({"records-read": 5, "records-delivered": 5, "found-none": 0}, []),
        (
            {"records-read": 2, "records-delivered": 2, "found-none": 1},
            ["INFO the source ran dry: 2 records were handed out, and once a minion found none left"],
        ),
        ({"records-read": 1500, "records-delivered": 1}, ["INFO 1,499 records were read and not used"]),
        ({"records-read": 1500, "records-taken": 1}, []),
        ({"right-read": 3, "matched": 3, "left-unmatched": 0}, []),
        (
            {"right-read": 3, "matched": 1, "left-unmatched": 1},
            [
                "WARN 1 record on the left found no match in time",
                "INFO 2 records on the right matched nothing",
            ],
        ),
        ({"right-read": 1, "matched": 9}, []),
        ({"right-evicted": 2}, []),
        (
            {"right-evicted": 2, "left-unmatched": 1},
            [
                "WARN 1 record on the left found no match in time",
                "WARN 2 records on the right were let go before they matched in that worker: "
                "raise cache_size or cache_timeout",
            ],
        ),
        (
            {"records-read": 2, "records-taken": 6, "found-none": 3},
            ["INFO the source ran dry: 6 records were handed out, and 3 times a minion found none left"],
        ),
        ({"records-read": 2, "records-delivered": 1}, ["INFO 1 record was read and not used"]),
        ({"right-read": 9, "paired": 3}, []),
        ({"key-types-differ": 1, "matched": 1, "right-read": 1}, []),
        (
            {"key-types-differ": 1},
            ["WARN keys on the two sides are of different types and never equal: convert one side"],
        ),
    ],
)
def test_figures_become_sentences(counters: dict[str, int], expected: list[str]) -> None:
    found = list(findings("join", counters))
    assert [f"{message.severity} {message.text}" for message in found] == expected
    assert all(message.step == "join" for message in found)
