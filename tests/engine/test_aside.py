from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qalipsis import scenario
from qalipsis.engine.step import StepError
from qalipsis.metrics.ledger import Slot
from tests.engine.sources import Fed, find_source, listed

Play = Callable[..., Any]


async def test_an_aside_without_a_source_is_walked_once_and_is_no_load(play: Play) -> None:
    seen: list[Any] = []
    chain = (
        scenario("main", minions=2)
        .aside("watch", lambda aside: aside.returns("x").on_each(seen.append).named("watched"))
        .start()
        .delay("1s")
    )
    played = await play(chain)
    assert seen == ["x"]
    assert played[Slot.MINIONS_STARTED] == played[Slot.PASSES_STARTED] == 2


async def test_an_aside_walks_once_per_record(play: Play) -> None:
    seen: list[Any] = []
    rows = list(range(500))
    chain = (
        scenario("main", minions=1)
        .aside("rows", lambda aside: aside.then(listed(rows)).on_each(seen.append))
        .start()
        .delay("10s")
    )
    await play(chain, find_source=find_source)
    assert seen == rows


async def test_a_failing_record_does_not_end_an_aside(play: Play) -> None:
    seen: list[Any] = []
    chain = (
        scenario("main", minions=1)
        .aside("rows", lambda aside: aside.then(listed([0, 1, 2])).map(lambda n: 1 / n).on_each(seen.append))
        .start()
        .delay("10s")
    )
    await play(chain, find_source=find_source)
    assert seen == [1.0, 0.5]


async def test_an_aside_ends_with_the_last_loaded_minion(play: Play) -> None:
    source = Fed()
    chain = scenario("main", minions=1).aside("rows", lambda aside: aside.then(source)).start().delay("2s")
    played = await play(chain, find_source=find_source)
    assert played.seconds < 2.1
    assert len(source.closed) == 1


async def test_an_aside_whose_source_breaks_does_not_spin(play: Play) -> None:
    source = listed(StepError("closed", "gone"))
    chain = (
        scenario("main", minions=1)
        .aside("rows", lambda aside: aside.then(source).named("rows"))
        .start()
        .delay("1s")
    )
    played = await play(chain, find_source=find_source)
    assert 1 <= played.step("rows").failed <= 1100
