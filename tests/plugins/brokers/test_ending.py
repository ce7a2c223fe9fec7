from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from qalipsis.plugins.brokers import ending


async def test_a_task_that_swallows_a_cancellation_is_cancelled_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ending, "PATIENCE_SECONDS", 0.05)

    async def deaf() -> None:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        await asyncio.sleep(60)

    task = asyncio.create_task(deaf())
    await asyncio.sleep(0)
    await ending.end(task)
    assert task.cancelled()
