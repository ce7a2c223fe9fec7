"""What goes into a record comes out of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qalipsis.plugins.kafka.codec import decoder, encoded, encoder, header_pairs
from qalipsis.plugins.kafka.record import Headers
from qalipsis.plugins.kafka.settings import addresses, shown

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
PAIRS = st.lists(st.tuples(st.sampled_from("abA"), st.none() | st.binary(max_size=3)))


@dataclass
class Order:
    id: int


@given(st.text())
def test_text_is_utf_8(text: str) -> None:
    assert decoder(str)(encoded(text)) == text  # type: ignore[misc, arg-type]


@given(st.binary())
def test_bytes_stay_as_they_are(raw: bytes) -> None:
    assert decoder(bytes) is None
    assert encoded(raw) == raw
    assert encoded(bytearray(raw)) == raw


@given(JSON)
def test_json_is_json(value: Any) -> None:
    assert decoder("json")(encoder(lambda given: encoder("json")(given))(value) or b"null") == value  # type: ignore[misc]


def test_anything_else_is_json() -> None:
    assert encoded({"a": [1, None]}) == b'{"a":[1,null]}'
    assert encoded(Order(7)) == b'{"id":7}'
    assert encoded(12) == b"12"
    assert encoded(None) is None
    with pytest.raises(TypeError):
        encoded(object())


def test_a_serialiser_must_return_bytes_and_is_not_asked_about_null() -> None:
    assert encoder(lambda value: 1 / 0)(None) is None
    with pytest.raises(TypeError, match="the serialiser returned int"):
        encoder(lambda value: 3)("x")


@given(PAIRS)
def test_headers_keep_order_case_and_repetition(pairs: list[tuple[str, bytes | None]]) -> None:
    headers = Headers(tuple(header_pairs(pairs)))
    assert list(headers) == pairs
    assert len(headers) == len(pairs)
    for name in "abA":
        values = [value for known, value in pairs if known == name]
        assert headers.all(name) == tuple(values)
        assert (name in headers) == bool(values)
        assert headers.get(name) == (values[-1] if values else None)


def test_headers_are_read_as_text() -> None:
    headers = Headers((("a", b"\xc3\xa9"), ("b", None)))
    assert (headers.text("a"), headers.text("b"), headers.text("c", "-")) == ("é", "", "-")
    assert headers["a"] == b"\xc3\xa9"
    with pytest.raises(KeyError):
        headers["c"]


@given(
    st.lists(st.tuples(st.sampled_from(["kafka-1", "10.0.0.7", "::1"]), st.integers(1, 65_535)), min_size=1)
)
def test_addresses_are_read_as_they_are_shown(given: list[tuple[str, int]]) -> None:
    texts = [shown(host, port) for host, port in given]
    assert addresses(texts) == addresses(", ".join(texts)) == tuple(given)


def test_the_usual_port_need_not_be_said() -> None:
    assert addresses("kafka-1,[::1]") == (("kafka-1", 9092), ("::1", 9092))
