"""Sources that tests write down record by record."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from qalipsis.engine.source import Reader, ReaderRuntime
from qalipsis.language.source import Source


@dataclass(frozen=True, eq=False)
class Listed(Source[Any]):
    """Emits its batches one after the other; an exception among them is raised."""

    kind: ClassVar[str] = "test.listed"
    is_finite: ClassVar[bool] = True
    batches: tuple[Any, ...] = ()
    opened: list[ReaderRuntime] = field(default_factory=list)
    """One runtime per reader that was opened."""
    closed: list[Any] = field(default_factory=list)

    def default_name(self) -> str:
        return "listed"


@dataclass(frozen=True, eq=False)
class Fed(Listed):
    """Never ends: tests push records into `queue` while it runs."""

    kind: ClassVar[str] = "test.fed"
    is_finite: ClassVar[bool] = False
    queue: asyncio.Queue[Any] = field(default_factory=asyncio.Queue)


class ListedReader:
    def __init__(self, source: Listed) -> None:
        self._source = source
        self.handed_over = 0

    async def open(self, runtime: ReaderRuntime) -> None:
        self._source.opened.append(runtime)

    async def batches(self) -> AsyncIterator[Sequence[Any]]:
        for batch in self._source.batches:
            if isinstance(batch, BaseException):
                raise batch
            yield batch
        while isinstance(self._source, Fed):
            record = await self._source.queue.get()
            if isinstance(record, BaseException):
                raise record
            yield [record]

    async def aclose(self) -> None:
        self._source.closed.append(self)


def find_source(kind: str) -> Callable[[Any], Reader]:
    assert kind.startswith("test.")
    return ListedReader


def listed(*batches: Any) -> Listed:
    return Listed(batches)
