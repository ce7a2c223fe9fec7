"""A campaign that has measured something: ten seconds of one step."""

from __future__ import annotations

import msgspec

from qalipsis.head.load import LoadSecond
from qalipsis.head.meter_rows import MeterRows, Part
from qalipsis.head.store import Store
from qalipsis.metrics.timeline import SecondFigures, StepSecond

AT = 1_700_000_003.25
SECONDS = 10


async def measure(store: Store, campaign: str, at: float = AT, seconds: int = SECONDS) -> None:
    """In second t, t + 1 executions with a mean of 10 × t ms, and t minions; over after the last."""
    await store.save_state(campaign, "RUNNING", at)
    rows = MeterRows()
    for t in range(seconds):
        step = StepSecond(
            executed=t + 1,
            failed=t % 2,
            timed=t + 1,
            sum_ms=10.0 * t * (t + 1),
            max_ms=20.0 * t,
            p99_ms=15.0 * t,
        )
        figures = SecondFigures(t=t, errors=t % 2, steps={("buy", "pay"): step})
        rows.add(figures, LoadSecond(offered=t, achieved=t, minions=t), ())
    await store.save_meters(campaign, rows.take(at))
    await store.save_state(campaign, "COMPLETED", at + seconds)


async def measure_zones(store: Store, campaign: str, at: float = AT) -> None:
    """Three seconds of two zones: in second t, east has one minion and t executions, west three and 2 × t."""
    await store.save_state(campaign, "RUNNING", at)
    rows = MeterRows()
    for t in range(3):
        whole, east, west = (
            SecondFigures(
                t=t,
                steps={
                    ("buy", "pay"): StepSecond(
                        executed=number * t,
                        timed=number * t,
                        sum_ms=10.0 * number * t,
                        p99_ms=10.0 * number,
                    )
                },
            )
            for number in (3, 1, 2)
        )
        rows.add(
            msgspec.structs.replace(whole, zones={"east": east, "west": west}),
            LoadSecond(minions=4),
            (),
            parts={"east": Part(LoadSecond(minions=1), ()), "west": Part(LoadSecond(minions=3), ())},
        )
    await store.save_meters(campaign, rows.take(at))
    await store.save_state(campaign, "COMPLETED", at + 3)
