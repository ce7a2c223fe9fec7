from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qalipsis import profile, scenario
from qalipsis.metrics.ledger import Slot

Play = Callable[..., Any]


def collecting(minions: int, batches: list[Any], batch_size: int | None, period: str = "1ms") -> Any:
    return (
        scenario("collecting", minions=minions, profile=profile.regular(period, 1))
        .start()
        .returns(lambda context, _: context.minion.index)
        .collect(timeout="2s", batch_size=batch_size)
        .on_each(batches.append)
    )


async def test_a_full_list_goes_on_at_once_with_the_last_minion(play: Play) -> None:
    batches: list[Any] = []
    played = await play(collecting(6, batches, batch_size=3))
    assert batches == [[0, 1, 2], [3, 4, 5]]
    assert played[Slot.MINIONS_COMPLETED] == 6
    assert played.seconds < 0.1


async def test_what_is_left_over_is_released_by_the_timeout(play: Play) -> None:
    batches: list[Any] = []
    played = await play(collecting(4, batches, batch_size=3))
    assert batches == [[0, 1, 2], [3]]
    assert played[Slot.MINIONS_COMPLETED] == 4


async def test_without_a_size_only_time_releases(play: Play) -> None:
    batches: list[Any] = []
    await play(collecting(5, batches, batch_size=None, period="700ms"))
    assert batches == [[0, 1, 2], [3, 4]]


async def test_aborted_minions_leave_the_list(play: Play) -> None:
    batches: list[Any] = []
    chain = (
        scenario("collecting", minions=2)
        .start()
        .collect(timeout="5s", batch_size=9)
        .named("collect")
        .timeout("1s")
        .on_each(batches.append)
    )
    played = await play(chain)
    assert batches == []
    assert played.step("collect").timeouts == 2


async def test_a_soft_stop_releases_what_waits(play: Play) -> None:
    lists: list[Any] = []
    is_stopped: list[bool] = []

    def meddle(engine: Any, elapsed: float) -> None:
        if elapsed > 1 and not is_stopped:
            is_stopped.append(True)
            engine.stop()

    chain = (
        scenario("batches", minions=3)
        .start()
        .returns(1)
        .collect("1h", batch_size=2)
        .on_each(lists.append)
        .delay("2s")
    )
    played = await play(chain, meddle=meddle)
    assert lists == [[1, 1], [1]]
    assert played.seconds < 5
