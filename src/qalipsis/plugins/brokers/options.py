"""Options that the clients of all brokers have."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def count_problems(what: str, value: Any, least: int, most: int) -> Iterator[str]:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        yield f"{what}={value!r} should be a whole number from {least} to {most}"


def flag_problems(what: str, value: Any) -> Iterator[str]:
    if not isinstance(value, bool):
        yield f"{what}={value!r} should be True or False"
