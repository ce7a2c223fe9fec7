"""The books of requests that a coroutine step sends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from qalipsis.engine.step import Fenced, StepError, StepRuntime
from qalipsis.metrics.ledger import Slot

Answer = TypeVar("Answer")


class Traffic:
    """Counts each request before it is sent, and what came of it."""

    __slots__ = ("_counts", "_lease", "_meters", "_now")

    def __init__(self, runtime: StepRuntime) -> None:
        self._counts = runtime.ledger.counts
        self._lease = runtime.ledger.lease
        self._meters = runtime.meters
        self._now = runtime.clock.now

    async def request(self, send: Callable[[], Awaitable[Answer]]) -> Answer:
        """What `send()` returns: one request, answered; it raises StepError when it failed in transport.

        Connect first: only what is handed to the service is a request.
        """
        if self._now() > self._lease[0]:
            # Its turn for the loop: who tries again at once must not keep its interruption away.
            await asyncio.sleep(0)
            raise Fenced
        counts = self._counts
        counts[Slot.REQUESTS_ATTEMPTED] += 1
        try:
            answer = await send()
        except StepError as error:
            self._meters.failure(error.kind)
            counts[Slot.REQUESTS_ERROR] += 1
            raise
        except BaseException as error:
            self._meters.failure(type(error).__name__)
            counts[Slot.REQUESTS_ERROR] += 1
            raise
        counts[Slot.REQUESTS_OK] += 1
        return answer
