"""Tries again while the store is away."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from qalipsis.errors import ServiceUnavailable

RETRY_SECONDS: Final = 0.25

PATIENCE_SECONDS: Final = 600.0
"""How long a head goes on without its store; what factories report waits at the broker meanwhile."""

_Answer = TypeVar("_Answer")


async def patiently(call: Callable[[], Awaitable[_Answer]]) -> _Answer:
    """The answer of a call that may be repeated; raises ServiceUnavailable when the store stays away."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE_SECONDS
    while True:
        try:
            return await call()
        except ServiceUnavailable:
            if loop.time() >= deadline:
                raise
            await asyncio.sleep(RETRY_SECONDS)
