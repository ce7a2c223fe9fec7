from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from qalipsis import Pair, backoff, profile, scenario
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


@pytest.mark.parametrize("option", ["timeout", "retry", "iterate", "monitor"])
async def test_an_aside_walks_once_per_record_whatever_its_source_is_told(play: Play, option: str) -> None:
    seen: list[Any] = []

    def build(aside: Any) -> Any:
        taken = aside.then(listed([1, 2, 3]))
        if option == "timeout":
            taken = taken.timeout("1s")
        elif option == "retry":
            taken = taken.retry(backoff(retries=1, delay="1s"))
        elif option == "iterate":
            taken = taken.iterate(2)
        else:
            taken = taken.monitor()
        return taken.on_each(seen.append)

    chain = scenario("main", minions=1).aside("rows", build).start().delay("5s")
    await play(chain, find_source=find_source)
    assert seen == [1, 2, 3]


async def test_an_aside_may_end_the_scenario_with_its_own_record(play: Play, caplog: Any) -> None:
    source, after = Fed(), []  # type: ignore[var-annotated]

    def meddle(engine: Any, elapsed: float) -> None:
        if elapsed > 1 and not after:
            source.queue.put_nowait(0)

    chain = (
        scenario("joining", minions=1)
        .aside("rows", lambda aside: aside.then(source).named("rows").on_each(after.append))
        .start()
        .returns(lambda context, _: context.minion.index)
        .inner_join("rows", on=lambda index: index, having=lambda row: row, timeout="5s")
    )
    played = await play(chain, find_source=find_source, meddle=meddle)
    assert played[Slot.MINIONS_COMPLETED] == 1
    assert played.seconds < 2
    assert after == [0]
    assert not caplog.records


async def test_an_aside_goes_on_while_passes_wait_for_what_it_brings(play: Play) -> None:
    source, pairs, is_sent = Fed(), [], []  # type: ignore[var-annotated]

    def meddle(engine: Any, elapsed: float) -> None:
        if elapsed > 6 and not is_sent:
            is_sent.append(True)
            source.queue.put_nowait(0)

    chain = (
        scenario("joining", profile=profile.stages(profile.stage(100, ramp_up="1s", total="5s")))
        .aside("rows", lambda aside: aside.then(source).named("rows"))
        .start()
        .delay("1s")
        .returns(lambda context, _: context.minion.index)
        .inner_join("rows", on=lambda index: index, having=lambda row: row, timeout="20s")
        .on_each(pairs.append)
    )
    await play(chain, find_source=find_source, meddle=meddle)
    assert pairs == [Pair(0, 0)]
