from __future__ import annotations

from typing import Any

import pytest

from qalipsis.language.sizes import size_bytes


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (1000, 1000),
        ("1000", 1000),
        ("10MB", 10_000_000),
        ("1.5 kB", 1500),
        ("512KiB", 524_288),
        ("1GiB", 1 << 30),
        ("3 b", 3),
    ],
)
def test_sizes_are_read_as_people_write_them(size: str | int, expected: int) -> None:
    assert size_bytes(size) == expected


@pytest.mark.parametrize("size", ["", "MB", "-1MB", "1TB", None, True, 1.5])
def test_what_is_no_size_is_explained(size: Any) -> None:
    with pytest.raises(ValueError, match="is no size"):
        size_bytes(size)
