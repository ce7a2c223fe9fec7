"""The configuration's values as a worker sees them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from qalipsis.config.keys import words


class WorkerProperties(Mapping[str, Any]):
    """What the supervisor has resolved, then the worker's own environment, which it inherited.

    A key may be spelt in every way that the configuration accepts. Iterating shows the resolved keys.
    """

    def __init__(self, resolved: Mapping[str, Any], environment: Mapping[str, str]) -> None:
        self._resolved = resolved
        self._by_words = {words(name): value for name, value in environment.items()}
        self._by_words |= {words(key): value for key, value in resolved.items()}

    def __getitem__(self, key: str) -> Any:
        return self._by_words[words(key)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._resolved)

    def __len__(self) -> int:
        return len(self._resolved)
