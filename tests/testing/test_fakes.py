"""What stands in for services: HTTP in all its parts, steps and sources of any kind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pytest

from qalipsis import journey, profile, prop, scenario
from qalipsis.engine.source import MOST_IN_BATCH
from qalipsis.engine.step import StepError
from qalipsis.factory import limits
from qalipsis.language.source import Source
from qalipsis.language.spec import Spec
from qalipsis.plugins import http
from qalipsis.reports.model import Report, StepReport
from qalipsis.testing import (
    FakeCall,
    FakeRequest,
    FakeResponse,
    fake_answer,
    fake_http,
    fake_reset,
    fake_response,
    fake_silence,
    run_scenario,
)
from qalipsis.testing.fake_http import NoRoute

shop = http.client("https://shop.example/api")


def step_of(report: Report, name: str) -> StepReport:
    return next(step for each in report.scenarios for step in each.steps if step.name == name)


def asking(*requests: Any) -> Any:
    """One minion that sends these, and keeps what came back."""
    seen: list[Any] = []

    @journey("asking")
    async def walk(minion: Any) -> None:
        for request in requests:
            seen.append(await minion.do(request, name="ask"))  # noqa: PERF401

    return walk, seen


# HTTP


def test_a_fake_sees_the_request_as_it_was_sent() -> None:
    seen: list[FakeRequest] = []

    def note(request: FakeRequest) -> FakeResponse:
        seen.append(request)
        return fake_response()

    order = shop.post(
        "/orders/a b", query={"x": [1, 2], "y": "ü"}, json={"item": 7}, headers={"X-Shop": "de"}
    )
    walk, _ = asking(order)
    run_scenario(walk, target=note)
    [request] = seen
    assert (request.method, request.path, request.number) == ("POST", "/api/orders/a b", 0)
    assert request.url.startswith("https://shop.example/api/orders/a%20b?x=1&x=2")
    assert request.query == {"x": "2", "y": "ü"}
    assert request.json() == {"item": 7}
    assert request.text == '{"item":7}'
    assert request.headers["x-shop"] == "de"
    assert request.headers["host"] == "shop.example"
    assert request.at == pytest.approx(0, abs=1e-6)


def test_a_response_is_that_of_the_real_client() -> None:
    walk, seen = asking(shop.get("/one"), shop.head("/one"), shop.get("/text"), shop.delete("/one"))
    target = {
        "DELETE /api/one": fake_response(204),
        "/api/one": fake_response(201, json=[1, 2], headers={"X-Kind": "one", "Set-Cookie": "a=b; Path=/"}),
        "/api/*": fake_response(text="grüß", after="250ms"),
    }
    report = run_scenario(walk, target=target)
    one, head, text, gone = seen
    assert (one.status, one.reason, one.json(), one.cookies) == (201, "Created", [1, 2], {"a": "b"})
    assert one.headers["x-kind"] == "one"
    assert one.headers["content-type"] == "application/json"
    assert (head.status, head.body) == (201, b"")
    assert text.text == "grüß"
    assert text.done - text.sent == pytest.approx(0.25, abs=1e-6)
    assert text.url == "https://shop.example/api/text"
    assert (gone.status, gone.body) == (204, b"")
    ask = step_of(report, "ask")
    assert ask.statuses == {"200": 1, "201": 2, "204": 1}
    assert ask.bytes.sent > 0
    assert ask.bytes.received > 0


def test_redirects_and_cookies_work_as_over_a_network() -> None:
    cookies: list[str] = []

    def basket(request: FakeRequest) -> FakeResponse:
        cookies.append(request.headers.get("cookie", ""))
        return fake_response(text="here")

    target = {
        "POST /api/login": fake_response(
            303, headers={"Location": "/basket", "Set-Cookie": "id=7; Path=/"}, after="10ms"
        ),
        "GET /basket": basket,
    }
    walk, seen = asking(shop.post("/login", form={"user": "a"}), shop.get("/login"))
    with pytest.raises(
        NoRoute, match=r"no route for GET /api/login; the fake knows POST /api/login, GET /bas"
    ):
        run_scenario(walk, target=target)
    assert (seen[0].text, seen[0].url) == ("here", "https://shop.example/basket")
    assert cookies == ["id=7"]


def test_a_large_body_and_a_stream_arrive_whole() -> None:
    sizes: list[int] = []

    def note(request: FakeRequest) -> FakeResponse:
        sizes.append(len(request.body))
        return fake_response()

    large = b"x" * 1_000_000
    walk, seen = asking(
        shop.put("/large", body=large),
        shop.put("/large", body=large, headers={"Expect": "100-continue"}),
        shop.put("/stream", body=lambda value: iter([large, large])),
    )
    report = run_scenario(walk, target=note)
    assert sizes == [1_000_000, 1_000_000, 2_000_000]
    assert [response.status for response in seen] == [200] * 3
    assert report.ledger.requests.ok == 3
    assert report.campaign.duration_s < 0.01


def test_a_share_of_failures_shows_in_the_books() -> None:
    def mostly(request: FakeRequest) -> FakeResponse:
        return fake_reset() if request.number % 100 == 99 else fake_response(after="5ms")

    visits = (
        scenario("visits", minions=1000, profile=profile.regular("10ms", 10))
        .start()
        .then(shop.get("/"))
        .named("get")
        .tolerate(0.01)
    )
    report = run_scenario(visits, target=mostly)
    assert (report.ledger.requests.ok, report.ledger.requests.error) == (990, 10)
    assert step_of(report, "get").executions.errors == {"reset": 10}
    assert report.campaign.status == "WARNING"


def test_silence_ends_with_the_timeout_of_the_request() -> None:
    walk, _ = asking(shop.get("/", timeout="3s"))
    report = run_scenario(walk, target=fake_silence())
    assert step_of(report, "ask").failures == {"timeout": 1}
    assert report.campaign.duration_s == pytest.approx(3, abs=0.01)


def test_minions_that_are_stopped_close_their_books() -> None:
    hard = profile.stages(profile.stage(100, ramp_up="1s", total="10s"))
    slow = scenario("slow", minions=50, profile=hard).start().then(shop.get("/")).named("get").timeout("1s")
    report = run_scenario(slow, target=fake_response(after="2s"))
    requests = report.ledger.requests
    assert requests.attempted == requests.error > 50
    assert report.verdict.value == "VALID"


@pytest.mark.parametrize("connections", ["per-minion", "pool", "on-demand"])
def test_every_kind_of_connection_leads_to_the_fake(connections: Any) -> None:
    client = http.client("http://shop.example", connections=connections, warm_up=connections != "on-demand")
    visits = scenario("visits", minions=20).start().then(client.get("/")).named("get").iterate(3)
    report = run_scenario(visits, target=fake_response(after="1ms"))
    assert report.ledger.requests.ok == 60


def test_a_fake_takes_no_ports_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "local_ports", lambda: (50_000, 50_009))
    many = scenario("many", minions=100).start().then(shop.get("/"))
    report = run_scenario(many, target=fake_response(after="1ms"))
    assert report.ledger.requests.ok == 100


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: fake_response(json=1, text="x"), "give json, text or body"),
        (lambda: fake_response(99), "status from 200 to 599"),
        (lambda: fake_response(204, text="x"), "has no body"),
        (lambda: fake_response(after="-1s"), "cannot be negative"),
        (lambda: fake_reset(after="soon"), "after"),
        (lambda: fake_answer(after="-1s"), "cannot be negative"),
        (lambda: fake_http({"basket": fake_response()}), '"GET /basket"'),
        (lambda: fake_http({"get /basket": fake_response()}), '"GET /basket"'),
    ],
)
def test_mistakes_of_a_fake_are_told_at_once(make: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make()


def test_a_target_that_is_none_is_told() -> None:
    with pytest.raises(TypeError, match="a response, a function or a mapping of routes"):
        fake_http(42)  # type: ignore[arg-type]


# Steps of any kind


@dataclass(frozen=True, eq=False)
class Produce(Spec[Any, int]):
    kind: ClassVar[str] = "test.produce"
    topic: Any = "orders"


def producing(minions: int = 4, topic: Any = "orders") -> Any:
    return (
        scenario("producing", minions=minions)
        .start()
        .returns(lambda context, _: context.minion.index)
        .then(Produce(topic))
        .named("produce")
    )


def test_a_fake_step_answers_with_what_its_function_returns() -> None:
    calls: list[FakeCall] = []
    outputs: list[Any] = []

    def produce(call: FakeCall) -> Any:
        calls.append(call)
        return fake_answer(call.value * 10, after="20ms") if call.value else 0

    chain = producing(topic=prop("topic", default="t")).on_each(outputs.append)
    report = run_scenario(chain, fakes={"test.produce": produce}, properties={"topic": "bills"})
    assert sorted(outputs) == [0, 10, 20, 30]
    assert {call.spec.topic for call in calls} == {"bills"}
    assert [call.number for call in calls] == [0, 1, 2, 3]
    assert {call.minion for call in calls} == {0, 1, 2, 3}
    assert report.ledger.requests.ok == 4
    latency = step_of(report, "produce").latency.from_sent
    assert latency.count == 4
    assert latency.max_ms == pytest.approx(20, rel=0.01)


def test_a_step_error_of_a_fake_is_data() -> None:
    def produce(call: FakeCall) -> Any:
        if call.number == 0:
            raise StepError("no-topic", "there is no topic orders")
        return fake_answer(StepError("timeout", "no answer"), after="5s")

    report = run_scenario(producing(2), fakes={"test.produce": produce})
    step = step_of(report, "produce")
    assert step.executions.errors == {"no-topic": 1, "timeout": 1}
    assert step.failures == {"no-topic": 1, "timeout": 1}
    assert report.ledger.requests.error == 2
    assert report.campaign.duration_s == pytest.approx(5, abs=0.01)


def test_any_other_error_of_a_fake_breaks_the_test() -> None:
    with pytest.raises(ZeroDivisionError):
        run_scenario(producing(), fakes={"test.produce": lambda call: 1 / 0})


def test_a_fake_step_works_on_the_real_clock() -> None:
    report = run_scenario(producing(), fakes={"test.produce": lambda call: 1}, clock="real")
    assert report.ledger.requests.ok == 4


# Sources of any kind


@dataclass(frozen=True, eq=False)
class Orders(Source[int]):
    kind: ClassVar[str] = "test.orders"
    topic: Any = "orders"
    settings: list[Any] = field(default_factory=list)


def taking(source: Any, taken: list[Any], minions: int = 3) -> Any:
    return (
        scenario("taking", minions=minions)
        .start()
        .then(source)
        .named("take")
        .on_each(lambda context, record: taken.append((record, context.due_at)))
        .iterate(1)
    )


def test_records_are_written_down_by_kind() -> None:
    taken: list[Any] = []
    run_scenario(taking(Orders(), taken), sources={"test.orders": [1, 2, 3]})
    assert sorted(record for record, _ in taken) == [1, 2, 3]


def test_records_are_written_down_by_source() -> None:
    left, right = Orders(prop("topic", default="left")), Orders("right")
    taken: list[Any] = []
    chain = taking(left, taken, minions=1).then(right).named("other").on_each(lambda r: taken.append((r, 0)))
    run_scenario(chain, sources={left: ["l"], "test.orders": ["r"]})
    assert [record for record, _ in taken] == ["l", "r"]


def test_records_may_take_virtual_time() -> None:
    async def now_and_then(source: Orders) -> AsyncIterator[str]:
        for number in range(3):
            await asyncio.sleep(600)
            yield f"{source.topic}-{number}"

    taken: list[Any] = []
    report = run_scenario(taking(Orders(), taken), sources={"test.orders": now_and_then})
    assert [record for record, _ in taken] == ["orders-0", "orders-1", "orders-2"]
    assert report.campaign.duration_s == pytest.approx(1800, abs=1)


def test_many_records_come_in_batches() -> None:
    taken: list[Any] = []
    many = 2 * MOST_IN_BATCH + 7
    chain = scenario("many", minions=1).start().then(Orders()).iterate(many).on_each(taken.append)
    run_scenario(chain, sources={"test.orders": lambda source: range(many)})
    assert taken == list(range(many))


def test_a_source_breaks_where_its_records_say_so() -> None:
    taken: list[Any] = []
    records = [1, StepError("closed", "lost the broker")]
    report = run_scenario(taking(Orders(), taken), sources={"test.orders": records})
    assert [record for record, _ in taken] == [1]
    assert step_of(report, "take").executions.errors == {"closed": 2}


def test_a_fake_source_that_raises_breaks_the_test() -> None:
    def broken(source: Orders) -> Any:
        raise LookupError(source.topic)

    with pytest.raises(LookupError, match="orders"):
        run_scenario(taking(Orders(), []), sources={"test.orders": broken})
