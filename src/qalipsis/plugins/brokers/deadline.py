"""Waiting for a broker has an end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

from qalipsis.engine.step import StepError

Answer = TypeVar("Answer")


class Deadline:
    """One for all that a step asks of a broker in one execution."""

    __slots__ = ("_at", "_seconds", "_where")

    def __init__(self, seconds: float, where: str) -> None:
        self._at = asyncio.get_running_loop().time() + seconds
        self._seconds = seconds
        self._where = where

    async def keep(self, awaited: Awaitable[Answer], what: str) -> Answer:
        """The answer, or StepError("timeout") that says `what` did not happen in time."""
        try:
            async with asyncio.timeout_at(self._at):
                return await awaited
        except TimeoutError as error:
            raise StepError("timeout", f"{self._where} {what} within {self._seconds:g} s") from error
