"""Ending a task of a driver, which may swallow a cancellation."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

PATIENCE_SECONDS: Final = 1.0
TRIES: Final = 5

_log = logging.getLogger(__name__)


async def end(task: asyncio.Task[Any]) -> None:
    """Cancel it, again after a second if need be; one that will not end is named in the log and left."""
    for _ in range(TRIES):
        task.cancel()
        await asyncio.wait((task,), timeout=PATIENCE_SECONDS)
        if task.done():
            return
    _log.warning("a task does not end: %s", task)
