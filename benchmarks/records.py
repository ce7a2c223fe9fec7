"""(f) How fast records reach minions, and meet: one worker, a source that costs nothing."""

from __future__ import annotations

import random
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from benchmarks import probe
from benchmarks.cores import INJECTOR
from benchmarks.figure import Figure, at_least
from benchmarks.isolated import isolated
from qalipsis import profile, scenario
from qalipsis.engine.source import MOST_IN_BATCH, Reader, ReaderRuntime
from qalipsis.language.source import Source
from qalipsis.system_clock import SystemClock

MINIONS = 1_000


@dataclass(frozen=True, eq=False)
class Numbers(Source[int]):
    """0 to count - 1, in order or shuffled."""

    kind: ClassVar[str] = "benchmark.numbers"
    is_finite: ClassVar[bool] = True
    count: int
    is_shuffled: bool = False


class NumbersReader:
    def __init__(self, source: Numbers) -> None:
        self._numbers = list(range(source.count))
        if source.is_shuffled:
            random.Random(7).shuffle(self._numbers)

    async def open(self, runtime: ReaderRuntime) -> None: ...

    async def batches(self) -> AsyncIterator[Sequence[int]]:
        for first in range(0, len(self._numbers), MOST_IN_BATCH):
            yield self._numbers[first : first + MOST_IN_BATCH]

    async def aclose(self) -> None: ...


def find_source(kind: str) -> type[Reader]:
    return NumbersReader


def measure(is_quick: bool) -> list[Figure]:
    share = 10 if is_quick else 1
    taken = isolated("benchmarks.records:taking", INJECTOR, records=2_000_000 // share)
    joined = isolated("benchmarks.records:joining", INJECTOR, pairs=400_000 // share)
    return [
        at_least("records handed to minions", taken["per_second"], "/s", 200_000),
        at_least("pairs joined", joined["per_second"], "pairs/s", 20_000),
        at_least("pairs matched", joined["matched"], "", 400_000 // share),
    ]


def taking(records: int) -> dict[str, float]:
    """Minions that take one record after the other."""
    return dict(probe.run(_taking(records)))


async def _taking(records: int) -> dict[str, float]:
    chain = (
        scenario("taking", minions=MINIONS, profile=profile.immediate())
        .start()
        .then(Numbers(records))
        .named("take")
        .iterate(records)
    )
    async with probe.running(chain, SystemClock(), find_source) as (engine, at):
        await engine.wait_ended()
        counters = engine.meters.step("taking", "take", "").counters
        return {"per_second": counters["records-delivered"] / (time.monotonic() - at)}


def joining(pairs: int) -> dict[str, float]:
    """As many left records as right values, the right side in another order, keys cached until they meet."""
    return dict(probe.run(_joining(pairs)))


async def _joining(pairs: int) -> dict[str, float]:
    share = pairs // MINIONS

    def key(context: Any, value: Any) -> int:
        return int(context.minion.index * share + context.iteration)

    chain = (
        scenario("joining", minions=MINIONS, profile=profile.immediate())
        .start()
        .returns(key)
        .iterate(share)
        .inner_join(
            Numbers(pairs, is_shuffled=True),
            on=lambda number: number,
            having=lambda number: number,
            timeout="60s",
            cache_size=pairs,
        )
        .named("join")
        .verify(lambda pair: pair.left == pair.right)
        .named("same")
    )
    async with probe.running(chain, SystemClock(), find_source) as (engine, at):
        await engine.wait_ended()
        seconds = time.monotonic() - at
        matched = engine.meters.step("joining", "join", "").counters["matched"]
        assert engine.meters.step("joining", "same", "").failed == 0
        return {"per_second": matched / seconds, "matched": matched}
