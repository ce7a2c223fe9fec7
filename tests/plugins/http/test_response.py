from __future__ import annotations

import gc
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qalipsis.plugins.http.response import Headers, Response, header_values

HEAD = (
    b"HTTP/1.1 201 Created\r\n"
    b"Content-Type: application/json; charset=utf-8\r\n"
    b"Set-Cookie: session=abc; Path=/; HttpOnly\r\n"
    b"set-cookie: lang=en\r\n"
    b"Vary: Accept\r\n"
    b"VARY: Cookie\r\n"
    b"X-Folded: one\r\n  two\r\n\tthree\r\n"
    b"X-Empty:\r\n"
    b"\r\n"
)


@dataclass
class Message:
    url: str


def response(
    head: bytes = HEAD, body: bytes = b"", connect: tuple[float, float, float] | None = None
) -> Response:
    stamps = (10.0, 10.5, 10.75, 12.0, 13.0)
    return Response(
        200, head, body, Message("http://shop.example/x"), *stamps, 120, 240, 1_000_000.0, connect
    )


def test_the_moments_are_epoch_seconds() -> None:
    answered = response()
    assert (answered.due, answered.sent, answered.done) == (1_000_010.0, 1_000_010.5, 1_000_013.0)


def test_every_phase_has_its_share_of_the_time() -> None:
    timings = response(connect=(0.1, 0.2, 0.3)).timings
    assert (timings.dns, timings.connect, timings.tls) == (0.1, 0.2, 0.3)
    assert (timings.send, timings.wait, timings.receive) == (0.25, 1.25, 1.0)


def test_a_connection_that_was_open_already_costs_nothing() -> None:
    timings = response().timings
    assert (timings.dns, timings.connect, timings.tls) == (0.0, 0.0, 0.0)


def test_headers_are_found_whatever_their_case() -> None:
    headers = response().headers
    assert headers["content-type"] == headers["CONTENT-TYPE"] == "application/json; charset=utf-8"
    assert "Content-type" in headers
    assert headers.get("x-missing") is None
    assert 3 not in headers
    assert headers["x-empty"] == ""


def test_a_repeated_header_keeps_all_its_values() -> None:
    headers = response().headers
    assert headers["vary"] == "Accept, Cookie"
    assert headers.all("Vary") == ("Accept", "Cookie")
    assert headers.all("x-missing") == ()
    assert list(headers) == ["content-type", "set-cookie", "vary", "x-folded", "x-empty"]


def test_a_folded_header_is_one_line() -> None:
    assert response().headers["x-folded"] == "one two three"
    assert header_values(HEAD, b"x-folded") == [b"one two three"]


def test_headers_are_read_once() -> None:
    answered = response()
    assert answered.headers is answered.headers


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"HTTP/1.1 200 OK", "OK"),
        (b"HTTP/1.1 404 Not Found", "Not Found"),
        (b"HTTP/1.1 200 ", ""),
        (b"HTTP/1.1 200", ""),
    ],
)
def test_the_reason_may_be_missing(line: bytes, reason: str) -> None:
    assert response(line + b"\r\nA: b\r\n\r\n").reason == reason
    assert response(line + b"\nA: b\n\n").reason == reason


def test_cookies_are_those_the_response_sets() -> None:
    assert response().cookies == {"session": "abc", "lang": "en"}
    assert response(b'HTTP/1.1 200 OK\r\nSet-Cookie: a="b=c"; Path=/\r\nSet-Cookie: odd\r\n\r\n').cookies == {
        "a": "b=c"
    }


def test_text_follows_the_charset_of_the_response() -> None:
    latin = b'HTTP/1.1 200 OK\r\nContent-Type: text/html; Charset="ISO-8859-1"\r\n\r\n'
    assert response(latin, "Größe".encode("latin-1")).text == "Größe"
    assert response(HEAD, "Größe".encode()).text == "Größe"
    assert response(b"HTTP/1.1 200 OK\r\n\r\n", b"caf\xff").text == "caf�"
    unknown = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=klingon\r\n\r\n"
    assert response(unknown, "Größe".encode()).text == "Größe"


def test_json_is_read_from_the_body() -> None:
    assert response(body=b'{"id": 3}').json() == {"id": 3}
    assert response(body=b'\xef\xbb\xbf{"id": 3}').json() == {"id": 3}
    with pytest.raises(ValueError):
        response(body=b"<html>").json()


def test_a_response_says_where_it_came_from() -> None:
    assert response(body=b"abc").url == "http://shop.example/x"
    assert repr(response(body=b"abc")) == "<Response 200 http://shop.example/x 3 bytes>"


def test_responses_are_not_walked_by_the_garbage_collector() -> None:
    assert not gc.is_tracked(response())


names = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-", min_size=1, max_size=12)
values = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)


@given(st.lists(st.tuples(names, values)), st.sampled_from(["\r\n", "\n"]))
def test_any_head_gives_its_headers_back(fields: list[tuple[str, str]], end: str) -> None:
    head = f"HTTP/1.1 200 OK{end}" + "".join(f"{name}: {value}{end}" for name, value in fields) + end
    headers = Headers(head.encode())
    for name, _ in fields:
        expected = [value for other, value in fields if other.lower() == name.lower()]
        assert headers.all(name) == tuple(expected)
        assert header_values(head.encode(), name.lower().encode()) == [value.encode() for value in expected]
    assert header_values(head.encode(), b"not-there") == []


@given(st.binary())
def test_any_bytes_are_read_without_an_exception(head: bytes) -> None:
    answered = response(head)
    assert isinstance(answered.reason, str)
    assert all(isinstance(value, str) for value in answered.headers.values())
    assert isinstance(answered.cookies, dict)
    assert isinstance(header_values(head, b"location"), list)
