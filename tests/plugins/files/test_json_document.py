from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from qalipsis.engine.step import StepError
from qalipsis.errors import ServiceUnavailable
from qalipsis.plugins import files
from qalipsis.plugins.files import json_document
from qalipsis.plugins.files.json_document import JsonDocument

from .reading import cut, parse

TEXT = st.text(st.sampled_from('ab"\\[]{},:é\n\t/ 𝄞'), max_size=10)
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**62), 2**62)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=15,
)
LAYOUTS = st.sampled_from([{}, {"indent": 1}, {"separators": (",", ":")}, {"ensure_ascii": False}])


def read(text: str | bytes, size: int = 1000, **options: Any) -> tuple[list[Any], StepError | None]:
    data = text if isinstance(text, bytes) else text.encode()
    return parse(JsonDocument, files.json("file", **options), cut(data, size))


def problem(text: str | bytes, **options: Any) -> tuple[list[Any], str, str]:
    records, error = read(text, **options)
    assert error is not None
    return records, error.kind, str(error)


@settings(max_examples=300)
@given(st.lists(VALUES, max_size=8), st.integers(1, 40), LAYOUTS)
@example([], 1, {})
@example([[]], 1, {})
def test_an_array_is_read_like_the_json_module_does(items: list[Any], size: int, layout: Any) -> None:
    text = json.dumps(items, **layout)
    assert read(text, size, into=object) == (json.loads(text), None)


@settings(max_examples=300)
@given(
    st.lists(VALUES, max_size=4),
    st.dictionaries(TEXT, VALUES, max_size=3),
    st.dictionaries(TEXT, VALUES, max_size=3),
    st.integers(1, 40),
    LAYOUTS,
)
def test_an_array_is_found_among_whatever_stands_around_it(
    items: list[Any], before: Any, after: Any, size: int, layout: Any
) -> None:
    document = {**before, 'da"ta': {**before, "users": items, **after}, **after}
    document['da"ta']["users"] = items
    text = json.dumps(document, **layout)
    assert read(text, size, into=object, path_to_items='da"ta.users') == (items, None)


@given(VALUES, st.integers(1, 10), LAYOUTS)
def test_a_document_of_one_value_is_one_record(value: Any, size: int, layout: Any) -> None:
    expected = value if isinstance(value, list) else [value]
    assert read(json.dumps(value, **layout), size, into=object) == (expected, None)


