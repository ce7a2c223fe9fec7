"""Steps that start I/O and are resumed later, in chains and in journeys."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from qalipsis import Minion, StepFailed, backoff, journey, profile, scenario
from qalipsis.engine.step import StepError
from qalipsis.language.spec import Spec
from qalipsis.language.steps import Delay
from qalipsis.metrics.ledger import Slot


@dataclass(frozen=True)
class Echo(Spec[Any, Any]):
    """Answers its input after a while, or fails with a class."""

    kind: ClassVar[str] = "echo"
    after: float = 0.1
    failing: str = ""
    failures: int = 1_000_000


class EchoStep:
    is_warmed_up = False

    def __init__(self, spec: Echo) -> None:
        self.spec = spec
        self.begun: list[float] = []
        self.cancelled = 0

    async def open(self, runtime: Any) -> None:
        self.runtime = runtime

    async def aclose(self) -> None: ...

    def connections(self, minions: int) -> dict[tuple[str, int], int]:
        return {("echo", 7): minions}

    def begin(self, context: Any, strand: Any) -> Any:
        self.begun.append(context.due)
        runtime, value = self.runtime, context.value
        due, sent = context.due, runtime.clock.now()
        fails = self.spec.failing and len(self.begun) <= self.spec.failures

        def answer() -> None:
            if fails:
                strand.fail(StepError(self.spec.failing, "as asked"))
            else:
                done = runtime.clock.now()
                runtime.worker_meters.records.add(
                    runtime.meters.index, 200, due, sent, sent, done, done, 1, 1
                )
                strand.resume(value)

        timer = runtime.wheel.call_at(sent + self.spec.after, answer)
        step = self

        class Pending:
            def cancel(self) -> None:
                step.cancelled += 1
                timer.cancel()

        return Pending()


STEPS: list[EchoStep] = []


def find(kind: str) -> Any:
    def make(spec: Echo) -> EchoStep:
        STEPS.append(EchoStep(spec))
        return STEPS[-1]

    return make


@pytest.fixture(autouse=True)
def _fresh() -> None:
    STEPS.clear()


async def test_the_next_step_is_due_when_the_one_before_is_done(play: Any) -> None:
    chain = scenario("s").start().returns(1).then(Echo(0.1)).then(Echo(0.2)).delay("1s").then(Echo(0.1))
    await play(chain, find_step=find)
    dues = [step.begun[0] - 1000 for step in STEPS]
    assert dues == [pytest.approx(0), pytest.approx(0.1, abs=0.002), pytest.approx(1.3, abs=0.004)]


async def test_a_deadline_cancels_the_io_and_fails_the_step(play: Any) -> None:
    played = await play(scenario("s").start().then(Echo(9)).named("e").timeout("1s"), find_step=find)
    assert STEPS[0].cancelled == 1
    assert dict(played.step("e").errors) == {"timeout": 1}
    assert played.seconds == pytest.approx(1, abs=0.05)


async def test_a_deadline_that_is_met_does_not_strike_the_next_step(play: Any) -> None:
    chain = scenario("s").start().then(Echo(0.6)).named("a").timeout("1s").then(Echo(0.6)).named("b")
    played = await play(chain.then(Echo(5)).named("c").timeout("2s"), find_step=find)
    assert [played.step(name).failed for name in "abc"] == [0, 0, 1]
    assert played.seconds == pytest.approx(3.2, abs=0.05)


async def test_transport_failures_are_retried_when_a_policy_says_so(play: Any) -> None:
    chain = (
        scenario("s")
        .start()
        .then(Echo(0.1, "reset", failures=2))
        .named("e")
        .retry(backoff(retries=2, delay="1s"))
    )
    played = await play(chain, find_step=find)
    assert (played.step("e").successful, played.step("e").retried) == (1, 2)
    assert played.seconds == pytest.approx(2.3, abs=0.05)


async def test_connections_are_foretold(play: Any) -> None:
    played = await play(scenario("s", minions=4).start().then(Echo(0.1)), find_step=find)
    assert played.engine.connections() == {("echo", 7): 4}


async def test_an_abort_cancels_pending_io(play: Any) -> None:
    aborted: list[Any] = []

    def meddle(engine: Any, elapsed: float) -> None:
        if elapsed >= 1 and not aborted:
            aborted.append(asyncio.ensure_future(engine.abort()))

    played = await play(scenario("s", minions=3).start().then(Echo(60)), find_step=find, meddle=meddle)
    assert STEPS[0].cancelled == 3
    assert played[Slot.MINIONS_ABORTED] == 3


async def test_a_journey_does_steps_and_pauses(play: Any) -> None:
    seen: list[Any] = []
    one, two = Echo(0.1), Echo(0.1)

    @journey("j", minions=2)
    async def walk(minion: Minion) -> None:
        seen.append((minion.index, await minion.do(one, value="x", name="one")))
        await minion.pause("1s")
        minion["kept"] = 1
        await minion.do(two, name="two")
        minion.timer("own", "5ms")

    played = await play(walk.chain(), find_step=find)
    assert seen == [(0, "x"), (1, "x")]
    assert played.step("one").successful == played.step("two").successful == 2
    assert STEPS[1].begun[0] - 1000 == pytest.approx(1.1, abs=0.01)
    assert played[Slot.PASSES_COMPLETED] == 2


async def test_a_delay_done_in_a_journey_waits_its_length(play: Any) -> None:
    one = Echo(0.1)

    @journey("j")
    async def walk(minion: Minion) -> None:
        assert await minion.do(Delay("1s"), value="x", name="wait") == "x"
        await minion.do(one, name="one")

    played = await play(walk.chain(), find_step=find)
    assert played[Slot.PASSES_COMPLETED] == 1
    assert STEPS[0].begun[0] - 1000 == pytest.approx(1.0, abs=0.01)


async def test_a_failed_step_raises_in_a_journey_and_may_be_caught(play: Any) -> None:
    caught: list[Any] = []

    @journey("j")
    async def walk(minion: Minion) -> None:
        try:
            await minion.do(Echo(0.1, "reset"), name="one")
        except StepFailed as failed:
            caught.append((failed.step, failed.kind))
        await minion.do(Echo(0.1, "reset"), name="two")

    played = await play(walk.chain(), find_step=find)
    assert caught == [("one", "reset")]
    assert dict(played.step("two").errors) == {"reset": 1}
    assert played[Slot.PASSES_FAILED] == 1


async def test_an_assertion_in_a_journey_fails_the_pass(play: Any) -> None:
    @journey("j")
    async def walk(minion: Minion) -> None:
        assert minion.index == 5, "not five"

    played = await play(walk.chain(), find_step=find)
    assert dict(played.step("j").errors) == {"assertion": 1}
    assert "not five" in played.step("j").first_error


async def test_a_journey_opens_a_step_once_per_name(play: Any) -> None:
    spec = Echo(0.1)

    @journey("j", minions=20)
    async def walk(minion: Minion) -> None:
        await minion.do(spec, name="one")

    await play(walk.chain(), find_step=find)
    assert len(STEPS) == 1


async def test_a_journey_is_set_up_once(play: Any) -> None:
    async def log_in(minion: Minion) -> None:
        minion["token"] = await minion.do(Echo(0.1), value=7, name="log-in")

    seen: list[Any] = []

    @journey("j", setup=log_in)
    async def walk(minion: Minion) -> None:
        seen.append(minion["token"])

    await play(walk.chain(), find_step=find)
    assert seen == [7]


async def test_a_step_of_an_aborted_journey_is_no_failure(play: Any) -> None:
    stages = profile.stages(profile.stage(100, ramp_up=0, total="2s"), completion="hard")

    @journey("j", minions=3, profile=stages)
    async def walk(minion: Minion) -> None:
        await minion.do(Echo(10.0), name="slow")

    played = await play(walk.chain(), find_step=find)
    assert (played[Slot.PASSES_ABORTED], played[Slot.MINIONS_ABORTED]) == (3, 3)
    slow = played.step("slow")
    assert (slow.attempted, slow.failed, dict(slow.errors)) == (3, 0, {})


async def test_a_step_that_the_journey_itself_cancels_is_a_failure(play: Any) -> None:
    @journey("j")
    async def walk(minion: Minion) -> None:
        step = asyncio.ensure_future(minion.do(Echo(10.0), name="slow"))
        await minion.pause("1s")
        step.cancel()
        await asyncio.wait([step])

    played = await play(walk.chain(), find_step=find)
    assert dict(played.step("slow").errors) == {"cancelled": 1}


async def test_a_journey_that_swallows_its_cancellation_sends_nothing_more(play: Any) -> None:
    aborted: list[Any] = []

    @journey("j")
    async def walk(minion: Minion) -> None:
        for _ in range(50):
            with suppress(asyncio.CancelledError):
                await minion.do(ECHO, name="one")

    def meddle(engine: Any, elapsed: float) -> None:
        if elapsed >= 1 and not aborted:
            aborted.append((STEPS[0].begun[-1], asyncio.ensure_future(engine.abort())))

    played = await play(walk.chain(), find_step=find, meddle=meddle)
    assert STEPS[0].begun[-1] == aborted[0][0]
    assert played[Slot.MINIONS_ABORTED] == 1


async def test_specs_that_a_journey_makes_anew_each_time_do_not_pile_up(play: Any) -> None:
    @journey("j", minions=1)
    async def walk(minion: Minion) -> None:
        for number in range(2_000):
            await minion.do(Echo(0.001 + number / 1e9), name="one")

    played = await play(walk.chain(), find_step=find)
    assert played.step("one").successful == 2_000
    [assembly] = played.engine._assemblies.values()
    assert len(assembly._inner) <= 512
    assert len(assembly.steps) == 0


ECHO = Echo(0.1)


async def test_a_step_that_a_journey_begins_and_does_not_wait_for_ends_with_its_pass(play: Any) -> None:
    tasks: list[asyncio.Future[Any]] = []

    @journey("j", minions=2)
    async def walk(minion: Minion) -> None:
        tasks.append(asyncio.ensure_future(minion.do(ECHO, name="late")))
        await minion.pause("10ms")

    played = await play(walk.chain(), find_step=find)
    assert played[Slot.MINIONS_COMPLETED] == 2
    assert dict(played.step("late").errors) == {"cancelled": 2}
    assert all(task.cancelled() for task in tasks)
    assert STEPS[0].cancelled == 2


async def test_a_journey_names_so_many_timers_and_no_more(play: Any) -> None:
    @journey("j")
    async def walk(minion: Minion) -> None:
        for number in range(101):
            minion.timer(f"timer-{number}", "1s")

    played = await play(walk.chain(), find_step=find)
    assert dict(played.step("j").errors) == {"too-many-timers": 1}


async def test_a_negative_pause_is_an_error_of_the_journey(play: Any) -> None:
    @journey("j")
    async def walk(minion: Minion) -> None:
        await minion.pause("-1s")

    played = await play(walk.chain(), find_step=find)
    assert dict(played.step("j").errors) == {"ValueError": 1}
