"""Runs one thing to its end while others keep it company, and leaves no task behind."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

_Result = TypeVar("_Result")


async def accompanied(
    leading: Coroutine[Any, Any, _Result], *companions: Coroutine[Any, Any, None]
) -> _Result:
    """The result of `leading`. A companion that fails ends it, and its error is raised as it is.

    Whatever happens, all of them have ended when this returns.
    """
    leader = asyncio.create_task(leading)
    others = {asyncio.create_task(companion) for companion in companions}
    tasks = {leader, *others}
    try:
        waiting: set[asyncio.Task[Any]] = set(tasks)
        while not leader.done():
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for companion in done & others:
                companion.result()
        return leader.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
