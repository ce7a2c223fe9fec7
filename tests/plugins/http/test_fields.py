from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qalipsis.plugins import http
from qalipsis.plugins.http.fields import authorization_fields, cookie_fields, header_fields


def test_a_line_is_kept_by_its_name_in_lower_case() -> None:
    assert header_fields({"X-Try": 3, "Accept": ["a", None, "b"], "Gone": None, "Flag": True}) == {
        b"x-try": b"X-Try: 3\r\n",
        b"accept": b"Accept: a\r\nAccept: b\r\n",
        b"gone": b"",
        b"flag": b"Flag: true\r\n",
    }


def test_text_beyond_ascii_is_sent_as_utf_8() -> None:
    assert header_fields({"X": " Größe\t"}) == {b"x": "X: Größe\r\n".encode()}


@pytest.mark.parametrize("name", ["", "a b", "a:", "ä", "a\r\nb", 3])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is no name for a header"):
        header_fields({name: "x"})


def test_a_refused_value_is_not_shown_because_it_may_be_a_secret() -> None:
    with pytest.raises(ValueError) as caught:
        authorization_fields(http.bearer("secret\r\nX: y"))
    assert (
        str(caught.value) == "the value of Authorization contains a line break or another control character"
    )


def test_cookies_share_one_line() -> None:
    assert cookie_fields({"a": 1, "b": "x=y"}) == {b"cookie": b"Cookie: a=1; b=x=y\r\n"}
    assert cookie_fields({}) == {}


@pytest.mark.parametrize("value", ["a;b", "a b", 'a"b', "a,b", "a\r\nb"])
def test_a_cookie_cannot_become_two(value: str) -> None:
    with pytest.raises(ValueError, match="no cookie can have"):
        cookie_fields({"a": value})


@given(st.dictionaries(st.text(), st.text()))
def test_every_line_ends_where_its_value_ends(headers: dict[str, str]) -> None:
    try:
        fields = header_fields(headers)
    except ValueError:
        return
    assert all(
        line.count(b"\r") == line.count(b"\n") == 1 and line.endswith(b"\r\n") for line in fields.values()
    )
