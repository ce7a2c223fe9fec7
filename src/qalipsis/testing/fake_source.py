"""A source of any kind whose records a test writes down."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Sequence
from typing import Any

from qalipsis.engine.source import MOST_IN_BATCH, ReaderRuntime
from qalipsis.engine.step import StepError
from qalipsis.testing.stage import Stage

Records = Iterable[Any] | AsyncIterable[Any]
"""A StepError among the records is raised: reading breaks there."""


class FakeReader:
    """Reads `records`, or what they return when they are a function of the source."""

    def __init__(self, source: Any, records: Records | Callable[[Any], Records], stage: Stage) -> None:
        self._source = source
        self._records = records
        self._stage = stage

    async def open(self, runtime: ReaderRuntime) -> None: ...

    async def batches(self) -> AsyncIterator[Sequence[Any]]:
        try:
            records = self._records(self._source) if callable(self._records) else self._records
            if isinstance(records, AsyncIterable):
                async for record in records:
                    if isinstance(record, StepError):
                        raise record
                    yield [record]
                return
            batch: list[Any] = []
            for record in records:
                if isinstance(record, StepError) or len(batch) == MOST_IN_BATCH:
                    yield batch
                    batch = []
                if isinstance(record, StepError):
                    raise record
                batch.append(record)
            yield batch
        except StepError:
            raise
        except Exception as error:
            raise self._stage.broke(error) from error

    async def aclose(self) -> None: ...
