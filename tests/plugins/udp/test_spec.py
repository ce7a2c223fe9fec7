from __future__ import annotations

from typing import Any

import pytest

from qalipsis import prop, scenario
from qalipsis.plan.compiler import compile_chain
from qalipsis.plan.properties import Properties
from qalipsis.plugins import udp

echo = udp.client("echo.example:9000")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"address": "echo.example"}, "'echo.example' has no port"),
        ({"address": "udp://echo:7"}, "should have no scheme"),
        ({"timeout": "-1s"}, "timeout cannot be negative"),
        ({"timeout": 0}, "timeout cannot be zero"),
    ],
)
def test_a_mistake_in_a_client_is_a_sentence_at_its_place(options: dict[str, Any], complaint: str) -> None:
    client = udp.client(**{"address": "echo.example:9000", **options})
    (problem,) = client.problems()
    assert complaint in problem
    assert problem.startswith("udp.client")
    for spec in (client.request("x"), client.close()):
        assert spec.problems() == [problem]
        [(place, _)] = spec.problems_by_place(udp.client("a:1").location)
        assert place == client.location


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        (echo.request(3), "the payload 3 should be bytes, text, or a function"),  # type: ignore[call-overload]
        (echo.request(b"x" * 65_508), "has 65508 bytes, and a datagram carries 65507 at most"),
        (echo.request("x", answers=-1), "answers=-1 should be a whole number, 0 to wait for none"),
        (echo.request("x", answers=True), "answers=True should be a whole number"),
        (
            echo.request("x", matching=lambda response: True),
            "matching calls its function with (request, response)",
        ),  # type: ignore[call-overload]
        (echo.request("x", answers=0, matching=lambda a, b: True), "leave one of them out"),
        (echo.request("x", timeout="-1s"), "the request's timeout cannot be negative"),
        (udp.reuse("", "x"), "udp.reuse needs the name of the step"),
        (udp.close(""), "udp.close needs the name of the step"),
    ],
)
def test_a_mistake_in_a_request_is_a_sentence(spec: Any, complaint: str) -> None:
    (problem,) = spec.problems()
    assert complaint in problem


def test_placeholders_are_replaced() -> None:
    client = udp.client("echo", port=prop("echo.port", default=7))
    [resolved] = [Properties({"echo.port": "9"}).resolve(client.request("x"))]
    assert resolved.problems() == []
    assert resolved.client.place() == ("echo", 9)


def test_a_step_to_be_reused_must_be_there() -> None:
    chain = scenario("s").start().then(echo.request("x")).named("hello")
    plan, mistakes = compile_chain(chain.then(udp.reuse("helo", "x")), Properties({}))
    assert plan is None
    assert "did you mean 'hello'" in str(mistakes[0])


def test_what_is_shown_names_the_address() -> None:
    assert repr(echo.request("x")) == "<request with udp.client('echo.example:9000')>"
    assert repr(udp.reuse("hello", "x")) == "<udp.reuse('hello')>"
