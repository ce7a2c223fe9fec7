"""Ends the driver's clients, also when brokers are gone: their own endings wait for them, or break off."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

CLOSE_SECONDS = 3.0
"""Time for records on their way, for a last commit, for leaving a group."""

CUT_SECONDS = 1.0


async def close_producer(producer: AIOKafkaProducer) -> None:
    """Send what waits, as far as that is possible, and close every connection."""
    if not await _ended(producer.stop(), CLOSE_SECONDS):
        # Closing the connections fails what still waits for an answer.
        await _ended(producer.client.close(), CUT_SECONDS)
        await cut([producer._sender.sender_task])


async def close_consumer(consumer: AIOKafkaConsumer) -> None:
    """Commit, leave the group, and close every connection."""
    if await _ended(consumer.stop(), CLOSE_SECONDS):
        return
    # What `stop` did not come to.
    tasks = []
    if consumer._coordinator is not None:
        names = ("_coordination_task", "_heartbeat_task", "_commit_refresh_task", "_reset_committed_task")
        tasks += [getattr(consumer._coordinator, name, None) for name in names]
    if consumer._fetcher is not None:
        tasks += [consumer._fetcher._fetch_task, *consumer._fetcher._pending_tasks]
    await cut(tasks)
    await _ended(consumer._client.close(), CUT_SECONDS)


async def _ended(ending: Coroutine[Any, Any, Any], seconds: float) -> bool:
    """Whether it came to its end in time.

    It runs as a task of its own: the driver lets cancellations of its own tasks out of it, which would pass
    for one of ours.
    """
    task = asyncio.ensure_future(ending)
    try:
        await asyncio.wait({task}, timeout=seconds)
    finally:
        await cut([task])
    return task.done() and not task.cancelled() and task.exception() is None


async def cut(tasks: list[asyncio.Task[Any] | None]) -> None:
    """Cancel tasks, and wait a moment for their end: one that lets a cancellation pass is not waited for."""
    running = [task for task in tasks if task is not None and not task.done()]
    for task in running:
        task.cancel()
    if running:
        await asyncio.wait(running, timeout=CUT_SECONDS)
    for task in running:
        if task.done() and not task.cancelled():
            task.exception()  # seen: nobody else asks for it
