"""One promise that a check holds its subject to."""

from __future__ import annotations


def promise(is_kept: object, otherwise: str) -> None:
    """Raises AssertionError with the sentence `otherwise`; unlike `assert`, also under `python -O`."""
    if not is_kept:
        raise AssertionError(otherwise)
