"""When two spellings name the same key."""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches

Words = tuple[str, ...]

_SEPARATORS = re.compile(r"[._-]+")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def words(key: str) -> Words:
    """What identifies a key: `pool.max-life-time`, `pool.maxLifeTime` and `POOL_MAX_LIFE_TIME` are one."""
    return tuple(word for word in _SEPARATORS.split(_CAMEL.sub("-", key).lower()) if word)


def below(key: str, prefix: Words) -> str | None:
    """What follows `prefix` in `key`, as written; None when the key does not lie below the prefix."""
    for separator in _SEPARATORS.finditer(key):
        if words(key[: separator.start()]) == prefix:
            return key[separator.end() :]
    return None


def nearest(key: str, known: Iterable[str]) -> str | None:
    """The known key that was most likely meant."""
    candidates = sorted(set(known))
    close = get_close_matches(key.lower(), candidates, n=1, cutoff=0.7)
    if close:
        return close[0]
    leaf = key.rpartition(".")[2].lower()
    same_leaf = [candidate for candidate in candidates if candidate.rpartition(".")[2] == leaf]
    return same_leaf[0] if len(same_leaf) == 1 else None
