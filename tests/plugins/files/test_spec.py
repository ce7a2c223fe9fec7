"""What authors write about files: every mistake is a sentence, and the records have a type."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from msgspec import Struct

from qalipsis.plugins import files


@dataclass
class User:
    name: str
    age: int = 0


class Row(Struct, array_like=True):
    name: str


class Broken:
    pass


@dataclass
class Unresolved:
    name: "Nowhere"  # type: ignore[name-defined]  # noqa: F821, UP037


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"path": ""}, "files.csv needs the path of a file, not ''"),
        ({"path": 5}, "files.csv needs the path of a file, not 5"),
        ({"path": b"users.csv"}, "files.csv needs the path of a file"),
        ({"into": "dict"}, "into='dict' should be dict, list, a dataclass or a msgspec Struct"),
        ({"into": Broken}, "should be dict, list, a dataclass or a msgspec Struct"),
        ({"into": Unresolved}, "into=Unresolved cannot be filled: name 'Nowhere' is not defined"),
        ({"into": Row}, "into=Row is filled by name: leave array_like=True out"),
        ({"separator": ""}, "separator='' should be one character, for example \";\""),
        ({"separator": None}, "separator=None should be one character"),
        ({"separator": ", "}, "separator=', ' should be one character"),
        ({"separator": "\n"}, "separator='\\n' should be one character"),
        ({"separator": '"'}, "is also the quote or the escape: choose another"),
        ({"quote": "''"}, "quote=\"''\" should be one character"),
        ({"escape": ""}, "escape='' should be one character"),
        ({"comment": ""}, "comment='' should be what comments begin with"),
        ({"encoding": "utf8000"}, "encoding='utf8000' is unknown: write for example \"utf-8\""),
        ({"encoding": "rot13"}, "encoding='rot13' is unknown"),
        ({"encoding": None}, "encoding=None is unknown"),
        ({"skip_blank_lines": 1}, "skip_blank_lines=1 should be True or False"),
        ({"bad_rows": "ignore"}, "bad_rows='ignore' should be one of 'fail', 'skip', 'default'"),
        ({"header": False}, 'header=False gives the columns no names: write header=("name", "age"), or'),
        ({"header": ()}, "header=() should be True, False or the names of the columns"),
        ({"header": "name"}, "header='name' should be True, False or the names of the columns"),
        ({"header": ("a", "b", "a")}, "header names 'a' twice"),
        ({"header": ("age",), "into": User}, "header has no 'name', which User needs: add it"),
        ({"types": [int]}, 'should be a dict by column, for example {"age": int}'),
        ({"types": {"age": "int"}}, "types['age']='int' should be a type such as int, or a function"),
        ({"types": {0: int}}, "types has the key 0: write its name"),
        ({"types": {"a": int}, "into": list, "header": False}, "types has the key 'a': write its number"),
        ({"types": {"b": int}, "header": ("a",)}, "types has the key 'b', which is none of the header's"),
        ({"defaults": {"a": 1}}, 'defaults are for bad_rows="default": add that, or leave the defaults out'),
        ({"defaults": 1, "bad_rows": "default"}, 'should be a dict by column, for example {"age": 0}'),
        ({"into": User, "bad_rows": "default"}, "has no default for 'name': write it into defaults, or give"),
        (
            {"into": User, "bad_rows": "default", "defaults": {"name": "", "age": "x"}},
            "defaults['age']='x' should be of type int, as User says",
        ),
    ],
)
def test_a_mistake_about_csv_is_one_sentence(options: dict[str, Any], words: str) -> None:
    found = files.csv(**{"path": "users.csv", **options}).problems()
    assert len(found) == 1, found
    assert words in found[0]


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (files.json("a.json", into=int), "into=<class 'int'> should be dict, list, object, a dataclass or"),
        (files.json("a.json", lines="yes"), "lines='yes' should be True or False"),  # type: ignore[call-overload]
        (files.json("a.json", path_to_items=""), "path_to_items='' should be names with dots between"),
        (files.json("a.json", path_to_items="a..b"), "path_to_items='a..b' should be names with dots"),
        (files.json("a.jsonl", path_to_items="a"), "is for one document, and this file has one per line"),
        (files.json("a.json", lines=True, path_to_items="a"), "is for one document"),
        (files.xml("a.xml", element=""), "element='' should be the name of the elements to read"),
        (files.xml("a.xml", element="a/b"), "element='a/b' should be the name of the elements to read"),
        (files.xml("a.xml", element="a", into=list), "should be dict, a dataclass or a msgspec Struct"),
        (files.xml("", element="a"), "files.xml needs the path of a file, not ''"),
    ],
)
def test_a_mistake_about_json_or_xml_is_one_sentence(spec: Any, words: str) -> None:
    found = spec.problems()
    assert len(found) == 1, found
    assert words in found[0]


def test_all_mistakes_are_told_at_once() -> None:
    spec = files.csv("", separator="--", encoding="?", bad_rows="no", types={"a": 1})  # type: ignore[call-overload]
    assert len(spec.problems()) == 5


@pytest.mark.parametrize(
    ("path", "lines", "expected"),
    [
        ("a.json", None, False),
        ("a.jsonl", None, True),
        ("a.NDJSON", None, True),
        ("a.jsonl.gz", None, True),
        (Path("a.json.gz"), None, False),
        ("a.json", True, True),
        ("a.jsonl", False, False),
    ],
)
def test_the_name_says_whether_a_file_has_lines(path: Any, lines: bool | None, expected: bool) -> None:
    assert files.json(path, lines=lines).is_lines is expected


@pytest.mark.parametrize(
    ("path", "name"),
    [("data/Users 2024.csv", "users-2024-csv"), (Path("/x/a.csv.gz"), "a-csv-gz"), ("日本", "files-csv")],
)
def test_a_step_is_called_after_its_file(path: Any, name: str) -> None:
    assert files.csv(path).default_name() == name


def test_a_source_knows_where_it_was_written() -> None:
    for spec in (files.csv("a"), files.json("a"), files.xml("a", element="b")):
        assert spec.location.file == __file__
        assert spec.is_finite
        assert not spec.is_dealt_by_service
