from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qalipsis.plugins import tcp
from qalipsis.plugins.tcp.until import Until


def read(until: Until, pieces: list[bytes]) -> tuple[bytes, bytes] | None:
    """The response and what came after it, as a connection reads it piece by piece."""
    until = until.settled()
    data = bytearray()
    for piece in pieces:
        seen = len(data)
        data += piece
        size = until.size(data, seen)
        if 0 < size <= len(data):
            return bytes(data[:size]), bytes(data[size:])
    return None


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in pairwise(edges)]


places = st.lists(st.integers(0, 1000), max_size=8)


@given(
    st.binary(max_size=60).filter(lambda body: b"\n" not in body), st.sampled_from([b"\n", b"\r\n"]), places
)
def test_a_line_is_found_however_it_arrives(body: bytes, end: bytes, at: list[int]) -> None:
    until = tcp.line()
    found = read(until, cut(body + end, at))
    assert found == (body + end, b"")
    assert until.body(found[0]) == (body if end == b"\r\n" else body.removesuffix(b"\r"))


@given(st.binary(max_size=40), st.binary(min_size=1, max_size=4), st.binary(max_size=20), places)
def test_a_delimiter_is_found_at_its_first_place_however_it_arrives(
    body: bytes, mark: bytes, rest: bytes, at: list[int]
) -> None:
    data = body + mark + rest
    end = data.find(mark) + len(mark)
    until = tcp.delimiter(mark).settled()
    found = read(until, cut(data[:end], at))
    assert found == (data[:end], b"")
    assert until.body(found[0]) == data[: end - len(mark)]


@given(
    st.binary(max_size=60),
    st.integers(1, 8),
    st.sampled_from(["big", "little"]),
    st.booleans(),
    st.binary(max_size=5),
    places,
)
def test_a_length_says_how_much_follows(
    body: bytes, length: int, order: Any, itself: bool, rest: bytes, at: list[int]
) -> None:
    number = len(body) + (length if itself else 0)
    response = number.to_bytes(length, order) + body
    until = tcp.length_prefix(length, order, counts_itself=itself)
    assert read(until, cut(response, at)) == (response, b"")
    assert read(until, [response + rest]) == (response, rest)
    assert until.body(response) == body


@given(st.binary(min_size=1, max_size=60), st.binary(max_size=5), places)
def test_a_number_of_bytes_is_counted(body: bytes, rest: bytes, at: list[int]) -> None:
    until = tcp.exactly(len(body))
    assert read(until, cut(body, at)) == (body, b"")
    assert read(until, [body + rest]) == (body, rest)


def test_a_length_below_its_own_bytes_is_no_length() -> None:
    with pytest.raises(ValueError, match="the length 1 that came is less than its own 2 bytes"):
        tcp.length_prefix(2, counts_itself=True).size(b"\0\1abc", 0)


@pytest.mark.parametrize(
    ("until", "complaint"),
    [
        (tcp.delimiter(b""), "needs the bytes at which a response ends"),
        (tcp.delimiter(3), "needs the bytes"),  # type: ignore[arg-type]
        (tcp.exactly(0), "at least 1 byte; to read none write tcp.nothing()"),
        (tcp.exactly(True), "at least 1 byte"),
        (tcp.exactly(lambda: 3), "calls its function with"),
        (tcp.length_prefix(0), "between 1 and 8"),
        (tcp.length_prefix(9), "between 1 and 8"),
        (tcp.length_prefix(2, "network"), "should be 'big' (network order) or 'little'"),  # type: ignore[arg-type]
        (tcp.length_prefix(2, counts_itself=1), "should be True or False"),  # type: ignore[arg-type]
    ],
)
def test_a_mistake_in_an_end_is_a_sentence(until: Until, complaint: str) -> None:
    (problem,) = until.problems()
    assert complaint in problem
