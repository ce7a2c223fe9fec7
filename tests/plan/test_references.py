"""Steps that build upon others by name."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from qalipsis import Minion, journey, scenario
from qalipsis.language.chain import Chain
from qalipsis.language.spec import Spec
from qalipsis.plan.compiler import compile_chain
from qalipsis.plan.properties import Properties


@dataclass(frozen=True)
class Connect(Spec[Any, Any]):
    kind: ClassVar[str] = "wire.connect"


@dataclass(frozen=True)
class Reuse(Spec[Any, Any]):
    kind: ClassVar[str] = "wire.reuse"
    step: str

    def refers_to(self) -> tuple[str, ...]:
        return (self.step,)


def mistakes(chain: Chain[Any]) -> list[str]:
    return [str(mistake) for mistake in compile_chain(chain, Properties({}))[1]]


def test_a_step_that_is_there_is_found_wherever_it_stands() -> None:
    chain = scenario("s").start().stage("in", lambda c: c.then(Connect()).named("connect"))
    assert mistakes(chain.then(Reuse("connect")).then(Connect()).then(Reuse("wire-connect"))) == []


def test_a_name_that_is_nearly_right_is_suggested() -> None:
    chain = scenario("s").start().then(Connect()).named("connect").returns(1).named("conect-1")
    (mistake,) = mistakes(chain.then(Reuse("conect")))
    assert "there is no step 'conect'" in mistake
    assert mistake.endswith("did you mean 'connect'?")


def test_a_step_of_another_plugin_is_no_help() -> None:
    (mistake,) = mistakes(scenario("s").start().returns(1).named("one").then(Reuse("one")))
    assert "wire.reuse builds upon a step of wire, and 'one' is of kind returns" in mistake


def test_a_step_cannot_build_upon_itself() -> None:
    (mistake,) = mistakes(scenario("s").start().then(Reuse("me")).named("me"))
    assert "the step 'me' cannot build upon itself" in mistake


def test_a_journey_may_name_the_step_as_it_runs() -> None:
    async def connects(minion: Minion) -> None:
        await minion.do(Connect(), name="connect")

    chain = scenario("s").start().then(Reuse("connect"))
    walk = journey("j")(connects).chain()
    assert chain.head is not None
    with_setup = replace(chain, head=replace(chain.head, setup=walk))
    assert mistakes(with_setup) == []
