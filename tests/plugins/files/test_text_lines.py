from __future__ import annotations

from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qalipsis.plugins.files.text_lines import TextLines

from .reading import cut

ENCODINGS = ("utf-8", "utf-16", "utf-16-le", "utf-32", "cp1252", "iso-8859-15", "shift_jis", "gb18030")


def lines_of(data: bytes, encoding: str, size: int) -> tuple[list[str], TextLines]:
    text = TextLines(encoding)
    pieces = cut(data, size)
    lines = [line for piece in pieces[:-1] for line in text.accept(piece, False)]
    return lines + text.accept(pieces[-1], True), text


@given(
    st.text(st.sampled_from("aé\r\n\x0b\x0c\x1c\x85\u2028語𝄞,")),
    st.integers(1, 20),
    st.sampled_from(ENCODINGS),
)
def test_lines_end_where_a_text_file_ends_them(text: str, size: int, encoding: str) -> None:
    data = text.encode(encoding, "ignore")
    expected = StringIO(data.decode(encoding), newline="").readlines()
    assert lines_of(data, encoding, size)[0] == expected


@given(st.integers(1, 20))
def test_a_byte_order_mark_is_no_text(size: int) -> None:
    assert lines_of("a,b\n".encode("utf-8-sig"), "utf-8", size)[0] == ["a,b\n"]
    assert lines_of("a,b\n".encode("utf-16"), "utf-16", size)[0] == ["a,b\n"]


@pytest.mark.parametrize("broken", [b"\xff", b"\xe9t\xe9", b"\xe2\x82", b"\xf0\x9f\x98"])
@given(st.integers(1, 20), st.sampled_from(["", "é\n", "été\nwie\ngeh", "1\r\n2€\r\n3"]))
def test_lines_before_bytes_that_are_no_text_are_not_lost(broken: bytes, size: int, before: str) -> None:
    lines, text = lines_of(before.encode() + broken, "utf-8", size)
    assert "".join(lines) + text.partial == before
    assert text.error.startswith("the bytes ")
    assert text.error.endswith("are no utf-8")
    assert text.accept(b"more", False) == []
