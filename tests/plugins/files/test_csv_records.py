from __future__ import annotations

import csv
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from io import StringIO
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta, Struct

from qalipsis.errors import ServiceUnavailable
from qalipsis.plugins import files
from qalipsis.plugins.files.csv_columns import CsvColumns
from qalipsis.plugins.files.csv_records import CsvRecords

from .reading import cut, parse

USERS = "name,age,price\nAnn,31,1.5\nBob,42,2.25\n"


@dataclass
class User:
    name: str
    age: int
    price: float | None = None


class Account(Struct, rename="camel"):
    owner_name: str
    balance: Decimal
    opened: date
    is_open: bool = True


def rows(text: str | bytes, size: int = 1000, counted: dict[str, int] | None = None, **options: Any) -> Any:
    data = text if isinstance(text, bytes) else text.encode()
    return parse(CsvRecords, files.csv("file", **options), cut(data, size), counted)


def records(text: str, **options: Any) -> list[Any]:
    made, error = rows(text, **options)
    assert error is None, error
    return list(made)


def problem(text: str | bytes, **options: Any) -> tuple[list[Any], str, str]:
    """The good records before it, its class and what it says."""
    made, error = rows(text, **options)
    assert error is not None
    return made, error.kind, str(error)


# what records can be


def test_a_row_is_a_dict_of_texts() -> None:
    assert records(USERS)[0] == {"name": "Ann", "age": "31", "price": "1.5"}


def test_types_say_what_columns_hold() -> None:
    assert records(USERS, types={"age": int, "price": Decimal})[1] == {
        "name": "Bob",
        "age": 42,
        "price": Decimal("2.25"),
    }


def test_a_row_is_a_list() -> None:
    assert records(USERS, into=list) == [["Ann", "31", "1.5"], ["Bob", "42", "2.25"]]
    assert records(USERS, into=list, types={"age": int})[0] == ["Ann", 31, "1.5"]


def test_columns_without_header_have_numbers() -> None:
    assert records("Ann,31\n\nBob,42", into=list, header=False, types={1: int}) == [["Ann", 31], ["Bob", 42]]
    assert records("", into=list, header=False) == []


def test_a_class_without_header_takes_the_columns_in_order() -> None:
    assert records("Ann,31,\n", into=User, header=False) == [User("Ann", 31)]


def test_the_author_names_the_columns() -> None:
    assert records("Ann,31\n", header=("who", "years")) == [{"who": "Ann", "years": "31"}]
    assert records("", header=("who", "years")) == []


def test_a_row_is_a_dataclass() -> None:
    assert records(USERS, into=User) == [User("Ann", 31, 1.5), User("Bob", 42, 2.25)]


def test_an_empty_cell_is_none_where_that_is_allowed() -> None:
    assert records("name,age,price\nAnn,31,\n", into=User) == [User("Ann", 31, None)]
    assert records("a,b\n,\n", types={"b": str | None}) == [{"a": "", "b": None}]


def test_a_row_is_a_struct_by_the_names_it_has_outside() -> None:
    text = "balance,extra,ownerName,opened,isOpen\n1.20,x,Ann,2024-02-29,false\n"
    assert records(text, into=Account) == [Account("Ann", Decimal("1.20"), date(2024, 2, 29), False)]


def test_columns_that_a_class_does_not_know_are_left_out() -> None:
    class Strict(Struct, forbid_unknown_fields=True):
        age: int

    assert records(USERS, into=Strict) == [Strict(31), Strict(42)]


def test_a_function_reads_what_no_type_does() -> None:
    def german(text: str) -> date:
        return datetime.strptime(text, "%d.%m.%Y").date()  # noqa: DTZ007 - a date has no zone

    text = "name,day\nAnn,29.02.2024\n"
    assert records(text, types={"day": german}) == [{"name": "Ann", "day": date(2024, 2, 29)}]

    @dataclass
    class Birthday:
        day: date

    assert records(text, into=Birthday, types={"day": german}) == [Birthday(date(2024, 2, 29))]


class Money:
    def __init__(self, text: str) -> None:
        self.amount, self.currency = text.split()


class Colour(Enum):
    RED = "red"


def test_enums_and_classes_of_the_author_are_made_of_the_text() -> None:
    [record] = records("price,colour\n12 EUR,red\n", types={"price": Money, "colour": Colour})
    assert (record["price"].amount, record["price"].currency) == ("12", "EUR")
    assert record["colour"] is Colour.RED


