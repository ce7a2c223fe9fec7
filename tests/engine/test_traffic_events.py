"""What is told of a step's traffic where events are wanted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qalipsis import scenario
from qalipsis.engine.step import StepError
from qalipsis.metrics.events import Event
from qalipsis.metrics.meters import WorkerMeters
from tests.engine.sources import find_source, listed

Play = Callable[..., Any]


async def events_of(play: Play, source: Any) -> list[tuple[str, str, Any]]:
    events: list[Event] = []
    chain = scenario("told", minions=1).start().then(source).named("row")
    await play(chain, find_source=find_source, collect_event=events.append)
    own = [event for event in events if event.name.startswith("test.")]
    assert all(("step", "row") in event.tags for event in own)
    return [(event.name, event.level.name, event.value) for event in own]


async def test_a_source_tells_that_it_was_opened_and_ended(play: Play) -> None:
    assert await events_of(play, listed([1, 2])) == [
        ("test.listed.opened", "DEBUG", ""),
        ("test.listed.ended", "DEBUG", 2),
    ]


async def test_a_source_tells_why_it_broke(play: Play) -> None:
    assert await events_of(play, listed(StepError("closed", "gone"))) == [
        ("test.listed.opened", "DEBUG", ""),
        ("test.listed.failed", "WARN", "closed"),
    ]


def test_failures_and_connections_of_a_step_are_told() -> None:
    told: list[tuple[str, Any]] = []
    meters = WorkerMeters().step("s", "ask", "tcp.request")
    meters.failure("reset")  # nobody listens yet
    meters.tell = lambda what, value: told.append((what, value))
    meters.failure("reset")
    meters.phase("dns", 0.1)
    meters.phase("connect", 0.25)
    assert told == [("failed", "reset"), ("connected", 250.0)]
    assert meters.failures == {"reset": 2}
