"""What each verb means, on virtual time."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from qalipsis import Context, backoff, profile, scenario
from qalipsis.metrics.ledger import Slot


@pytest.fixture
def seen() -> list[Any]:
    return []


def start(minions: int = 1, **options: Any) -> Any:
    return scenario("s", minions=minions, **options).start()


async def test_values_go_down_the_chain(play: Any, seen: list[Any]) -> None:
    chain = start().returns(2).map(lambda v: v + 1).pipe().map(lambda context, v: (context.minion.index, v))
    await play(chain.on_each(seen.append))
    assert seen == [(0, 3)]


async def test_outputs_go_on_one_after_the_other_in_order(play: Any, seen: list[Any]) -> None:
    chain = start().returns([1, 2]).flatten().on_each(seen.append).flat_map(lambda v: [v * 10, v * 10 + 1])
    await play(chain.on_each(seen.append))
    assert seen == [1, 10, 11, 2, 20, 21]


async def test_the_last_record_is_the_tail(play: Any, seen: list[Any]) -> None:
    chain = start().returns([1, 2, 3]).flatten().named("f")
    await play(chain.on_each(lambda context, v: seen.append((v, context.is_tail))))
    assert seen == [(1, False), (2, False), (3, True)]


async def test_mappings_flatten_to_pairs(play: Any, seen: list[Any]) -> None:
    await play(start().returns({"a": 1}).flatten().on_each(seen.append))
    assert seen == [("a", 1)]


async def test_async_iterables_flatten_too(play: Any, seen: list[Any]) -> None:
    async def items() -> AsyncIterator[int]:
        for item in (1, 2):
            await asyncio.sleep(0)
            yield item

    await play(start().returns(lambda _: 0).flat_map(lambda _: items()).on_each(seen.append))
    assert seen == [1, 2]


async def test_a_dropped_record_is_neither_error_nor_exhaustion(play: Any, seen: list[Any]) -> None:
    played = await play(
        start().returns([1, None, 3]).flatten().filter_not_none().filter(lambda v: v > 1).on_each(seen.append)
    )
    assert seen == [3]
    assert played[Slot.PASSES_COMPLETED] == 1
    assert played[Slot.MINIONS_COMPLETED] == 1


async def test_a_false_check_is_a_failure_and_bypasses_what_follows(play: Any, seen: list[Any]) -> None:
    played = await play(
        start().returns(1).verify(lambda v: v == 2).named("check").on_each(seen.append).named("after")
    )
    assert seen == []
    assert played.step("check").failed == 1
    assert dict(played.step("check").errors) == {"assertion": 1}
    assert played.step("after").attempted == 0
    assert played[Slot.PASSES_FAILED] == played[Slot.MINIONS_FAILED] == 1


async def test_assert_statements_check_too(play: Any) -> None:
    def check(value: int) -> None:
        assert value == 2, "not two"

    played = await play(start().returns(1).verify(check).named("check"))
    assert dict(played.step("check").errors) == {"assertion": 1}
    assert "not two" in played.step("check").first_error


@pytest.mark.parametrize(
    "error", [ValueError, SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError]
)
async def test_whatever_a_function_raises_is_counted_by_class(play: Any, error: type[BaseException]) -> None:
    def broken(value: int) -> None:
        raise error("no")

    played = await play(start(minions=3).returns(1).map(broken).named("broken"))
    assert dict(played.step("broken").errors) == {error.__name__: 3}
    assert "broken" in played.step("broken").first_error
    assert played[Slot.MINIONS_FAILED] == 3


async def test_validate_fails_with_its_errors(play: Any) -> None:
    played = await play(start().returns(1).validate(lambda v: ["too small"]).named("v"))
    assert played.step("v").failed == 1
    assert "too small" in played.step("v").first_error


async def test_verify_and_map_forwards_what_it_returns(play: Any, seen: list[Any]) -> None:
    await play(start().returns(1).verify_and_map(lambda v: v + 1).on_each(seen.append))
    assert seen == [2]


async def test_errors_travel_to_the_steps_that_process_them(play: Any, seen: list[Any]) -> None:
    chain = (
        start()
        .returns(1)
        .map(lambda v: 1 / 0)
        .map(seen.append)
        .catch_errors(lambda errors: seen.append(len(errors)))
    )
    played = await play(chain.log_errors())
    assert seen == [1]
    assert played[Slot.PASSES_FAILED] == 1


async def test_recover_makes_the_record_good_again(play: Any, seen: list[Any]) -> None:
    chain = (
        start()
        .returns(1)
        .map(lambda v: 1 / 0)
        .recover(lambda errors: type(errors[0]).__name__)
        .on_each(seen.append)
    )
    played = await play(chain)
    assert seen == ["ZeroDivisionError"]
    assert played[Slot.PASSES_COMPLETED] == 1


async def test_recover_leaves_good_records_alone(play: Any, seen: list[Any]) -> None:
    await play(start().returns(1).recover(lambda errors: 2).on_each(seen.append))
    assert seen == [1]


async def test_a_delay_takes_its_time_and_plans_the_next_step(play: Any, seen: list[Any]) -> None:
    played = await play(
        start().returns(1).delay("1500ms").delay("500ms").on_each(lambda c, v: seen.append(c.due_at))
    )
    assert played.seconds == pytest.approx(2.0, abs=0.02)
    assert seen == [pytest.approx(1002.0)]


async def test_iterations_replay_the_same_input(play: Any, seen: list[Any]) -> None:
    chain = start().returns(5).map(lambda context, v: (v, context.iteration)).iterate(3).on_each(seen.append)
    await play(chain)
    assert seen == [(5, 0), (5, 1), (5, 2)]


async def test_iterations_keep_their_period_whatever_the_step_takes(play: Any, seen: list[Any]) -> None:
    chain = (
        start()
        .returns(1)
        .pipe()
        .iterate(3, period="1s")
        .delay("300ms")
        .on_each(lambda c, v: seen.append(c.due_at))
    )
    await play(chain)
    assert seen == [pytest.approx(1000.3), pytest.approx(1001.3), pytest.approx(1002.3)]


async def test_a_failed_iteration_does_not_stop_the_others(play: Any, seen: list[Any]) -> None:
    def sometimes(context: Context, value: int) -> int:
        seen.append(context.iteration)
        if context.iteration == 1:
            raise ValueError
        return value

    played = await play(start().returns(1).map(sometimes).named("m").iterate(3))
    assert seen == [0, 1, 2]
    assert (played.step("m").successful, played.step("m").failed) == (2, 1)
    assert played[Slot.PASSES_FAILED] == 1


async def test_stop_on_error_ends_the_iterations(play: Any, seen: list[Any]) -> None:
    def broken(value: int) -> None:
        seen.append(value)
        raise ValueError

    await play(start().returns(1).map(broken).iterate(3, stop_on_error=True))
    assert seen == [1]


async def test_nested_iterations_multiply(play: Any, seen: list[Any]) -> None:
    await play(start().returns(1).pipe().iterate(2).pipe().iterate(3).on_each(seen.append))
    assert len(seen) == 6


async def test_retries_are_retries_plus_one_attempts_with_growing_waits(play: Any, seen: list[Any]) -> None:
    def broken(context: Context, value: int) -> None:
        seen.append(round(context.minion.scene.clock.now() - 1000, 2))  # type: ignore[attr-defined]
        assert context.due_at == 1000  # the waits are part of what a user waits
        raise ValueError

    policy = backoff(retries=3, delay="1s", multiplier=2)
    played = await play(start().returns(1).map(broken).named("m").retry(policy))
    assert seen == [0, pytest.approx(1, abs=0.01), pytest.approx(3, abs=0.01), pytest.approx(7, abs=0.02)]
    assert played.seconds == pytest.approx(7, abs=0.03)  # no wait after the last failure
    assert (played.step("m").attempted, played.step("m").failed, played.step("m").retried) == (1, 1, 3)


async def test_a_retry_that_succeeds_is_a_success(play: Any, seen: list[Any]) -> None:
    def second_time(value: int) -> int:
        seen.append(value)
        if len(seen) < 2:
            raise ValueError
        return value

    played = await play(start().returns(1).map(second_time).named("m").retry(backoff(retries=3)))
    assert (played.step("m").successful, played.step("m").failed) == (1, 0)
    assert played[Slot.PASSES_COMPLETED] == 1


async def test_a_timeout_interrupts_a_coroutine_and_spans_its_retries(play: Any) -> None:
    async def never(context: Context) -> None:
        await asyncio.Event().wait()

    chain = start().returns(1).execute(never).named("e").timeout("2s").retry(backoff(retries=5))
    played = await play(chain)
    assert dict(played.step("e").errors) == {"timeout": 1}
    assert played.step("e").timeouts == 1
    assert played.seconds == pytest.approx(2, abs=0.03)


async def test_a_stage_times_out_as_a_whole(play: Any, seen: list[Any]) -> None:
    chain = (
        start()
        .returns(1)
        .stage("st", lambda c: c.delay("10s").named("inner"))
        .timeout("2s")
        .recover(lambda e: 7)
    )
    played = await play(chain.on_each(seen.append))
    assert dict(played.step("st").errors) == {"timeout": 1}
    assert seen == [7]
    assert played.seconds == pytest.approx(2, abs=0.03)


async def test_an_inner_timeout_leaves_the_outer_one_in_force(play: Any) -> None:
    async def never(context: Context) -> None:
        await asyncio.Event().wait()

    chain = (
        start()
        .returns(1)
        .stage(
            "outer",
            lambda c: c.execute(never).named("inner").timeout("1s").recover(lambda e: 0).delay("10s"),
        )
    )
    played = await play(chain.timeout("3s"))
    assert played.step("inner").timeouts == 1
    assert dict(played.step("outer").errors) == {"timeout": 1}
    assert played.seconds == pytest.approx(3, abs=0.03)


async def test_inner_exhaustion_fails_a_stage_under_the_inner_class(play: Any) -> None:
    played = await play(start().returns(1).stage("st", lambda c: c.verify(lambda v: False)))
    assert dict(played.step("st").errors) == {"assertion": 1}


async def test_a_stage_is_iterated_as_a_whole(play: Any, seen: list[Any]) -> None:
    chain = start().returns(1).stage("st", lambda c: c.on_each(seen.append).map(lambda v: v + 1)).iterate(3)
    await play(chain.on_each(seen.append))
    assert seen == [1, 2] * 3


async def test_split_branches_run_beside_the_chain(play: Any, seen: list[Any]) -> None:
    chain = (
        start()
        .returns(1)
        .split(
            lambda c: c.delay("2s").on_each(lambda v: seen.append("slow")),
            lambda c: c.delay("1s").on_each(lambda v: seen.append("quick")),
        )
    )
    played = await play(chain.on_each(lambda v: seen.append("chain")))
    assert seen == ["chain", "quick", "slow"]
    assert played.seconds == pytest.approx(2, abs=0.03)
    assert played[Slot.PASSES_COMPLETED] == 1


async def test_a_failed_split_branch_fails_the_pass(play: Any) -> None:
    played = await play(start().returns(1).split(lambda c: c.delay("1s").map(lambda v: 1 / 0)))
    assert played[Slot.PASSES_FAILED] == 1


async def test_gather_emits_the_branches_last_values(play: Any, seen: list[Any]) -> None:
    chain = (
        start()
        .returns([1, 2])
        .gather(lambda c: c.delay("1s").flatten(), lambda c: c.delay("2s").map(len), lambda c: c.black_hole())
    )
    played = await play(chain.on_each(seen.append))
    assert seen == [(2, 2, None)]
    assert played.seconds == pytest.approx(2, abs=0.03)


async def test_gather_fails_when_a_branch_fails(play: Any) -> None:
    played = await play(start().returns(1).gather(lambda c: c.map(lambda v: 1 / 0), lambda c: c).named("g"))
    assert dict(played.step("g").errors) == {"ZeroDivisionError": 1}


async def test_choose_follows_the_weights(play: Any, seen: list[Any]) -> None:
    chain = (
        start(minions=1000)
        .returns(1)
        .choose((70, lambda c: c.map(lambda v: "a")), (30, lambda c: c.map(lambda v: "b")))
    )
    await play(chain.on_each(seen.append))
    assert 620 < seen.count("a") < 780
    assert len(seen) == 1000


async def test_execute_sends_any_number_of_outputs(play: Any, seen: list[Any]) -> None:
    async def twice(context: Context) -> int:
        context.send(context.input)
        await asyncio.sleep(0)
        context.send(context.input + 1)
        return 9

    await play(start().returns(1).execute(twice).on_each(seen.append))
    assert seen == [1, 2, 9]


async def test_shelved_values_stay_with_the_minion(play: Any, seen: list[Any]) -> None:
    chain = start(minions=2).map(lambda c, v: c.minion.index).shelve("me").map(lambda c, v: c.minion["me"])
    await play(
        chain.on_each(seen.append)
        .unshelve("me")
        .on_each(seen.append)
        .unshelve("me", "other")
        .on_each(seen.append)
    )
    assert seen == [0, 0, {"me": None, "other": None}, 1, 1, {"me": None, "other": None}]


async def test_setup_is_walked_once_before_the_first_pass(play: Any, seen: list[Any]) -> None:
    base = scenario("s", profile=profile.stages(profile.stage(100, ramp_up="1s", total="10s")))
    chain = (
        base.setup(lambda c: c.returns("token").shelve("t"))
        .start()
        .delay("4s")
        .on_each(lambda c, v: seen.append(c.minion["t"]))
    )
    played = await play(chain)
    assert seen == ["token"] * 3
    assert played[Slot.PASSES_COMPLETED] == 3


async def test_constant_pace_keeps_the_plan_even_when_a_step_is_slow(play: Any, seen: list[Any]) -> None:
    chain = (
        start()
        .returns(range(4))
        .flatten()
        .constant_pace("1s")
        .on_each(lambda c, v: seen.append(c.due_at - 1000))
    )
    await play(chain.delay("300ms"))
    assert seen == [pytest.approx(n) for n in range(4)]


async def test_accelerating_pace_shortens_down_to_its_minimum(play: Any, seen: list[Any]) -> None:
    chain = (
        start()
        .returns(range(5))
        .flatten()
        .accelerating_pace("1s", 2, "250ms")
        .on_each(lambda c, v: seen.append(c.due_at - 1000))
    )
    await play(chain)
    assert seen == [pytest.approx(at) for at in (0, 1, 1.5, 1.75, 2.0)]


async def test_stages_replay_until_they_end(play: Any) -> None:
    stages = profile.stages(profile.stage(100, ramp_up="1s", total="10s", resolution="500ms"))
    played = await play(scenario("s", minions=4, profile=stages).start().delay("3s"))
    assert played[Slot.MINIONS_COMPLETED] == 4
    assert played[Slot.PASSES_COMPLETED] > 12
    assert 10 <= played.seconds < 13.1


async def test_hard_stages_interrupt_and_count_as_aborted(play: Any) -> None:
    stages = profile.stages(profile.stage(100, ramp_up="0s", total="10s"), completion="hard")
    played = await play(scenario("s", minions=4, profile=stages).start().delay("7s"))
    assert played[Slot.PASSES_COMPLETED] == 4
    assert played.seconds == pytest.approx(7, abs=0.05)
    endless = await play(scenario("s", minions=4, profile=stages).start().delay("15s"))
    assert endless[Slot.MINIONS_ABORTED] == endless[Slot.PASSES_ABORTED] == 4
    assert endless.seconds == pytest.approx(10, abs=0.05)


async def test_arrivals_that_find_no_free_minion_are_dropped(play: Any) -> None:
    arrivals = profile.arrival_rate(10, over="10s")
    played = await play(scenario("s", minions=5, profile=arrivals).start().delay("1s"))
    assert played[Slot.ARRIVALS_PLANNED] == 100
    assert played[Slot.ARRIVALS_STARTED] + played[Slot.ARRIVALS_DROPPED] == 100
    assert 40 <= played[Slot.ARRIVALS_STARTED] <= 60
    assert played[Slot.MINIONS_STARTED] == played[Slot.MINIONS_COMPLETED] == 5


async def test_a_pass_that_never_waits_does_not_hang_the_worker(play: Any) -> None:
    stages = profile.stages(profile.stage(100, ramp_up="0s", total="1s"))
    played = await play(scenario("s", minions=2, profile=stages).start().returns(1))
    assert played[Slot.MINIONS_COMPLETED] == 2


async def test_an_hour_long_ramp_is_tested_in_a_moment(play: Any) -> None:
    played = await play(
        scenario("s", minions=60, profile=profile.regular("1m", 1)).start().returns(1), seconds=7200
    )
    assert played[Slot.MINIONS_COMPLETED] == 60
    assert played.seconds == pytest.approx(59 * 60, abs=0.03)


async def test_a_soft_stop_lets_passes_end_and_starts_no_others(play: Any) -> None:
    stopped = []

    def meddle(engine: Any, elapsed: float) -> None:
        if elapsed >= 1.5 and not stopped:
            stopped.append(elapsed)
            engine.stop()

    stages = profile.stages(profile.stage(100, ramp_up="0s", total="60s"))
    played = await play(scenario("s", minions=2, profile=stages).start().delay("1s"), meddle=meddle)
    assert played[Slot.PASSES_COMPLETED] == 4
    assert played.seconds == pytest.approx(2, abs=0.05)


async def test_books_close_after_an_abort_in_mid_flight(play: Any) -> None:
    aborted: list[Any] = []

    def meddle(engine: Any, elapsed: float) -> None:
        if elapsed >= 1.5 and not aborted:
            aborted.append(asyncio.ensure_future(engine.abort()))

    chain = (
        scenario("s", minions=10, profile=profile.regular("1s", 1))
        .start()
        .delay("1s")
        .gather(lambda c: c.delay("1s"), lambda c: c.delay("5s"))
    )
    played = await play(chain, meddle=meddle)
    assert played[Slot.MINIONS_STARTED] == played[Slot.MINIONS_ABORTED] == 2
    assert played[Slot.PASSES_STARTED] == played[Slot.PASSES_ABORTED] == 2


async def test_a_deep_chain_of_outputs_does_not_recurse(play: Any, seen: list[Any]) -> None:
    chain = (
        start()
        .returns(range(5 * sys.getrecursionlimit()))
        .flatten()
        .flat_map(lambda v: [v])
        .on_each(seen.append)
    )
    await play(chain)
    assert len(seen) == 5 * sys.getrecursionlimit()


async def test_a_monitored_step_is_timed_and_told(play: Any) -> None:
    told: list[tuple[str, Any]] = []
    chain = (
        start().returns(1).map(lambda v: v).named("m").monitor().verify(lambda v: v == 2).named("v").monitor()
    )
    played = await play(
        chain, collect_event=lambda event: told.append((event.name, dict(event.tags).get("step")))
    )
    assert told == [
        ("step.execution.started", "m"),
        ("step.execution.complete", "m"),
        ("step.execution.started", "v"),
        ("step.execution.failed", "v"),
        ("step.assertion.failure", "v"),
        ("minion.completion.failed", None),
    ]
    assert played.step("m").from_due.count == 1


async def test_empty_branches_pass_the_value_on(play: Any, seen: list[Any]) -> None:
    chain = (
        start()
        .returns(1)
        .choose((1, lambda c: c))
        .split(lambda c: c)
        .gather(lambda c: c, lambda c: c.map(str))
    )
    played = await play(chain.on_each(seen.append))
    assert seen == [(1, "1")]
    assert played[Slot.PASSES_COMPLETED] == 1


async def test_an_iterator_that_breaks_fails_its_step_once_and_keeps_what_it_gave(
    play: Any, seen: list[Any]
) -> None:
    def items(value: int) -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError

    played = await play(start().returns(1).flat_map(items).named("f").on_each(seen.append))
    step = played.step("f")
    assert seen == [1, 2]
    assert (step.attempted, step.successful, step.failed) == (1, 0, 1)
    assert played[Slot.PASSES_FAILED] == 1


async def test_an_iterated_recover_treats_good_and_failed_records_alike(play: Any, seen: list[Any]) -> None:
    chain = (
        start().returns([1, 0]).flatten().map(lambda v: 1 // v).recover(lambda errors: "mended").iterate(2)
    )
    await play(chain.on_each(seen.append))
    assert seen == [1, 1, "mended", "mended"]


async def test_the_context_names_its_step_and_the_one_before(play: Any, seen: list[Any]) -> None:
    chain = (
        start().returns(1).named("one").map(lambda c, v: seen.append((c.step, c.previous_step))).named("two")
    )
    await play(chain)
    assert seen == [("two", "one")]


async def test_a_split_ends_its_branches_at_its_deadline(play: Any) -> None:
    chain = start().returns(1).split(lambda c: c.delay("10s").named("slow")).timeout("1s")
    played = await play(chain)
    assert dict(played.step("slow").errors) == {"timeout": 1}
    assert played.seconds == pytest.approx(1, abs=0.03)
    assert played[Slot.PASSES_FAILED] == 1


async def test_a_late_start_shows_behind_synchronous_first_steps(play: Any, seen: list[Any]) -> None:
    chain = scenario("s", minions=1, profile=profile.arrival_rate(1, over="3s")).start().returns(1)
    played = await play(chain.map(lambda v: v).on_each(lambda c, v: seen.append(c.due_at - 1000)))
    assert seen == [pytest.approx(0), pytest.approx(1), pytest.approx(2)]
    assert played[Slot.ARRIVALS_DROPPED] == 0


async def test_a_pause_is_never_cut_short_by_lateness(play: Any, seen: list[Any]) -> None:
    def now(context: Any, value: int) -> None:
        seen.append(round(context.minion.scene.clock.now() - 1000, 1))

    await play(start().returns(1).pipe().iterate(2, period="100ms").delay("300ms").on_each(now))
    assert seen == [0.3, 0.6]


async def test_no_pass_begins_when_the_setup_ends_after_a_stop(play: Any) -> None:
    stopped: list[float] = []

    def meddle(engine: Any, elapsed: float) -> None:
        if elapsed >= 1 and not stopped:
            stopped.append(elapsed)
            engine.stop()

    chain = scenario("s").setup(lambda c: c.returns(1).delay("2s")).start().delay("5s")
    played = await play(chain, meddle=meddle)
    assert played[Slot.PASSES_STARTED] == 0
    assert played[Slot.MINIONS_COMPLETED] == 1


async def test_a_sleep_that_was_cut_short_does_not_end_the_next_one(play: Any) -> None:
    cut = scenario("s").start().returns(1).stage("cut", lambda c: c.delay("100ms")).timeout("50ms")
    played = await play(cut.recover(lambda errors: 2).delay("300ms"))
    assert played[Slot.PASSES_COMPLETED] == 1
    assert 0.35 <= played.seconds <= 0.36


async def test_deadlines_that_were_met_do_not_pile_up(play: Any) -> None:
    stages = profile.stages(profile.stage(100, ramp_up="0s", total="30s"))
    chain = scenario("s", minions=20, profile=stages).start().returns(1).stage("st", lambda c: c.delay("5ms"))
    timers: list[int] = []

    def meddle(engine: Any, elapsed: float) -> None:
        timers.append(sum(map(len, engine._wheel.slots.values())))

    played = await play(chain.timeout("25s"), meddle=meddle)
    assert played[Slot.PASSES_COMPLETED] > 50_000
    assert max(timers) < 3_000


async def test_a_negative_period_of_a_pace_is_an_error(play: Any) -> None:
    played = await play(start().returns(1).pace(lambda last: "-1s").named("p"))
    assert dict(played.step("p").errors) == {"ValueError": 1}
