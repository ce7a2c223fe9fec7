"""What a worker works with. Tests put other things into it: a clock, fakes, a scenario that is in no file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from qalipsis.clock import Clock
from qalipsis.engine.runner import WorkerEngine
from qalipsis.factory.collector import Collector
from qalipsis.factory.loader import Loaded, load_plans
from qalipsis.system_clock import SystemClock


class GarbageCollector(Protocol):
    """As `Collector`."""

    def open(self, now: float) -> None: ...

    def second(self, started: int, now: float) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Kit:
    """Makes the parts of a worker; nothing said, those of a real campaign.

    `make_clock` is given the offset of epoch seconds, None for the machine's; `make_engine` is called as
    `WorkerEngine` is.
    """

    make_clock: Callable[[float | None], Clock] = SystemClock
    load: Callable[[Sequence[str], Mapping[str, Any]], Loaded] = load_plans
    make_engine: Callable[..., WorkerEngine] = WorkerEngine
    make_collector: Callable[[], GarbageCollector] = Collector