def test_a_number_is_no_moment() -> None:
    _, kind, message = problem("at\n20240102\n", types={"at": datetime})
    assert kind == "bad-row"
    assert "column 'at': '20240102' is no datetime" in message


# what is wrong with rows


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("a,b\n1,2\n3\n", {}, "line 3, column 'b': is missing: the row has 1 columns instead of 2"),
        ("a,b\n1,2\n3,4,x\n", {}, "line 3: it has 3 columns instead of 2; the first too many is 'x'"),
        ("a,b\n1,2\n3,z\n", {"types": {"b": int}}, "line 3, column 'b': 'z' is no int; correct it, or"),
        ("a,b\n1,2\n3,\n", {"types": {"b": float}}, "line 3, column 'b': '' is no float"),
        ("a,b\n1,2\n3,y\n", {"types": {"b": bool}, "header": ("a", "b")}, "line 1, column 'b': 'b' is no"),
        ('a,b\n"1\n1",2\n3,"x"y\n', {}, "line 4: ',' expected after '\"' in '3,\"x\"y'"),
        ('a,b\n1,2\n3,"x\n\n', {}, "line 3: a quoted field does not end in '3,\"x'"),
        ("1,2\n3\n", {"into": list, "header": False}, "line 2, column 1: is missing"),
        (
            "a,b\n1,2\n\n",
            {"skip_blank_lines": False},
            "line 3, column 'a': is missing: the row has 0 columns",
        ),
        (
            "a,b\n1,2\n3,4\n",
            {"types": {"b": lambda text: 6 // (int(text) - 4)}},
            "refused by the column's fun",
        ),
    ],
)
def test_a_bad_row_is_named(text: str, options: dict[str, Any], words: str, size: int) -> None:
    made, kind, message = problem(text, size=size, **options)
    assert kind == "bad-row"
    assert message.startswith("/data/file, line ")
    assert words in message
    assert 'bad_rows="skip"' in message
    assert len(made) == (0 if "line 1," in words else 1)


@pytest.mark.parametrize("gap", ["", "\n", '"x\ny",2\n', "\r\n\r\n"])
def test_lines_are_those_of_the_file(gap: str) -> None:
    text = f"a,b\n{gap}1\n"
    line = text[: text.index("1\n")].count("\n") + 1
    assert f"line {line}, column 'b'" in problem(text)[2]


def test_a_class_says_why_it_refuses_a_row() -> None:
    @dataclass
    class Span:
        first: int
        last: Annotated[int, Meta(le=10)]

        def __post_init__(self) -> None:
            if self.first > self.last:
                raise ValueError("the first comes after the last")

    _, _, message = problem("first,last\n1,2\n3,2\n", into=Span)
    assert "line 3: it makes no Span: the first comes after the last" in message
    _, _, message = problem("first,last\n1,20\n", into=Span)
    assert "line 2, column 'last': '20' is no" in message
    assert "<= 10" in message


BAD = 'a,b\n1,2\n3\nx,4\n5,6,7\n8,"9"z\n10,11\n'


def test_bad_rows_are_skipped_and_counted() -> None:
    counted: dict[str, int] = {}
    made, error = rows(BAD, types={"a": int}, bad_rows="skip", counted=counted)
    assert error is None
    assert [record["a"] for record in made] == [1, 10]
    assert counted == {"bad-rows": 4}


def test_bad_rows_are_completed_with_defaults() -> None:
    counted: dict[str, int] = {}
    made, error = rows(BAD, types={"a": int}, bad_rows="default", defaults={"a": -1}, counted=counted)
    assert error is None
    assert [tuple(record.values()) for record in made] == [
        (1, "2"),
        (3, None),
        (-1, "4"),
        (5, "6"),
        (10, "11"),
    ]
    assert counted == {"bad-rows": 4}


def test_a_class_completes_bad_rows_with_its_own_defaults() -> None:
    @dataclass
    class Item:
        name: str
        tags: list[str] = field(default_factory=list)
        price: float = 9.5
        count: int | None = None

    options: dict[str, Any] = {"into": Item, "bad_rows": "default", "defaults": {"name": "?", "price": 0.0}}
    text = "name,price,count\nAnn,x,1\n\nBob,2\n"
    assert records(text, **options) == [Item("Ann", price=0.0, count=1), Item("Bob", price=2.0)]


