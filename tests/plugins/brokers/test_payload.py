from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qalipsis.plugins.brokers.payload import decode_problems, decoder, encoded, payload_problems

DATA = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), DATA) | st.lists(DATA))
def test_data_comes_back_from_json(value: Any) -> None:
    assert decoder("json")(encoded(value)) == value


@given(st.binary())
def test_bytes_go_as_they_are(value: bytes) -> None:
    assert decoder(bytes)(encoded(value)) == encoded(bytearray(value)) == value


@given(st.text())
def test_texts_go_as_utf_8(value: str) -> None:
    assert decoder(str)(encoded(value)) == value


def test_dataclasses_are_data() -> None:
    @dataclass
    class Level:
        of: str
        level: float

    assert encoded(Level("a", 0.5)) == b'{"of":"a","level":0.5}'


def test_a_function_decodes_as_it_likes() -> None:
    assert decoder(lambda raw: raw[::-1])(b"ab") == b"ba"


def test_mistakes_are_told() -> None:
    assert decode_problems("consume", "yaml")
    assert decode_problems("consume", lambda: 1)
    assert not decode_problems("consume", int)
    assert payload_problems("body", object())
    assert payload_problems("body", lambda a, b, c: 1)
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(ValueError, match="cannot be sent"):
        encoded(circle)
