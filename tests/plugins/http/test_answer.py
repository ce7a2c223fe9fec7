from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qalipsis.plugins.http.answer import MAX_HEAD, Answer, ProtocolViolation
from qalipsis.plugins.http.content import TooLarge

LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nhel\r\n2;note=yes\r\nlo\r\n0\r\nX-Trailer: t\r\n\r\n"
)
EMPTY_CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
NO_CONTENT = b"HTTP/1.1 204 No Content\r\n\r\n"
NOT_MODIFIED = b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"
OLD = b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello"
CONTINUED = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + LENGTH


def fed(*pieces: bytes, max_body: int = 1000, is_head_only: bool = False) -> Answer:
    answer = Answer(max_body)
    answer.expect(is_head_only)
    for place, piece in enumerate(pieces):
        answer.feed(piece, float(place))
    return answer


@pytest.mark.parametrize(
    ("data", "status", "body", "keeps_alive"),
    [
        (LENGTH, 200, b"hello", True),
        (CHUNKED, 200, b"hello", True),
        (EMPTY_CHUNKED, 200, b"", True),
        (NO_CONTENT, 204, b"", True),
        (NOT_MODIFIED, 304, b"", True),
        (OLD, 200, b"hello", False),
        (CONTINUED, 200, b"hello", True),
        (LENGTH.replace(b"X-A: b", b"Connection: close"), 200, b"hello", False),
        (OLD.replace(b"\r\n\r\n", b"\r\nConnection: keep-alive\r\n\r\n"), 200, b"hello", True),
    ],
)
def test_a_response_ends_where_its_framing_says_wherever_it_is_cut(
    data: bytes, status: int, body: bytes, keeps_alive: bool
) -> None:
    for cut in range(len(data) + 1):
        pieces = [piece for piece in (data[:cut], data[cut:]) if piece]
        answer = fed(*pieces)
        assert (answer.is_complete, answer.status, answer.body) == (True, status, body), cut
        assert answer.keeps_alive is keeps_alive
        assert answer.has_excess is False
        assert answer.received == len(data)


@given(cuts=st.lists(st.integers(1, len(CONTINUED + CHUNKED)), max_size=12))
def test_any_number_of_pieces_makes_the_same_response(cuts: list[int]) -> None:
    data = CONTINUED[: -len(LENGTH)] + CHUNKED
    edges = sorted({0, *(cut for cut in cuts if cut < len(data)), len(data)})
    answer = fed(*(data[first:last] for first, last in pairwise(edges)))
    assert (answer.status, answer.body, answer.head) == (200, b"hello", CHUNKED.partition(b"3\r\n")[0])


def test_it_is_not_complete_before_its_last_byte() -> None:
    for data in (LENGTH, CHUNKED, CONTINUED):
        assert not fed(data[:-1]).is_complete


def test_the_head_stays_as_it_came_without_what_came_before() -> None:
    assert fed(CONTINUED).head == LENGTH[: -len(b"hello")]


def test_the_first_byte_is_that_of_the_response_and_not_of_an_interim_one() -> None:
    assert fed(b"HTTP/1.1 100 Continue\r\n\r\n", LENGTH[:20], LENGTH[20:]).first_byte == 1.0


def test_a_body_without_length_ends_with_the_connection() -> None:
    answer = fed(b"HTTP/1.1 200 OK\r\n\r\nhel", b"lo")
    assert not answer.is_complete
    assert answer.feed_end()
    assert (answer.body, answer.keeps_alive, answer.is_plain) == (b"hello", False, False)


@pytest.mark.parametrize("data", [b"", b"HTTP/1.1 200", LENGTH[:-1], CHUNKED[:-1]])
def test_a_body_with_framing_does_not_end_with_the_connection(data: bytes) -> None:
    answer = Answer(1000)
    if data:
        answer.feed(data, 0.0)
    assert not answer.feed_end()


def test_the_answer_to_head_has_no_body_whatever_its_length_says() -> None:
    answer = fed(LENGTH[: -len(b"hello")], is_head_only=True)
    assert (answer.is_complete, answer.body, answer.keeps_alive) == (True, b"", True)


def test_the_answer_to_head_needs_no_length_to_keep_the_connection() -> None:
    assert fed(b"HTTP/1.1 200 OK\r\n\r\n", is_head_only=True).keeps_alive
    assert not fed(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", is_head_only=True).keeps_alive
    assert not fed(b"HTTP/1.0 200 OK\r\n\r\n", is_head_only=True).keeps_alive
    assert fed(b"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\n\r\n", is_head_only=True).keeps_alive


def test_a_body_after_the_answer_to_head_is_too_much() -> None:
    assert fed(LENGTH, is_head_only=True).has_excess


@pytest.mark.parametrize("more", [LENGTH, b"x", b"HTTP/1.1 2", b"\x00", NO_CONTENT])
@pytest.mark.parametrize("first", [LENGTH, CHUNKED, NO_CONTENT])
def test_whatever_follows_a_response_is_noticed_and_not_mixed_in(first: bytes, more: bytes) -> None:
    answer = fed(first + more)
    alone = fed(first)
    assert (answer.is_complete, answer.has_excess) == (True, True)
    assert (answer.status, answer.body, answer.head) == (alone.status, alone.body, alone.head)
    assert not answer.is_plain
    assert not answer.is_clean


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 2x0 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: five\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\nhello",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * MAX_HEAD,
    ],
)
def test_what_is_no_response_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        fed(data)


def test_a_body_may_have_as_many_bytes_as_allowed_and_not_one_more() -> None:
    assert fed(LENGTH, max_body=5).body == b"hello"
    for data in (LENGTH, CHUNKED):
        with pytest.raises(TooLarge, match="max_body"):
            fed(data, max_body=4)


def test_a_body_of_unknown_length_is_bounded_as_well() -> None:
    with pytest.raises(TooLarge):
        fed(b"HTTP/1.1 200 OK\r\n\r\nhe", b"ll", b"o", max_body=4)


def test_the_same_object_serves_one_response_after_the_other() -> None:
    answer = Answer(1000)
    for data, body in ((CHUNKED, b"hello"), (NO_CONTENT, b""), (CONTINUED, b"hello"), (LENGTH, b"hello")):
        answer.expect()
        answer.feed(data, 0.0)
        assert (answer.is_complete, answer.body, answer.has_excess) == (True, body, False)


@pytest.mark.parametrize("name", ["Set-Cookie", "set-cookie", "SET-COOKIE", "sEt-CoOkIe"])
def test_cookies_are_noticed_however_they_are_written(name: str) -> None:
    answer = fed(LENGTH.replace(b"X-A", name.encode()))
    assert (answer.sets_cookies, answer.is_encoded) == (True, False)


def test_an_encoding_is_noticed_and_a_header_that_only_mentions_one_is_not() -> None:
    assert fed(LENGTH.replace(b"X-A: b", b"CONTENT-encoding: gzip")).is_encoded
    assert not fed(LENGTH.replace(b"X-A: b", b"Vary: content-encoding: set-cookie:")).is_encoded


def test_a_head_that_asks_for_nothing_is_plain() -> None:
    assert fed(LENGTH).is_plain
    assert fed(NO_CONTENT).is_plain
    for data in (
        CHUNKED,
        OLD,
        LENGTH.replace(b"X-A", b"Set-Cookie"),
        LENGTH.replace(b"X-A", b"content-encoding"),
    ):
        assert not fed(data).is_plain
    assert not fed(LENGTH[: -len(b"hello")], is_head_only=True).is_plain
