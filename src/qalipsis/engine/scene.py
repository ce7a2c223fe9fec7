"""What all minions of a scenario share in a worker."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

from qalipsis.clock import Clock
from qalipsis.engine.events import EventLog
from qalipsis.engine.wheel import TimerWheel
from qalipsis.metrics.ledger import ScenarioLedger
from qalipsis.metrics.meters import WorkerMeters


class Background(Protocol):
    """Runs coroutines of user code and drivers, and forgets none of them."""

    def run(
        self,
        coroutine: Coroutine[Any, Any, Any],
        done: Callable[[Any, BaseException | None], None],
        name: str,
    ) -> Any:
        """Start; `done(result, error)` is called from the loop, unless it is cancelled first.

        `name` is what people know it by.
        """


@dataclass(frozen=True, slots=True)
class Scene:
    scenario: str
    seed: int
    clock: Clock
    wheel: TimerWheel
    ledger: ScenarioLedger
    meters: WorkerMeters
    background: Background
    events: EventLog | None = None
