from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qalipsis.engine.step import StepError
from qalipsis.errors import ServiceUnavailable
from qalipsis.plugins import files
from qalipsis.plugins.files import json_lines
from qalipsis.plugins.files.json_lines import JsonLines

from .reading import cut, parse
from .test_json_document import VALUES


def read(text: str | bytes, size: int = 1000, **options: Any) -> tuple[list[Any], StepError | None]:
    data = text if isinstance(text, bytes) else text.encode()
    return parse(JsonLines, files.json("file.jsonl", **options), cut(data, size))


@given(
    st.lists(VALUES, max_size=20),
    st.integers(1, 50),
    st.sampled_from(["\n", "\r\n", "\n\n", " \n\t\n"]),
    st.booleans(),
)
def test_each_line_is_a_record(values: list[Any], size: int, end: str, is_ended: bool) -> None:
    text = end.join(map(json.dumps, values)) + (end if is_ended else "")
    assert read(text, size, into=object) == (values, None)


def test_many_short_lines_come_in_batches() -> None:
    assert read("1\n" * 50_000, 64 * 1024, into=object) == ([1] * 50_000, None)


def test_a_byte_order_mark_is_no_json() -> None:
    assert read(b"\xef\xbb\xbf{}\n{}") == ([{}, {}], None)


def test_another_encoding_stops_the_start() -> None:
    with pytest.raises(ServiceUnavailable, match="UTF-16"):
        read('{"a": 1}\n'.encode("utf-16"))


@dataclass
class User:
    name: str


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize(
    ("text", "into", "kind", "words"),
    [
        ('{"name": 1}\n\n{"name" 2}\n{}', dict, "bad-item", "line 3, byte 9: JSON is malformed"),
        (
            '{"name": 1}\n\n{"name": 2',
            dict,
            "bad-item",
            "line 3, byte 1: Input data was truncated in the item",
        ),
        (
            '{"name": 1}\n5\n',
            dict,
            "bad-item",
            "line 2, byte 1: Expected `object`, got `int` in the item '5'",
        ),
        ('{"name": 1}\n{} {}\n', dict, "bad-item", "line 2, byte 4: JSON is malformed: trailing"),
        (
            '{"name": "a"}\n{"nam": "b"}\n',
            User,
            "bad-item",
            "line 2, byte 1: Object missing required field `name`",
        ),
        ('{"name": "a"}\r\n{"name": "\xff"}\n', dict, "encoding", "line 2, byte 11: a text is not UTF-8"),
    ],
)
def test_a_broken_line_is_named_after_the_good_ones(
    text: str, into: Any, kind: str, words: str, size: int
) -> None:
    records, error = read(text.encode("latin-1"), size, into=into)
    assert error is not None
    assert len(records) == 1
    assert error.kind == kind
    assert str(error).startswith("/data/file, line ")
    assert words in str(error)


def test_a_line_that_does_not_end_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_lines, "LONGEST_RECORD", 10_000)
    records, error = read('{}\n{"a": "' + "x" * 100_000)
    assert records == [{}]
    assert "line 2, byte 1: the item that begins here is longer than" in str(error)
