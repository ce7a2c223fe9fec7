"""Joins, asides and sources, compiled."""

from __future__ import annotations

from typing import Any

import pytest

from qalipsis import scenario
from qalipsis.language.source import Feed
from qalipsis.language.steps import Tap
from qalipsis.plan.compiler import compile_chain, descriptor
from qalipsis.plan.model import Plan
from qalipsis.plan.properties import Properties
from tests.engine.sources import listed


def compiled(chain: Any) -> Plan:
    plan, mistakes = compile_chain(chain, Properties({}))
    assert plan is not None, mistakes
    return plan


def sentences(chain: Any) -> list[tuple[str, str]]:
    _, mistakes = compile_chain(chain, Properties({}))
    return [(mistake.message, mistake.hint) for mistake in mistakes]


def key(value: Any) -> Any:
    return value


def test_a_source_becomes_a_unicast_feed_with_the_type_of_the_source() -> None:
    plan = compiled(scenario("s").start().then(listed([1])))
    [node] = plan.chain
    assert isinstance(node.spec, Feed)
    assert (node.spec.mode, node.kind, node.name) == ("unicast", "test.listed", "listed")


def test_the_step_that_a_join_names_is_tapped_and_the_tap_is_hidden() -> None:
    chain = (
        scenario("s")
        .aside("rows", lambda aside: aside.returns(1).named("rows"))
        .start()
        .returns(1)
        .inner_join("rows", on=key, having=key, timeout="1s")
    )
    plan = compiled(chain)
    [aside] = plan.asides
    assert aside.is_everywhere
    assert [type(node.spec) for node in aside.chain][1] is Tap
    hidden = {step.name for step in descriptor(plan).steps if step.hidden}
    assert hidden == {"__tap-rows"}


def test_an_aside_that_nobody_joins_is_walked_by_one_worker() -> None:
    [aside] = compiled(scenario("s").aside("a", lambda aside: aside.returns(1)).start().returns(1)).asides
    assert not aside.is_everywhere


def test_a_join_on_an_unknown_step_names_the_near_ones() -> None:
    chain = (
        scenario("s")
        .start()
        .returns(1)
        .named("orders")
        .inner_join("ordres", on=key, having=key, timeout="1s")
    )
    assert sentences(chain) == [("there is no step 'ordres' to join with", "did you mean 'orders'?")]


def test_a_join_with_itself_is_refused() -> None:
    chain = scenario("s").start().returns(1).inner_join("me", on=key, having=key, timeout="1s").named("me")
    assert sentences(chain) == [("the step 'me' cannot be joined with itself", "")]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"timeout": 0}, "inner_join needs a timeout above 0: how long a record waits for its match"),
        ({"timeout": "soon"}, "inner_join timeout: "),
        ({"cache_size": 0}, "inner_join(cache_size=0) should be a whole number of at least 1"),
        ({"cache_timeout": -1}, "inner_join cache_timeout cannot be negative: -1"),
        ({"on": 3}, "inner_join on needs a function of (value) or (context, value), not 3"),
        ({"having": lambda: 1}, "inner_join having calls its function with (record), and this one takes ()"),
        ({"right": 7}, "inner_join needs a source or the name of a step, not 7"),
        (
            {"right": listed([1]).broadcast()},
            "inner_join reads its source itself: write it without .broadcast(…)",
        ),
    ],
)
def test_mistakes_of_a_join_are_named(options: dict[str, Any], sentence: str) -> None:
    given = {"right": listed([1]), "on": key, "having": key, "timeout": "1s"} | options
    [(message, _)] = sentences(scenario("s").start().returns(1).inner_join(**given))
    assert message.startswith(sentence)


def test_a_coroutine_cannot_make_a_key() -> None:
    async def later(value: Any) -> Any:
        return value

    chain = scenario("s").start().returns(1).inner_join(listed([1]), on=later, having=key, timeout="1s")
    assert sentences(chain) == [("inner_join calls its function and does not await it", "use execute(…)")]


@pytest.mark.parametrize(
    ("chain", "sentence"),
    [
        (scenario("s").start().returns(1).collect("0s"), "collect needs a timeout above 0"),
        (scenario("s").start().returns(1).collect("1s", batch_size=0), "collect(batch_size=0) should be"),
        (scenario("s").start().zip(listed([1]), timeout=0), "zip needs a timeout above 0"),
        (
            scenario("s").aside("A b", lambda a: a.returns(1)).start().returns(1),
            "'A b' is no name for an aside",
        ),
        (scenario("s").aside("a", lambda a: a).start().returns(1), "the aside 'a' has no steps"),
        (scenario("s").aside("a", lambda a: a.delay(-1)).start().returns(1), "delay cannot be negative: -1"),
    ],
)
def test_mistakes_of_collects_zips_and_asides_are_named(chain: Any, sentence: str) -> None:
    [(message, _)] = sentences(chain)
    assert message.startswith(sentence)


def test_a_join_of_the_setup_finds_its_step_or_says_so() -> None:
    def chain(right: str) -> Any:
        return (
            scenario("s")
            .aside("rows", lambda aside: aside.returns(1).named("rows"))
            .setup(lambda setup: setup.returns(1).inner_join(right, on=key, having=key, timeout="1s"))
            .start()
            .pipe()
        )

    assert sentences(chain("row")) == [("there is no step 'row' to join with", "did you mean 'rows'?")]
    [aside] = compiled(chain("rows")).asides
    assert aside.is_everywhere


def test_steps_that_name_the_same_feed_describe_it_once() -> None:
    def chain(*feeds: Any) -> Any:
        return scenario("s").start().then(feeds[0]).then(feeds[1])

    rows = listed([1])
    compiled(chain(rows.unicast(name="rows"), rows.unicast(name="rows")))
    for other in (listed([1]).unicast(name="rows"), rows.unicast(name="rows", buffer=5)):
        [(message, _)] = sentences(chain(rows.unicast(name="rows"), other))
        assert message == "the feed 'rows' is described twice, and not in the same way"


@pytest.mark.parametrize("name", ["Some Rows", 5, ""])
def test_the_name_of_a_feed_is_a_name(name: Any) -> None:
    [(message, _)] = sentences(scenario("s").start().then(listed([1]).unicast(name=name)))
    assert message == f"{name!r} is no name for a feed"