def test_a_default_that_a_class_refuses_fails() -> None:
    @dataclass
    class Positive:
        value: int = 1

        def __post_init__(self) -> None:
            if self.value < 0:
                raise ValueError("negative")

    _, kind, message = problem("value\n-5\n", into=Positive, bad_rows="default")
    assert kind == "bad-row"
    assert "makes no Positive: negative; correct it, or its default" in message


# encodings


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252", "iso-8859-1"])
def test_encodings(encoding: str) -> None:
    data = "naïve,b\né,ü\n".encode(encoding)
    made, error = rows(data, encoding=encoding, size=3)
    assert (made, error) == ([{"naïve": "é", "b": "ü"}], None)


@pytest.mark.parametrize("size", [1, 5, 1000])
def test_a_wrong_encoding_further_down_is_named_after_the_rows_before_it(size: int) -> None:
    made, kind, message = problem(b'a,b\n1,2\n"3\n3",4\n5,\xe9\n6,7\n', size=size)
    assert [record["b"] for record in made] == ["2", "4"]
    assert kind == "encoding"
    assert message.startswith("/data/file, line 5, character 3: the bytes e9 are no utf-8")
    assert "encoding='utf-8'" in message


@pytest.mark.parametrize("size", [1, 1000])
def test_a_wrong_encoding_in_the_header_stops_the_start(size: int) -> None:
    with pytest.raises(ServiceUnavailable, match=r"/data/file, line 1, character 4: the bytes ef are no utf"):
        rows(b"a,n\xef\xef,c\n1,2,3\n", size=size)


# what stops the start


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("", {}, "/data/file is empty: its first line should name its columns"),
        ("\n\n", {}, "/data/file is empty"),
        ("a,b,a\n", {}, "names 'a' twice"),
        ('"a,b\n1,2\n', {}, "line 1: a quoted field does not end"),
        ("name,price\n", {"into": User}, "has no column 'age', which User needs; it has 'name', 'price'"),
        ("name;age\n", {"into": User}, "it has 'name;age': write separator=';'?"),
        ("a,b\n", {"types": {"c": int}}, "has no column 'c', which types needs"),
        (
            "a,b\n",
            {"bad_rows": "default", "defaults": {"c": 1}},
            "has no column 'c', which defaults needs",
        ),
        ("1,2\n", {"into": list, "header": False, "types": {2: int}}, "has no column 2, which types needs"),
    ],
)
def test_a_file_without_the_columns_stops_the_start(text: str, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ServiceUnavailable) as raised:
        rows(text, **options)
    assert words in str(raised.value)


def test_lists_do_without_names_that_differ() -> None:
    assert records("a,a\n1,2\n", into=list) == [["1", "2"]]


# many at once is the same as one by one

CELLS = st.sampled_from(["", "1", "-2", "1.5", "x", "true", "2024-01-02", "null", " 1", "1e3", "nan "])


@given(
    st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=1, max_size=5),
    st.sampled_from([dict, list, User]),
    st.lists(
        st.sampled_from([str, int, float | None, bool, date, Decimal, str | None]), min_size=3, max_size=3
    ),
)
def test_rows_taken_together_are_as_rows_taken_alone(cells: Any, into: Any, types: Any) -> None:
    names = ("name", "age", "price")
    spec = files.csv("file", into=into, types=None if into is User else dict(zip(names, types, strict=True)))
    columns = CsvColumns(spec, names)

    def outcome(make: Any, given: Any) -> Any:
        try:
            return make(given)
        except Exception:
            return "refused"

    alone = [outcome(columns.record, row) for row in cells]
    together = outcome(columns.records, [row[:] for row in cells])
    assert repr(together) == (repr("refused") if "refused" in alone else repr(alone))


@given(
    st.lists(
        st.tuples(
            st.text(st.characters(codec="utf-8"), min_size=1), st.integers(), st.floats(allow_nan=False)
        )
    ),
    st.integers(1, 50),
)
def test_what_is_written_is_read_back(values: list[tuple[str, int, float]], size: int) -> None:
    file = StringIO(newline="")
    writer = csv.writer(file)
    writer.writerow(("name", "age", "price"))
    writer.writerows(values)
    made, error = rows(file.getvalue(), size=size, into=User)
    assert error is None
    assert made == [User(*value) for value in values]
