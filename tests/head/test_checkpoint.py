"""Bytes that are no checkpoint of this version."""

from __future__ import annotations

import zlib

import msgspec
import pytest

from qalipsis.head import checkpoint


@pytest.mark.parametrize(
    "data", [b"", b"another version", msgspec.msgpack.encode({}), zlib.compress(b"\xc1")]
)
def test_what_another_version_wrote_is_refused_in_one_way(data: bytes) -> None:
    for read in (checkpoint.thaw, checkpoint.live_of):
        with pytest.raises(msgspec.MsgspecError):
            read(data)
