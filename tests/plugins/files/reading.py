"""Reads sources in tests: with a reader as a worker does, or with a parser alone, cut into pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from qalipsis.engine.source import MOST_IN_BATCH, ReaderRuntime
from qalipsis.engine.step import StepError
from qalipsis.metrics.meters import StepMeters, WorkerMeters
from qalipsis.plugins.files import CsvSource, JsonSource, reader
from qalipsis.plugins.files.parser import Count, Parser
from qalipsis.testing.virtual_clock import VirtualClock

PATH = Path("/data/file")


def step_meters() -> StepMeters:
    return WorkerMeters().step("scenario", "read", "feed")


def runtime(meters: StepMeters | None = None, is_counting: bool = True) -> ReaderRuntime:
    return ReaderRuntime(VirtualClock(), meters or step_meters(), None, is_counting)


def reader_of(spec: Any) -> Any:
    assert spec.problems() == []
    if isinstance(spec, CsvSource):
        return reader.open_csv(spec)
    return reader.open_json(spec) if isinstance(spec, JsonSource) else reader.open_xml(spec)


async def read(spec: Any, meters: StepMeters | None = None, is_counting: bool = True) -> list[Any]:
    """All records of a source, as a worker reads them."""
    made = reader_of(spec)
    records: list[Any] = []
    try:
        await made.open(runtime(meters, is_counting))
        async for batch in made.batches():
            assert 0 < len(batch) <= MOST_IN_BATCH
            records += batch
    finally:
        await made.aclose()
    return records


def parse(
    make: Callable[[Any, Path, Count], Parser],
    spec: Any,
    pieces: Iterable[bytes],
    counted: dict[str, int] | None = None,
) -> tuple[list[Any], StepError | None]:
    """The records of a file that arrives in `pieces`, and what ended them."""
    counted = {} if counted is None else counted

    def count(name: str, number: int) -> None:
        counted[name] = counted.get(name, 0) + number

    assert spec.problems() == []
    parser = make(spec, PATH, count)
    *before, last = pieces
    records: list[Any] = []
    has_begun = False
    for piece, is_last in [*((piece, False) for piece in before), (last, True)]:
        parser.accept(piece, is_last)
        has_begun = has_begun or parser.begin()
        if not has_begun:
            continue
        try:
            for batch in parser.batches():
                assert len(batch) <= MOST_IN_BATCH
                records += batch
        except StepError as error:
            return records, error
    assert has_begun
    return records, None


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)] or [b""]
