"""What a check's subject took and did not give back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Final, TypeVar

from qalipsis.factory.limits import open_descriptors
from qalipsis.testing.promise import promise

T = TypeVar("T")

LOOK_SECONDS: Final = 0.01


class Leftovers:
    """Tasks of the running loop and descriptors of the process, counted from when this was made."""

    def __init__(self) -> None:
        self._tasks = asyncio.all_tasks()
        self._descriptors = open_descriptors()

    async def check(self, what: str, patience: float) -> None:
        """Both are as before, at once or soon: what was closed may take a turn of the loop to be gone."""
        until = asyncio.get_running_loop().time() + patience
        while (left := self._left()) is not None:
            promise(asyncio.get_running_loop().time() < until, f"{what} left behind {left}")
            await asyncio.sleep(LOOK_SECONDS)

    def _left(self) -> str | None:
        tasks = asyncio.all_tasks() - self._tasks
        if tasks:
            return f"a task that still runs: {tasks.pop()!r}"
        more = open_descriptors() - self._descriptors
        return f"{more} open descriptors (connections or files)" if more > 0 else None


async def within(patience: float, what: str, awaited: Awaitable[T]) -> T:
    """What it returns or raises; AssertionError when it takes too long."""
    waiting = asyncio.ensure_future(awaited)
    try:
        done, _ = await asyncio.wait([waiting], timeout=patience)
    except asyncio.CancelledError:
        waiting.cancel()
        raise
    if not done:
        waiting.cancel()
        await asyncio.wait([waiting], timeout=1.0)
        raise AssertionError(f"{what} did not end within {patience:g} s")
    return waiting.result()
