from __future__ import annotations

from qalipsis import backoff, profile, scenario, step
from qalipsis.plan.compiler import compile_chain, descriptor
from qalipsis.plan.model import Backoff, Iteration
from qalipsis.plan.properties import Properties


def test_options_become_numbers() -> None:
    chain = (
        scenario("s", minions=5)
        .start()
        .returns(1)
        .timeout("1500ms")
        .retry(backoff(retries=2, delay="2s", multiplier=3, max_delay="5s"))
        .iterate(4, period="1s")
        .tolerate(0.5)
        .report(errors=False)
    )
    plan, mistakes = compile_chain(chain, Properties({}))
    assert mistakes == []
    assert plan is not None
    [node] = plan.chain
    assert (node.timeout, node.retry, node.iterate) == (
        1.5,
        Backoff(2, 2.0, 3.0, 5.0),
        Iteration(4, 1.0, False),
    )
    assert (node.tolerated_share, node.reported) == (0.5, False)
    assert [node.retry.wait(n) for n in (1, 2, 3)] == [2.0, 5.0, 5.0] if node.retry else False


def test_the_default_retry_policy_reaches_plugin_and_execute_steps_only_and_never_nests() -> None:
    async def free(context: object) -> None: ...

    chain = (
        scenario("s", retry=backoff(retries=1))
        .start()
        .returns(1)
        .execute(free)
        .stage("st", lambda c: c.execute(free))
        .retry(backoff(retries=2))
    )
    plan, _ = compile_chain(chain, Properties({}))
    assert plan is not None
    returns, execute, stage = plan.chain
    assert returns.retry is None
    assert execute.retry is not None
    assert stage.retry is not None
    assert stage.branches[0][0].retry is None


def test_absolute_stages_give_the_number_of_minions() -> None:
    stages = profile.stages(
        profile.stage(minions=80, ramp_up="1s", total="2s"),
        profile.stage(minions=20, ramp_up="1s", total="2s"),
    )
    plan, mistakes = compile_chain(scenario("s", profile=stages).start().returns(1), Properties({}))
    assert plan is not None, mistakes
    assert plan.minions == 100
    both, mistakes = compile_chain(
        scenario("s", minions=3, profile=stages).start().returns(1), Properties({})
    )
    assert both is None
    assert "100" in mistakes[0].message


def test_a_descriptor_holds_data_only() -> None:
    chain = (
        scenario("s")
        .start()
        .returns(1)
        .named("one")
        .timer("t", lambda v: v)
        .should_satisfy(lambda t: [t.percentile(95).is_less_than("1s"), t.max.is_less_than(2)])
        .expect(step("one").failed_share.is_less_than(0.01), abort=True)
    )
    plan, _ = compile_chain(chain, Properties({}))
    assert plan is not None
    described = descriptor(plan)
    [meter] = described.meters
    assert [condition.bounds for condition in meter.conditions] == [(1.0,), (2.0,)]
    [expectation] = described.expectations
    assert (expectation.step, expectation.measure, expectation.abort) == ("one", "failed_share", True)


def test_more_than_a_hundred_steps_are_refused() -> None:
    chain = scenario("s").start().returns(1)
    for _ in range(100):
        chain = chain.pipe()
    plan, [mistake] = compile_chain(chain, Properties({}))
    assert plan is None
    assert "101 steps" in mistake.message
