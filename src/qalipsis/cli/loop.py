"""Runs a coroutine to its end, and waits for what user code left behind only so long."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import uvloop

T = TypeVar("T")

PATIENCE_SECONDS = 2.0


def run_on_a_loop(coroutine: Coroutine[Any, Any, T]) -> T:
    """As `asyncio.run`, which would wait for ever for a task that swallows its cancellation."""
    runner = asyncio.Runner(loop_factory=uvloop.new_event_loop)
    try:
        return runner.run(coroutine)
    finally:
        if not runner.get_loop().run_until_complete(_end_others()):
            runner.close()


async def _end_others() -> set[asyncio.Task[Any]]:
    """Cancel every other task; returns those that do not end in time."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    if not others:
        return set()
    _, stubborn = await asyncio.wait(others, timeout=PATIENCE_SECONDS)
    return stubborn
