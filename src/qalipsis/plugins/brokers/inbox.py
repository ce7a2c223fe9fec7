"""Where messages wait between a broker's connection and the engine."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Generic, TypeVar

from qalipsis.engine.source import MOST_IN_BATCH
from qalipsis.engine.step import StepError

Record = TypeVar("Record")


class Inbox(Generic[Record]):
    """A row of records with one reader."""

    __slots__ = ("_failure", "_news", "records")

    def __init__(self) -> None:
        self.records: deque[Record] = deque()
        self._news = asyncio.Event()
        self._failure: StepError | None = None

    def __len__(self) -> int:
        return len(self.records)

    def put(self, record: Record) -> None:
        self.records.append(record)
        self._news.set()

    def fail(self, failure: StepError) -> None:
        """Nothing more will come: `take` raises this once everything that came before was taken."""
        self._failure = failure
        self._news.set()

    async def take(self) -> list[Record]:
        """At least one record, and at most as many as the engine wants at once. Raises StepError."""
        records = self.records
        while not records:
            if self._failure is not None:
                raise self._failure
            self._news.clear()
            await self._news.wait()
        if len(records) <= MOST_IN_BATCH:
            batch = list(records)
            records.clear()
            return batch
        return [records.popleft() for _ in range(MOST_IN_BATCH)]
