"""Coroutines of user code: each in its own task, none able to stop the worker or to be forgotten."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import Any


class BackgroundTask:
    """A coroutine that runs for a strand."""

    __slots__ = ("_done", "_task")

    def __init__(
        self,
        task: asyncio.Task[tuple[Any, BaseException | None]],
        done: Callable[[Any, BaseException | None], None],
    ) -> None:
        self._task = task
        self._done: Callable[[Any, BaseException | None], None] | None = done
        task.add_done_callback(self._ended)

    def cancel(self) -> None:
        """The strand goes on at once; a coroutine that swallows this is only waited for at the end."""
        self._done = None
        self._task.cancel()

    def _ended(self, task: asyncio.Task[tuple[Any, BaseException | None]]) -> None:
        done, self._done = self._done, None
        if done is None:
            return
        if task.cancelled():
            done(None, asyncio.CancelledError("the step cancelled itself"))
        else:
            done(*task.result())


class Tasks:
    """The tasks of a worker."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[Any]] = set()

    def run(
        self,
        coroutine: Coroutine[Any, Any, Any],
        done: Callable[[Any, BaseException | None], None],
        name: str = "",
    ) -> BackgroundTask:
        task = asyncio.get_running_loop().create_task(_guarded(coroutine), name=name)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        # One that was cancelled before its first line ran would be complained about as never awaited.
        task.add_done_callback(lambda _: coroutine.close())
        return BackgroundTask(task, done)

    async def aclose(self, patience_seconds: float = 2.0) -> Counter[str]:
        """Cancel what still runs; returns the names of those that do not end in time, which are left."""
        for task in self._running:
            if not task.cancelling():  # or it would be interrupted a second time, while it cleans up
                task.cancel()
        if not self._running:
            return Counter()
        _, stubborn = await asyncio.wait(self._running, timeout=patience_seconds)
        return Counter(task.get_name() for task in stubborn)


async def _guarded(coroutine: Coroutine[Any, Any, Any]) -> tuple[Any, BaseException | None]:
    """Turn whatever user code raises into a value: SystemExit in a task would stop the whole loop."""
    try:
        return await coroutine, None
    except asyncio.CancelledError:
        raise
    except BaseException as error:
        return None, error
