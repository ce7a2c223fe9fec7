from __future__ import annotations

from typing import Any

import pytest

from qalipsis.language.payloads import payload_bytes, payload_problems


@pytest.mark.parametrize(
    "payload", ["né", "né".encode(), bytearray("né".encode()), memoryview("né".encode())]
)
def test_text_and_bytes_become_bytes(payload: Any) -> None:
    assert payload_bytes(payload) == b"n\xc3\xa9"
    assert payload_problems(payload) == []


def test_functions_are_taken_on_trust_until_they_run() -> None:
    assert payload_problems(lambda value: 3) == []
    assert payload_problems(lambda context, value: 3) == []


@pytest.mark.parametrize("payload", [3, None, ["a"], {"a": 1}])
def test_anything_else_is_refused(payload: Any) -> None:
    (problem,) = payload_problems(payload)
    assert problem == f"the payload {payload!r} should be bytes, text, or a function that returns one of them"
    with pytest.raises(TypeError, match="the payload should be bytes or text"):
        payload_bytes(payload)
