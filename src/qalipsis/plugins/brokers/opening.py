"""Several ask for a connection, one opens it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from qalipsis.plugins.brokers.ending import end

Opened = TypeVar("Opened")


class Opening(Generic[Opened]):
    """Opens once for all who ask meanwhile: they share the result, and also the failure.

    So a broker that is down costs a thousand minions one attempt at a time, not a thousand in a row.
    """

    __slots__ = ("_open", "_task")

    def __init__(self, open: Callable[[], Awaitable[Opened]]) -> None:
        self._open = open
        self._task: asyncio.Task[Opened] | None = None

    async def wait(self) -> Opened:
        """What is opened now; who gives up waiting does not disturb the others."""
        if self._task is None:
            self._task = asyncio.ensure_future(self._run())
            self._task.add_done_callback(self._ended)
        return await asyncio.shield(self._task)

    async def aclose(self) -> None:
        """Give up what is being opened."""
        task = self._task
        if task is not None:
            await end(task)

    async def _run(self) -> Opened:
        return await self._open()

    def _ended(self, task: asyncio.Task[Opened]) -> None:
        self._task = None
        if not task.cancelled():
            task.exception()  # seen, even when everybody has given up
