"""One packed record per response, written on the hot path and read in batches."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

STATUSES = 1000
"""`tag` is step × 1000 + status, so that one number says both."""

RECORD = np.dtype(
    [
        ("tag", "<i8"),
        ("due", "<f8"),
        ("sent", "<f8"),
        ("written", "<f8"),
        ("first_byte", "<f8"),
        ("done", "<f8"),
        ("bytes_sent", "<i8"),
        ("bytes_received", "<i8"),
    ]
)

_PACK = struct.Struct("<q5d2q").pack
UNPACK = struct.Struct("<q5d2q").iter_unpack


class RecordBuffer:
    """Records waiting to be counted. It grows until it is drained, so that `add` has nothing to check."""

    __slots__ = ("_data",)

    def __init__(self) -> None:
        self._data = bytearray()

    def __len__(self) -> int:
        return len(self._data) // RECORD.itemsize

    def add(
        self,
        step: int,
        status: int,
        due: float,
        sent: float,
        written: float,
        first_byte: float,
        done: float,
        bytes_sent: int,
        bytes_received: int,
    ) -> None:
        """Write one response down. Status is 0 to 999; 0 is not HTTP: only due, sent and done count then."""
        # Appending 64 bytes takes 0.17 µs; pack_into at a kept offset 0.24 µs, a tuple in a list 0.1 µs and
        # another 0.4 µs when numpy reads it.
        self._data += _PACK(
            step * STATUSES + status, due, sent, written, first_byte, done, bytes_sent, bytes_received
        )

    def take(self) -> bytearray:
        """Hand over the raw records and start again with none."""
        taken, self._data = self._data, bytearray()
        return taken

    def drain(self) -> NDArray[Any]:
        """Hand over the records as an array of `RECORD` and start again with none."""
        return np.frombuffer(self.take(), RECORD)
