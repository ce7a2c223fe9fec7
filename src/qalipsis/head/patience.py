"""Tries again while the store is away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from qalipsis.errors import ServiceRefused, ServiceUnavailable

RETRY_SECONDS: Final = 0.25

PATIENCE_SECONDS: Final = 600.0
"""How long a head goes on without its store; what factories report waits at the broker meanwhile."""

_Answer = TypeVar("_Answer")

_log = logging.getLogger(__name__)


async def patiently(call: Callable[[], Awaitable[_Answer]]) -> _Answer:
    """The answer of a call that may be repeated; raises ServiceUnavailable when the store stays away.

    A store that refuses is told in the log, once: it will not come back by itself.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE_SECONDS
    is_told = False
    while True:
        try:
            return await call()
        except ServiceUnavailable as error:
            if loop.time() >= deadline:
                raise
            if isinstance(error, ServiceRefused) and not is_told:
                is_told = True
                _log.warning("this head goes on for %g s without its store: %s", PATIENCE_SECONDS, error)
            await asyncio.sleep(RETRY_SECONDS)
