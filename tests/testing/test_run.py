"""Scenarios in plain tests: the same report as a campaign's, on virtual time and on the machine's."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from qalipsis import journey, profile, prop, scenario, step
from qalipsis.errors import ConfigurationError, ScenarioErrors, ServiceUnavailable
from qalipsis.plugins import http
from qalipsis.reports.model import Report, StepReport
from qalipsis.testing import (
    FakeRequest,
    FakeResponse,
    NoNetwork,
    VirtualLoop,
    fake_http,
    fake_reset,
    fake_response,
    fake_silence,
    run_scenario,
    run_scenario_async,
)

shop = http.client("https://shop.example/api")


def step_of(report: Report, name: str) -> StepReport:
    return next(step for each in report.scenarios for step in each.steps if step.name == name)


def assert_closed(report: Report) -> None:
    minions, requests = report.ledger.minions, report.ledger.requests
    assert report.verdict.value == "VALID", report.verdict
    assert minions.started == minions.completed + minions.failed + minions.aborted + minions.lost
    assert requests.attempted == requests.ok + requests.error + requests.unknown


def visit(minions: int = 10) -> Any:
    return (
        scenario("visit", minions=minions, profile=profile.regular("100ms", 1))
        .start()
        .then(shop.get("/basket"))
        .named("basket")
        .verify(lambda basket: basket.status == 200)
        .named("is-ok")
    )


def test_the_latency_of_a_fake_is_exactly_what_it_says() -> None:
    report = run_scenario(visit(100), target=fake_response(after="50ms"))
    assert_closed(report)
    assert report.campaign.status == "SUCCESSFUL"
    assert report.ledger.requests.ok == 100
    basket = step_of(report, "basket")
    assert basket.statuses == {"200": 100}
    for latency in (basket.latency.from_sent, basket.latency.from_due):
        assert latency.count == 100
        assert latency.p50_ms == pytest.approx(50, rel=0.01)
    assert basket.latency.from_sent.min_ms == pytest.approx(50)
    assert basket.latency.from_sent.max_ms == pytest.approx(50)
    # A minion starts in the millisecond of its plan, as in every campaign.
    assert basket.latency.from_due.max_ms <= 51.001


def test_an_hour_long_ramp_is_over_in_moments() -> None:
    hour = profile.stages(profile.stage(100, ramp_up="40m", total="60m"))
    ramp = (
        scenario("ramp", minions=200, profile=hour)
        .start()
        .then(shop.get("/basket"))
        .named("basket")
        .delay("60s")
    )
    began = time.process_time()
    report = run_scenario(ramp, target=fake_response(json={"items": []}, after="20ms"))
    assert time.process_time() - began < 20  # two or three, on a machine that does nothing else
    assert_closed(report)
    assert 3600 <= report.campaign.duration_s < 3661
    assert report.ledger.minions.completed == 200
    assert len(report.timeline) >= 3600
    assert report.timeline[600].minions < report.timeline[1800].minions < report.timeline[2500].minions == 200


def test_a_frozen_service_shows_in_latency_from_due_and_not_from_sent() -> None:
    """The pool is a single connection: arrivals queue behind the request that hangs."""
    narrow = http.client("http://shop.example", connections="pool", pool_size=1)

    def freeze(request: FakeRequest) -> FakeResponse:
        return fake_response(after=20 - request.at if 10 <= request.at < 20 else 0.01)

    arriving = (
        scenario("arriving", minions=400, profile=profile.arrival_rate(10, over="60s"))
        .start()
        .then(narrow.get("/"))
        .named("get")
    )
    report = run_scenario(arriving, target=freeze)
    assert_closed(report)
    assert report.ledger.arrivals.dropped == 0
    latency = step_of(report, "get").latency
    assert latency.from_due.p90_ms > 1000
    assert latency.from_sent.p90_ms < 20
    assert latency.from_sent.max_ms == pytest.approx(10_000, rel=0.02)


def test_the_seed_decides_what_is_random() -> None:
    def walk(seed: int) -> list[float]:
        drawn: list[float] = []
        chance = (
            scenario("chance", minions=5)
            .start()
            .returns(0)
            .on_each(lambda context, value: drawn.append(context.minion.random.random()))
        )
        assert run_scenario(chance, seed=seed).campaign.seed == seed
        return drawn

    assert walk(1) == walk(1) != walk(2)


def test_a_virtual_report_is_the_same_whenever_it_is_made() -> None:
    first, second = (run_scenario(visit(), target=fake_response(after=0.03)) for _ in range(2))
    assert first.scenarios == second.scenarios
    assert first.timeline == second.timeline
    assert first.campaign.start == second.campaign.start == "2000-01-01T00:00:00.500Z"
    assert first.environment["clock"] == "virtual"


def test_minions_and_profile_of_the_scenario_are_replaced() -> None:
    report = run_scenario(visit(1000), minions=3, profile=profile.regular("10s", 1), target=fake_response())
    assert report.ledger.minions.completed == 3
    assert report.campaign.duration_s == pytest.approx(20, abs=0.01)
    assert "10 s" in report.scenarios[0].profile


def test_conditions_and_meters_are_judged_as_in_a_campaign() -> None:
    judged = visit(20).expect(step("basket").latency.percentile(95).is_less_than("40ms"))
    fast = run_scenario(judged, target=fake_response(after="30ms"))
    slow = run_scenario(judged, target=fake_response(after="60ms"))
    assert [each.satisfied for each in fast.scenarios[0].expectations] == [True]
    assert [each.satisfied for each in slow.scenarios[0].expectations] == [False]
    assert (fast.campaign.status, slow.campaign.status) == ("SUCCESSFUL", "FAILED")


def test_coroutines_take_virtual_time() -> None:
    stamps: list[float] = []

    @journey("slow", minions=3)
    async def slow(minion: Any) -> None:
        await asyncio.sleep(600)
        await minion.pause("10m")
        response = await minion.do(shop.get("/basket"), name="basket")
        stamps.append(response.done)

    report = run_scenario(slow, target=fake_response(after="2s"))
    assert_closed(report)
    assert report.campaign.duration_s == pytest.approx(1202, abs=0.01)
    assert step_of(report, "basket").latency.from_sent.p50_ms == pytest.approx(2000, rel=0.01)
    # 2000-01-01, and the half second between the order to start and the first minion.
    assert stamps[0] == pytest.approx(946_684_800.5 + 1202, abs=0.01)


def test_threads_take_no_virtual_time() -> None:
    async def work(context: Any) -> None:
        await asyncio.to_thread(time.sleep, 0.1)

    report = run_scenario(scenario("threaded").start().execute(work))
    assert report.campaign.status == "SUCCESSFUL"
    assert report.campaign.duration_s < 0.01


def test_properties_fill_the_placeholders() -> None:
    asked: list[str] = []
    client = http.client(prop("shop.url", type=str))
    sized = (
        scenario("sized", minions=prop("visitors", default=1, type=int)).start().then(client.get("/basket"))
    )

    def note(request: FakeRequest) -> FakeResponse:
        asked.append(request.url)
        return fake_response()

    properties = {"shop.url": "https://elsewhere.example", "visitors": "2"}
    run_scenario(sized, target=note, properties=properties)
    assert asked == ["https://elsewhere.example/basket"] * 2
    with pytest.raises(ConfigurationError, match=r"unknown property shop\.uri\n.*did you mean shop\.url"):
        run_scenario(sized, target=note, properties=properties | {"shop.uri": "…"})
    with pytest.raises(ScenarioErrors, match=r"the property 'shop\.url' is not configured"):
        run_scenario(sized, target=note)


def test_a_journey_keeps_one_client_with_placeholders() -> None:
    client = http.client(prop("shop.url", type=str))

    @journey("twice")
    async def twice(minion: Any) -> None:
        await minion.do(client.get("/one"))
        await minion.do(client.get("/two"))

    asked: list[str] = []

    def note(request: FakeRequest) -> FakeResponse:
        asked.append(f"{request.url} {request.headers.get('cookie', '')}")
        return fake_response(headers={"Set-Cookie": "basket=7"})

    run_scenario(twice, target=note, properties={"shop.url": "http://one.example"})
    assert asked == ["http://one.example/one ", "http://one.example/two basket=7"]


def test_mistakes_of_the_scenario_are_raised() -> None:
    with pytest.raises(ScenarioErrors, match="is no name for a"):
        run_scenario(scenario("Not A Name").start().returns(1))
    with pytest.raises(ScenarioErrors, match=r"test_run\.py:\d+: the scenario 'bare' is never started"):
        run_scenario(scenario("bare"))  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="takes a scenario or a journey"):
        run_scenario(42)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match='should be "virtual" or "real"'):
        run_scenario(visit(), clock="fast")  # type: ignore[arg-type]


def test_a_scenario_that_does_not_end_is_told_with_how_far_it_came() -> None:
    stuck = scenario("stuck", minions=3, profile=profile.regular("1m", 1)).start().returns(1).delay("48h")
    with pytest.raises(TimeoutError, match="within 2 min of virtual time: 2 minions still walk, 0 of 3"):
        run_scenario(stuck, timeout="2m")


def test_without_a_fake_the_network_is_refused_and_what_to_give_is_told() -> None:
    with pytest.raises(NoNetwork, match=r"http\.request needs a network.* give target="):
        run_scenario(visit())

    @journey("late", minions=2)
    async def late(minion: Any) -> None:
        await minion.pause("1m")
        await minion.do(shop.get("/"))

    with pytest.raises(NoNetwork, match=r"http\.request needs a network"):
        run_scenario(late)


def test_a_network_used_by_user_code_is_refused() -> None:
    async def call(context: Any) -> None:
        with contextlib.suppress(Exception):
            await asyncio.open_connection("127.0.0.1", 9)

    with pytest.raises(NoNetwork, match=r"a connection to 127\.0\.0\.1:9"):
        run_scenario(scenario("calling").start().execute(call).delay("10s"))


async def test_the_virtual_clock_runs_beside_a_running_loop() -> None:
    report = await run_scenario_async(visit(), target=fake_response(after="1s"))
    assert_closed(report)
    assert step_of(report, "basket").latency.from_sent.p50_ms == pytest.approx(1000, rel=0.01)


async def test_a_cancelled_run_is_interrupted() -> None:
    started = threading.Event()

    def note(value: Any) -> None:
        started.set()

    endless = (
        scenario("endless", profile=profile.stages(profile.stage(100, ramp_up="1s", total="10000h")))
        .start()
        .returns(1)
        .on_each(note)
        .delay("1s")
    )
    running = asyncio.ensure_future(run_scenario_async(endless, timeout="20000h"))
    await asyncio.to_thread(started.wait, 10)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(running, 10)


async def test_in_a_running_loop_the_plain_function_names_the_other() -> None:
    with pytest.raises(RuntimeError, match="await run_scenario_async"):
        run_scenario(visit(), target=fake_response())


def test_on_a_virtual_loop_it_runs_at_once() -> None:
    async def both() -> tuple[float, Report]:
        before = asyncio.get_running_loop().time()
        report = await run_scenario_async(visit(), target=fake_response(after="1s"))
        return asyncio.get_running_loop().time() - before, report

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        took, report = runner.run(both())
        with pytest.raises(RuntimeError, match='leave clock="real" out'):
            runner.run(run_scenario_async(visit(), target=fake_response(), clock="real"))
    assert took > 1.9
    assert_closed(report)


async def test_the_real_clock_reaches_a_service_on_the_running_loop() -> None:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readuntil(b"\r\n\r\n"):
            asked.append(head)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            break
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        local = http.client(f"http://127.0.0.1:{port}", connections="on-demand")
        real = (
            scenario("real", minions=3, profile=profile.regular("20ms", 1))
            .start()
            .then(local.get("/"))
            .named("get")
        )
        report = await run_scenario_async(real, clock="real")
    assert report.ledger.requests.ok == 3
    assert report.environment["clock"] == "real"
    assert len([head for head in asked if head.startswith(b"GET / ")]) == 3


def test_the_real_clock_takes_real_time_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    began = time.monotonic()
    report = run_scenario(visit(5), target=fake_response(after="50ms"), clock="real")
    assert time.monotonic() - began > 0.45
    assert report.ledger.requests.ok == 5
    assert step_of(report, "basket").latency.from_sent.min_ms >= 50
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_a_service_that_is_down_is_told_on_the_real_clock() -> None:
    closed = http.client("http://127.0.0.1:9")
    with pytest.raises(ServiceUnavailable, match=r"127\.0\.0\.1:9"):
        run_scenario(scenario("down").start().then(closed.get("/")), clock="real")


def test_nothing_is_left_behind() -> None:
    before = threading.active_count()
    run_scenario(visit(), target=fake_response())
    assert threading.active_count() == before
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()


def test_failures_of_the_service_are_counted_under_their_class() -> None:
    def ill(request: FakeRequest) -> FakeResponse:
        return {0: fake_reset(after="1s"), 1: fake_silence()}.get(request.number, fake_response(after="1ms"))

    report = run_scenario(visit(5), target=ill)
    assert_closed(report)
    basket = step_of(report, "basket")
    assert basket.failures == {"reset": 1, "timeout": 1}
    assert (report.ledger.requests.ok, report.ledger.requests.error) == (3, 2)
    assert report.campaign.status == "FAILED"
    assert report.campaign.duration_s == pytest.approx(30.1, abs=0.1)


def test_what_a_fake_raises_is_raised_by_the_run() -> None:
    def broken(request: FakeRequest) -> FakeResponse:
        raise LookupError("nothing here")

    with pytest.raises(LookupError, match="nothing here"):
        run_scenario(visit(1000), target=broken)
    with pytest.raises(TypeError, match=r"a fake answers with fake_response"):
        run_scenario(visit(), target=lambda request: 200)  # type: ignore[arg-type, return-value]


def test_one_fake_counts_over_all_its_runs() -> None:
    fake = fake_http(fake_response())
    run_scenario(visit(3), target=fake)
    run_scenario(visit(4), target=fake)
    assert fake.requests == 7
