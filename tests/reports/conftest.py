"""Reports as a campaign would leave them: an ordinary one, and the extremes."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from functools import cache
from types import UnionType
from typing import Any, Union, get_args, get_origin

import msgspec
import pytest
from hypothesis import strategies as st

from qalipsis.metrics.ledger import ArrivalBooks, Books, MinionBooks, RequestBooks
from qalipsis.reports.live import Live, LiveStep
from qalipsis.reports.model import (
    SCHEMA,
    Bytes,
    CampaignInfo,
    Executions,
    Expectation,
    FactoryReport,
    Latency,
    LatencyPair,
    Message,
    MeterReport,
    Report,
    ScenarioReport,
    Second,
    StepReport,
    Verdict,
    WorkerReport,
)

TRACEBACK = """Traceback (most recent call last):
  File "shop/checkout.py", line 41, in <lambda>
    .verify(lambda order: order.json()["total"] == order.headers["x-total"])
  File "shop/models.py", line 12, in total
    return sum(line.price for line in lines)
KeyError: '<script>alert("total")</script> & more'
"""
HOSTILE = '<script>alert(1)</script><img src=https://evil.example/x.png onerror="alert(2)">'


def latency(values: Sequence[float]) -> Latency:
    """The statistics of these milliseconds."""
    if not values:
        return Latency()
    ordered = sorted(values)

    def at(share: float) -> float:
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]

    return Latency(
        count=len(ordered),
        mean_ms=sum(ordered) / len(ordered),
        min_ms=ordered[0],
        p50_ms=at(0.5),
        p90_ms=at(0.9),
        p95_ms=at(0.95),
        p99_ms=at(0.99),
        p999_ms=at(0.999),
        max_ms=ordered[-1],
    )


def histogram(values: Sequence[float]) -> tuple[tuple[float, int], ...]:
    """Twenty log-spaced buckets an octave, empty ones left out."""
    buckets: dict[int, int] = {}
    for value in values:
        index = math.ceil(16 * math.log2(value))
        buckets[index] = buckets.get(index, 0) + 1
    return tuple((2 ** (index / 16), buckets[index]) for index in sorted(buckets))


def traffic_step(
    dice: random.Random, name: str, median: float, count: int, failed: int = 0, wait: float = 0.3, **more: Any
) -> StepReport:
    """An HTTP step around a median, of which some share of requests waited before it was sent."""
    sent = [dice.lognormvariate(math.log(median), 0.35) for _ in range(3000)]
    due = [each + (dice.expovariate(1 / (median * 4)) if dice.random() < wait else 0.05) for each in sent]
    scale = max(1, count // len(sent))

    def pair(values: Sequence[float]) -> Latency:
        return msgspec.structs.replace(latency(values), count=count)

    errors = {"verify": failed - failed // 3, "read-timeout": failed // 3} if failed else {}
    return StepReport(
        name=name,
        type="http",
        executions=Executions(
            attempted=count, successful=count - failed, failed=failed, errors=errors, retried=failed // 4
        ),
        latency=LatencyPair(from_due=pair(due), from_sent=pair(sent)),
        phases={
            "dns": latency([0.8, 1.1]),
            "connect": latency([0.2 + dice.random() for _ in range(200)]),
            "tls": latency([4 + 3 * dice.random() for _ in range(200)]),
            "send": latency([0.02 + 0.02 * dice.random() for _ in range(200)]),
            "wait": latency([each * 0.85 for each in sent]),
            "receive": latency([each * 0.15 for each in sent]),
        },
        bytes=Bytes(sent=count * 412, received=count * 18_300),
        statuses={"200": count - failed - count // 50, "302": count // 50, "503": failed},
        histogram=tuple((bound, number * scale) for bound, number in histogram(due)),
        failures={"read-timeout": failed // 3, "reset": 2} if failed else {},
        **more,
    )


def engine_step(name: str, kind: str, count: int, failed: int = 0, **more: Any) -> StepReport:
    """A step that only computes."""
    quick = latency([0.002 + 0.00001 * i for i in range(min(300, count))])
    pair = LatencyPair(from_due=quick, from_sent=quick)
    errors = {"AssertionError": failed} if failed else {}
    done = Executions(attempted=count, successful=count - failed, failed=failed, errors=errors)
    return StepReport(name=name, type=kind, executions=done, latency=pair, **more)


def seconds(
    dice: random.Random, length: int, peak: float = 420.0, freeze: tuple[int, int] = (0, 0)
) -> tuple[Second, ...]:
    """A ramp, a plateau and a run-out, with a frozen service in between."""
    points = []
    for t in range(length):
        ramp = min(1.0, (t + 1) / max(1, length * 0.25), (length - t) / max(1, length * 0.1))
        offered = peak * ramp
        frozen = freeze[0] <= t < freeze[1]
        late = 0 < freeze[1] <= t < freeze[1] + 4
        achieved = 0.0 if frozen else offered * (1.6 if late else dice.uniform(0.96, 1.0))
        p50 = 0.0 if frozen else (800.0 if late else 38 + 20 * ramp + dice.uniform(-3, 3))
        points.append(
            Second(
                t_s=float(t),
                offered_per_s=offered,
                achieved_per_s=achieved,
                errors_per_s=achieved * (0.05 if late else 0.002),
                minions=int(500 * ramp),
                p50_ms=p50,
                p95_ms=p50 * dice.uniform(2.2, 2.6),
                p99_ms=p50 * dice.uniform(3.2, 4.8),
            )
        )
    return tuple(points)


def books(minions: int, requests: int, lost: int = 0, failed: int = 0, dropped: int = 0) -> Books:
    """An account that closes."""
    walked = MinionBooks(
        scheduled=minions, started=minions, completed=minions - lost - failed, failed=failed, lost=lost
    )
    passes = MinionBooks(
        scheduled=minions * 8,
        started=minions * 8,
        completed=minions * 8 - lost - failed,
        failed=failed,
        lost=lost,
    )
    return Books(
        minions=walked,
        passes=passes,
        requests=RequestBooks(attempted=requests, ok=requests - 40 - lost, error=40, unknown=lost),
        arrivals=ArrivalBooks(planned=minions * 8 + dropped, started=minions * 8, dropped=dropped),
    )


def ordinary(status: str = "FAILED", verdict: str = "DEGRADED", length: int = 120) -> Report:
    """Two scenarios on one factory of three workers, one of which was killed; one expectation is violated."""
    dice = random.Random(7)
    checkout = ScenarioReport(
        name="checkout",
        status="FAILED",
        profile="stages(20 % over 30 s, 80 % over 1 min)",
        zones={"fr": 300, "de": 100},
        ledger=books(400, 38_400, lost=3, failed=12),
        steps=(
            engine_step("_returns-1", "returns", 9_600),
            traffic_step(dice, "home", 22, 9_600),
            traffic_step(dice, "search", 64, 9_588),
            traffic_step(dice, "basket", 41, 9_580, failed=31, tolerated_share=0.01),
            traffic_step(dice, "place-order", 180, 9_549, failed=97, first_error=TRACEBACK),
            engine_step(
                "order-is-created", "verify", 9_452, failed=42, first_error="AssertionError: 503 != 201"
            ),
        ),
        meters=(
            MeterReport(
                name="basket-value",
                type="summary",
                values={"count": 9580, "mean": 48.21, "max": 912.4, "p50": 41.0, "p95": 133.7, "p99": 402.11},
                expectations=(
                    Expectation(text="mean of basket-value is greater than 40", satisfied=True, actual=48.21),
                ),
            ),
            MeterReport(name="orders", type="counter", values={"count": 9410}),
        ),
        expectations=(
            Expectation(
                text="p95 of latency of place-order is less than 500 ms",
                satisfied=False,
                actual=1412.5,
                unit="ms",
            ),
            Expectation(text="failed_share of home is less than 0.01", satisfied=True, actual=0.0),
            Expectation(
                text="p99 of latency of search is less than 2 s", satisfied=True, actual=611.0, unit="ms"
            ),
        ),
        messages=(
            Message(severity="WARN", text="12 records of users.csv were not used"),
            Message(severity="INFO", text="connections were warmed up in 0.4 s", step="home"),
        ),
    )
    browse = ScenarioReport(
        name="browse",
        status="SUCCESSFUL",
        profile="arrival_rate(50/s over 1 min 40 s)",
        ledger=books(100, 9_900, dropped=14),
        steps=(
            engine_step("journey", "journey", 4_950),
            traffic_step(dice, "catalogue", 31, 4_950, wait=0.02),
            traffic_step(dice, "product-page", 12, 4_950, wait=0.02),
        ),
    )
    killed = "2026-03-14T09:27:41Z"
    return Report(
        campaign=CampaignInfo(
            key="c-20260314-092653-7f3a",
            name="Spring sale rehearsal",
            status=status,
            start="2026-03-14T09:26:53.589Z",
            end="2026-03-14T09:28:53.601Z",
            duration_s=120.012,
            seed=42,
        ),
        verdict=Verdict(
            value=verdict,
            reasons=()
            if verdict == "VALID"
            else (
                f"worker 2 of factory laptop was lost at {killed} (signal 9) with 3 minions and requests",
                "worker 1 of factory laptop used 98 % of its core for 7 s in a row (limit 95 %)",
            ),
        ),
        ledger=Books(
            minions=MinionBooks(scheduled=500, started=500, completed=485, failed=12, lost=3),
            passes=MinionBooks(scheduled=4000, started=4000, completed=3985, failed=12, lost=3),
            requests=RequestBooks(attempted=48_300, ok=48_217, error=80, unknown=3),
            arrivals=ArrivalBooks(planned=814, started=800, dropped=14),
        ),
        scenarios=(checkout, browse),
        timeline=seconds(dice, length, freeze=(70, 76)),
        factories=(
            FactoryReport(
                node="laptop",
                workers=3,
                state="DEGRADED",
                ledger=books(500, 48_300, lost=3, failed=12),
                cpu_max=0.98,
                loop_lag_p99_ms=7.41,
                start_delay_p99_ms=2.2,
                worker_details=(
                    WorkerReport(
                        index=0,
                        pid=4121,
                        state="ENDED",
                        cpu_max=0.71,
                        loop_lag_p99_ms=1.9,
                        start_delay_p99_ms=1.1,
                    ),
                    WorkerReport(
                        index=1,
                        pid=4122,
                        state="ENDED",
                        cpu_max=0.98,
                        loop_lag_p99_ms=7.41,
                        start_delay_p99_ms=2.2,
                    ),
                    WorkerReport(
                        index=2,
                        pid=4123,
                        state="LOST",
                        cpu_max=0.69,
                        loop_lag_p99_ms=2.0,
                        start_delay_p99_ms=1.2,
                        lost_at=killed,
                    ),
                ),
            ),
        ),
        environment={
            "qalipsis": "0.1.0",
            "python": "3.11.9",
            "cores": 4,
            "system": "Linux 6.1",
            "uvloop": True,
        },
    )


def successful() -> Report:
    """Everything went well."""
    report = ordinary("SUCCESSFUL", "VALID")
    dice = random.Random(11)
    scenario = ScenarioReport(
        name="browse",
        status="SUCCESSFUL",
        profile="immediate()",
        ledger=books(100, 9_900),
        steps=(traffic_step(dice, "catalogue", 31, 4_950), traffic_step(dice, "product-page", 12, 4_950)),
        expectations=(Expectation(text="p95 of catalogue is less than 1 s", satisfied=True, actual=88.0),),
    )
    return msgspec.structs.replace(
        report, scenarios=(scenario,), ledger=books(100, 9_900), timeline=seconds(dice, 60, peak=180)
    )


def empty() -> Report:
    """Nothing was started at all."""
    return Report(
        campaign=CampaignInfo(
            key="c-0",
            name="nothing",
            status="ABORTED",
            start="2026-03-14T09:26:53Z",
            end="2026-03-14T09:26:53Z",
            duration_s=0,
        ),
        verdict=Verdict(value="VALID"),
        ledger=Books(),
        scenarios=(
            ScenarioReport(
                name="idle", status="ABORTED", ledger=Books(), steps=(engine_step("a", "map", 0),)
            ),
        ),
        timeline=(),
        factories=(),
    )


def one_second() -> Report:
    """A run of a single second."""
    report = successful()
    return msgspec.structs.replace(
        report,
        campaign=msgspec.structs.replace(report.campaign, duration_s=0.84),
        timeline=(
            Second(
                t_s=0,
                offered_per_s=118,
                achieved_per_s=117,
                errors_per_s=0,
                minions=10,
                p50_ms=8.1,
                p95_ms=19.2,
                p99_ms=24.8,
            ),
        ),
    )


def hour() -> Report:
    """3,600 seconds."""
    report = successful()
    return msgspec.structs.replace(
        report,
        campaign=msgspec.structs.replace(report.campaign, duration_s=3600.2),
        timeline=seconds(random.Random(3), 3600, peak=8_000, freeze=(1800, 1820)),
    )


def crowded() -> Report:
    """A hundred steps with long names, in a scenario of many workers, and astronomic counts."""
    report = ordinary()
    dice = random.Random(5)
    steps = tuple(
        traffic_step(
            dice,
            f"step-{i:03}-with-a-very-long-name-that-goes-on-" + "and-on-" * (i % 9),
            5 + i * 3,
            10**6 * (i + 1),
        )
        for i in range(100)
    )
    worker = report.factories[0].worker_details[0]
    factory = msgspec.structs.replace(
        report.factories[0],
        workers=64,
        worker_details=tuple(msgspec.structs.replace(worker, index=i, pid=4000 + i) for i in range(64)),
    )
    return msgspec.structs.replace(
        report,
        scenarios=(msgspec.structs.replace(report.scenarios[0], steps=steps, ledger=books(10**9, 10**15)),),
        factories=(factory,) * 3,
    )


def hostile() -> Report:
    """Markup, escape sequences, other scripts and lone surrogates wherever text can stand."""
    bad = f"{HOSTILE} \x1b[31mred\x1b[0m \x00 [bold]rich[/bold] 日本語 \u202egnp \ud800 {{{{ 7*7 }}}}"
    report = ordinary()
    scenario = report.scenarios[0]
    step = msgspec.structs.replace(
        scenario.steps[4],
        name=bad,
        type=bad,
        first_error=bad * 3,
        statuses={bad: 3},
        failures={bad: 1},
        executions=Executions(attempted=9, successful=4, failed=5, errors={bad: 5}),
        phases={bad: Latency(count=1, max_ms=1)},
    )
    return msgspec.structs.replace(
        report,
        campaign=msgspec.structs.replace(report.campaign, name=bad, key=bad, start=bad, end=bad),
        verdict=Verdict(value="INVALID", reasons=(bad,)),
        scenarios=(
            ScenarioReport(
                name=bad,
                status="FAILED",
                profile=bad,
                ledger=scenario.ledger,
                zones={bad: 1},
                steps=(step,),
                meters=(MeterReport(name=bad, type=bad, values={bad: 1.0}),),
                expectations=(Expectation(text=bad, satisfied=False, actual=None),),
                messages=(Message(severity="ERROR", text=bad, step=bad),),
            ),
        ),
        factories=(msgspec.structs.replace(report.factories[0], node=bad, zone=bad, state=bad, lost_at=bad),),
        environment={bad: bad, "nested": {"a": [bad]}},
    )


def live(steps: int = 3, planned: float | None = 120.0, notices: tuple[str, ...] = ()) -> Live:
    """A campaign in its 36th second."""
    return Live(
        campaign="Spring sale rehearsal",
        state="RUNNING",
        elapsed_s=35.5,
        planned_s=planned,
        minions_scheduled=500,
        minions_started=210,
        minions_running=180,
        minions_ended=30,
        requests=12_345,
        requests_per_s=411.5,
        errors=3,
        steps=tuple(
            LiveStep(
                scenario="checkout",
                name=f"step-{i}",
                executed=1000 * i,
                failed=i % 2,
                rate_per_s=11.5 * i,
                p50_ms=0.42 * i,
                p95_ms=12.3 * i,
                p99_ms=1230.0 * i,
            )
            for i in range(steps)
        ),
        notices=notices,
    )


EVERY = {
    "ordinary": ordinary,
    "successful": successful,
    "empty": empty,
    "one_second": one_second,
    "hour": hour,
    "crowded": crowded,
    "hostile": hostile,
}


TEXT = st.text(st.characters(), max_size=12)
NUMBERS = st.floats(-1e15, 1e15) | st.sampled_from([0.0, 0.5, 1.0, 999.6, 3600.0])


def values_of(kind: Any, text: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    """Anything of this type of the model, whatever its meaning."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return st.one_of(*(values_of(each, text) for each in arguments))
    if origin is tuple and arguments[-1] is Ellipsis:
        return st.lists(values_of(arguments[0], text), max_size=2).map(tuple)
    if origin is tuple:
        return st.tuples(*(values_of(each, text) for each in arguments))
    if origin is dict:
        return st.dictionaries(text, values_of(arguments[1], text), max_size=2)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        fields = {field.name: values_of(field.type, text) for field in msgspec.structs.fields(kind)}
        if kind is Report:
            fields["schema"] = st.just(SCHEMA)
        return st.builds(kind, **fields)
    return {
        str: text | st.sampled_from(["FAILED", "ABORTED", "VALID", "INVALID", "__hidden", "ERROR"]),
        int: st.integers(-5, 2**53) | st.integers(0, 5),
        float: NUMBERS,
        bool: st.booleans(),
        type(None): st.none(),
        Any: st.none() | st.booleans() | NUMBERS | text | st.lists(text, max_size=2),
    }[kind]


@pytest.fixture(scope="session")
def reports() -> Callable[..., st.SearchStrategy[Report]]:
    """A strategy of reports that are well typed and otherwise senseless."""
    # Kept, for each one made anew is searched anew, and some searches would take minutes.
    return cache(lambda text=TEXT: values_of(Report, text))


@pytest.fixture(params=EVERY.values(), ids=EVERY.keys())
def any_report(request: pytest.FixtureRequest) -> Report:
    """Each of the samples in turn."""
    made: Report = request.param()
    return made


@pytest.fixture
def make_report() -> Callable[[str], Report]:
    """A sample by its name."""
    return lambda name: EVERY[name]()


@pytest.fixture
def make_live() -> Callable[..., Live]:
    """A live state with so many steps."""
    return live
