from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from httptools import HttpRequestParser
from hypothesis import given
from hypothesis import strategies as st

from qalipsis.plugins.http.body import CHUNKED, of_content, of_form, of_json, of_multipart


@dataclass
class User:
    name: str


class Receiver:
    def __init__(self) -> None:
        self.body = b""
        self.is_complete = False

    def on_body(self, piece: bytes) -> None:
        self.body += piece

    def on_message_complete(self) -> None:
        self.is_complete = True


@pytest.mark.parametrize("content", [b"abc", "abc", bytearray(b"abc"), memoryview(b"abc")])
def test_content_in_memory_has_a_known_length(content: object) -> None:
    body = of_content(content)
    assert (body.data, body.framing) == (b"abc", b"Content-Length: 3\r\n\r\n")


@pytest.mark.parametrize("content", [3, None, {"a": 1}, object()])
def test_what_is_no_content_is_explained(content: object) -> None:
    with pytest.raises(ValueError, match="should be text, bytes, a path or an iterable of bytes"):
        of_content(content)


def test_data_is_encoded() -> None:
    assert of_json({"user": User("ann")}).data == b'{"user":{"name":"ann"}}'
    assert of_form([("a b", "c&d"), ("e", None)]).data == b"a+b=c%26d"
    assert of_multipart({"a": "b"}, b"x").framing == b"Content-Length: 59\r\n\r\n"


def test_a_file_is_opened_again_for_another_attempt(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"content")
    body = of_content(file)
    assert body.framing == b"Content-Length: 7\r\n\r\n"
    assert body.reopen is not None
    assert [b"".join(stream) for stream in (body.data, body.reopen(), body.reopen())] == [b"content"] * 3


def test_an_iterator_cannot_be_read_again() -> None:
    async def stream() -> AsyncIterator[bytes]:
        yield b"a"

    assert of_content(iter([b"a"])).reopen is None
    assert of_content(stream()).reopen is None
    assert of_content([b"a"]).reopen is not None


@given(st.lists(st.binary(max_size=100)))
def test_a_service_puts_the_chunks_together(pieces: list[bytes]) -> None:
    body = of_content(pieces)
    receiver = Receiver()
    HttpRequestParser(receiver).feed_data(
        b"POST / HTTP/1.1\r\nHost: h\r\n" + body.framing + b"".join(body.data)
    )
    assert receiver.is_complete
    assert (receiver.body, body.framing) == (b"".join(pieces), CHUNKED)
