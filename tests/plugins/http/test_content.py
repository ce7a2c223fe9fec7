from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from contextlib import suppress

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from qalipsis.plugins.http.content import TooLarge, decode

TEXT = b"catalogue " * 1000
MANY = 10_000_000

Encode = Callable[[bytes], bytes]


def bare_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


def streamed_zstd(data: bytes) -> bytes:
    compressor = zstandard.ZstdCompressor(write_content_size=False).compressobj()
    return compressor.compress(data) + compressor.flush()


CODINGS = [
    pytest.param(b"gzip", gzip.compress, id="gzip"),
    pytest.param(b"X-Gzip", gzip.compress, id="x-gzip"),
    pytest.param(b"deflate", zlib.compress, id="deflate"),
    pytest.param(b"deflate", bare_deflate, id="bare-deflate"),
    pytest.param(b"br", brotli.compress, id="br"),
    pytest.param(b"zstd", zstandard.compress, id="zstd"),
    pytest.param(b"zstd", streamed_zstd, id="streamed-zstd"),
]


@pytest.mark.parametrize(("coding", "encode"), CODINGS)
def test_every_announced_coding_is_undone(coding: bytes, encode: Encode) -> None:
    assert decode(encode(TEXT), coding, len(TEXT)) == TEXT
    assert decode(encode(b""), coding, 0) == b""


@pytest.mark.parametrize(("coding", "encode"), CODINGS)
def test_a_body_that_ends_early_is_an_error(coding: bytes, encode: Encode) -> None:
    encoded = encode(TEXT)
    for cut in (1, len(encoded) // 2, len(encoded) - 1):
        with pytest.raises(ValueError, match="ends early"):
            decode(encoded[:-cut], coding, MANY)


@pytest.mark.parametrize(("coding", "encode"), CODINGS)
def test_one_byte_too_much_is_too_large(coding: bytes, encode: Encode) -> None:
    with pytest.raises(TooLarge):
        decode(encode(TEXT), coding, len(TEXT) - 1)


@pytest.mark.parametrize("coding", [b"gzip", b"deflate", b"br", b"zstd"])
def test_what_is_not_encoded_at_all_is_an_error(coding: bytes) -> None:
    with pytest.raises(ValueError):
        decode(b"<html>no such coding</html>" * 10, coding, MANY)


@pytest.mark.parametrize(
    ("coding", "bomb"),
    [
        (b"gzip", gzip.compress(bytes(50_000_000))),
        (b"br", brotli.compress(bytes(50_000_000), quality=5)),
        (b"zstd", zstandard.compress(bytes(50_000_000))),
    ],
)
def test_a_bomb_is_not_unpacked(coding: bytes, bomb: bytes) -> None:
    assert len(bomb) < 60_000
    with pytest.raises(TooLarge):
        decode(bomb, coding, 1_000_000)


def test_several_codings_are_undone_from_the_last_to_the_first() -> None:
    assert decode(brotli.compress(gzip.compress(TEXT)), b"gzip, br", MANY) == TEXT


def test_members_that_follow_each_other_are_one_body() -> None:
    assert decode(gzip.compress(b"a") + gzip.compress(b"b") + bytes(8), b"gzip", MANY) == b"ab"
    assert decode(zstandard.compress(b"a") + streamed_zstd(b"b"), b"zstd", MANY) == b"ab"
    with pytest.raises(TooLarge):
        decode(gzip.compress(b"aa") * 3, b"gzip", 5)


@pytest.mark.parametrize("coding", [b"identity", b"utf-8", b"", b"gzip, secret"])
def test_an_unknown_coding_leaves_the_body_as_it_is(coding: bytes) -> None:
    assert decode(b"as it is", coding, MANY) == b"as it is"


def test_no_body_needs_no_decoding() -> None:
    assert decode(b"", b"gzip", MANY) == b""


@given(st.binary(max_size=5000), st.sampled_from(CODINGS))
def test_any_body_comes_back_as_it_was(body: bytes, coding: object) -> None:
    name, encode = coding.values
    assert decode(encode(body), name, len(body)) == body


@given(st.binary(min_size=1, max_size=300), st.sampled_from([b"gzip", b"deflate", b"br", b"zstd"]))
def test_any_bytes_are_a_body_or_a_clean_error(raw: bytes, coding: bytes) -> None:
    with suppress(ValueError, TooLarge):
        decode(raw, coding, MANY)
