"""Amounts of bytes as authors write them."""

from __future__ import annotations

import re

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([kKMG]?)(i?)[bB]?")
_FACTORS = {"": 0, "k": 1, "m": 2, "g": 3}


def size_bytes(size: str | int) -> int:
    """The number of bytes in `"10MB"`, `"512 KiB"` or a plain number; raises ValueError."""
    if isinstance(size, int) and not isinstance(size, bool):
        return size
    found = _SIZE.fullmatch(size.strip()) if isinstance(size, str) else None
    if found is None:
        raise ValueError(f'{size!r} is no size; write for example "10MB", "512KiB" or a number of bytes')
    number, unit, binary = found.groups()
    return int(float(number) * (1024 if binary else 1000) ** _FACTORS[unit.lower()])