@settings(max_examples=300)
@given(st.binary(max_size=30) | st.text(st.sampled_from('[]{}",:\\ 1a\n')).map(str.encode), st.integers(1, 9))
def test_whatever_is_no_json_ends_with_an_error(data: bytes, size: int) -> None:
    def expected() -> Any:
        try:
            value = json.loads(data.decode(), parse_constant=lambda name: 1 // 0)
        except Exception:
            return "broken"
        return value if isinstance(value, list) else [value]

    try:
        records, error = read(data, size, into=object)
    except ServiceUnavailable:
        return
    assert expected() == ("broken" if error else records)


@given(st.lists(st.text(max_size=300), min_size=1, max_size=300), st.integers(1, 2000))
@settings(max_examples=20)
def test_long_texts_and_many_items_are_read(items: list[str], size: int) -> None:
    items = [*items, '"\\' * 500, "[{" * 200, "x" * 5000]
    nested = [{"texts": items, "deep": [[[items]]]}]
    assert read(json.dumps(items), size, into=object) == (items, None)
    assert read(json.dumps(nested), size) == (nested, None)


def test_items_become_instances_of_a_class() -> None:
    @dataclass
    class User:
        name: str
        age: int | None = None

    text = '[{"name": "Ann", "age": 3}, {"name": "Bob", "more": 1}]'
    assert read(text, into=User) == ([User("Ann", 3), User("Bob")], None)
    _, kind, message = problem('[{"name": "Ann"},\n{"name": 5}]', into=User)
    assert kind == "bad-item"
    assert "/data/file, line 2, byte 1: Expected `str`, got `int` - at `$.name` in the item" in message


def test_a_byte_order_mark_is_no_json() -> None:
    assert read(b"\xef\xbb\xbf[{}]", 1000) == ([{}], None)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_another_encoding_stops_the_start(encoding: str) -> None:
    with pytest.raises(ServiceUnavailable, match="/data/file is encoded as UTF-16: JSON is read as UTF-8"):
        read('[{"a": 1}]'.encode(encoding))


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize(
    ("text", "kind", "words", "count"),
    [
        ('[{"a": 1},\n{"a": 2},\n{"a" 3}\n]', "bad-item", "line 3, byte 6: JSON is malformed", 2),
        (
            '[{"a": 1},\n\n  5,{}]',
            "bad-item",
            "line 3, byte 3: Expected `object`, got `int` in the item '5'",
            1,
        ),
        ('[{"a": 1},\n]', "bad-item", "an item is missing", 1),
        ('[{"a": 1},,{}]', "bad-item", "line 1, byte 11: an item is missing", 1),
        ('[{"a": 1}\n{"a": 2}]', "bad-item", "line 2, byte 1: JSON is malformed: trailing characters", 0),
        ('[{"a": 1},\n{"a": [2}', "bad-item", "line 2, byte 10: the file ends in the middle", 1),
        ('[{"a": 1}}', "bad-item", "line 1, byte 10: an array ends with this bracket", 0),
        (
            '[{"a": 1}]\n\n{"a": 2}',
            "bad-item",
            "line 3, byte 1: the document ends before this; write lines=True",
            1,
        ),
        (
            '{"a": 1}\n{"a": 2}',
            "bad-item",
            "line 2, byte 1: the document ends before this; write lines=True",
            1,
        ),
        ("", "bad-item", "line 1, byte 1: the file ends in the middle of the document; is it complete?", 0),
        ("name,age\nAnn,3\n", "bad-item", "line 1", 0),
        ('[{"a": 1},\n{"a":\n "\xff"}]', "encoding", "line 3, byte 3: a text is not UTF-8", 1),
    ],
)
def test_what_is_broken_is_named_after_the_items_before_it(
    text: str, kind: str, words: str, count: int, size: int
) -> None:
    made, error = read(text.encode("latin-1"), size)
    assert error is not None
    assert error.kind == kind
    assert str(error).startswith("/data/file, line ")
    assert words in str(error)
    assert len(made) == count


@pytest.mark.parametrize("size", [1, 1000])
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"data": {}}', "there is no array at 'users'"),
        ('{"other": [1, {"users": []}], "x": "data"}', "there is no array at 'data'"),
        ("[1]", "there is no array at 'data'"),
        ('{"data": [1]}', "there is no array at 'users'"),
        ('{"data": {"users": 5}}', "there is no array at 'users'"),
    ],
)
def test_a_path_that_leads_nowhere_is_told(text: str, words: str, size: int) -> None:
    _, kind, message = problem(text, size=size, path_to_items="data.users")
    assert kind == "no-items"
    assert "/data/file has no items at path_to_items='data.users'" in message
    assert words in message


def test_an_object_at_the_path_is_one_record() -> None:
    assert read('{"data": {"users": {"a": 1}}}', path_to_items="data.users") == ([{"a": 1}], None)


def test_what_follows_the_items_must_be_complete() -> None:
    made, kind, message = problem('{"users": [{}], "more": [1, 2}', path_to_items="users", size=3)
    assert made == [{}]
    assert kind == "bad-item"
    assert "the file ends in the middle" in message


def test_an_item_nested_without_end_is_refused() -> None:
    _, kind, message = problem("[" + "[" * 50_000 + "]" * 50_000 + "]", into=object)
    assert kind == "bad-item"
    assert "nested too deeply" in message


def test_an_item_that_does_not_end_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_document, "LONGEST_RECORD", 10_000)
    text = '[{"a": 1},\n{"a": "' + "x" * 100_000
    made, kind, message = problem(text)
    assert (len(made), kind) == (1, "bad-item")
    assert "line 2, byte 1: the item that begins here is longer than" in message
