from datetime import timedelta

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qalipsis.metrics.histogram import Histogram
from qalipsis.metrics.meters import (
    LONGEST_ERROR,
    METER_TYPES,
    MOST_CLASSES,
    OTHER_CLASS,
    SMALL_BATCH,
    StepMeters,
    UserMeter,
    WorkerMeters,
)
from qalipsis.metrics.snapshot import Snapshot


def respond(meters: WorkerMeters, step: StepMeters, *, status: int = 200, service: float = 0.1) -> None:
    """A response: due at 10 s, sent 1 ms later, written in 2 ms, received in 4 ms."""
    done = 10.001 + service
    meters.records.add(step.index, status, 10.0, 10.001, 10.003, done - 0.004, done, 100, 2_000)


def test_a_step_is_the_same_object_whenever_it_is_asked_for() -> None:
    meters = WorkerMeters()
    home = meters.step("shop", "home", "http.request")
    assert meters.step("shop", "home", "http.request") is home
    assert meters.step("shop", "basket", "http.request").index == 1
    assert meters.step("stock", "home", "http.request").index == 2
    assert meters.meter("shop", "delay", "timer") is meters.meter("shop", "delay", "timer")


@pytest.mark.parametrize("count", [1, SMALL_BATCH, SMALL_BATCH + 1, 500])
def test_a_drained_response_is_counted_in_every_distribution(count: int) -> None:
    meters = WorkerMeters()
    meters.step("shop", "unused", "map")
    home = meters.step("shop", "home", "http.request")
    for _ in range(count):
        respond(meters, home)
    meters.drain()
    assert home.from_due.count == home.from_sent.count == count
    assert home.from_due.max == pytest.approx(0.101)
    assert home.from_sent.max == pytest.approx(0.1)
    assert set(home.phases) == {"send", "wait", "receive"}
    assert home.phases["send"].max == pytest.approx(0.002)
    assert home.phases["wait"].max == pytest.approx(0.094)
    assert home.phases["receive"].max == pytest.approx(0.004)
    assert home.statuses == {200: count}
    assert (home.bytes_sent, home.bytes_received) == (100 * count, 2_000 * count)


@given(st.lists(st.tuples(st.integers(0, 4), st.sampled_from([0, 200, 404, 999])), max_size=120))
def test_large_batches_count_as_small_ones(responses: list[tuple[int, int]]) -> None:
    at_once, one_by_one = WorkerMeters(), WorkerMeters()
    for meters, is_eager in ((at_once, False), (one_by_one, True)):
        steps = [meters.step("shop", f"step-{index}", "http.request") for index in range(5)]
        for place, (index, status) in enumerate(responses):
            respond(meters, steps[index], status=status, service=0.05 + place / 1000)
            if is_eager:
                meters.drain()
    batch, single = at_once.freeze(1, 1.0), one_by_one.freeze(1, 1.0)
    assert batch.steps == single.steps
    for packed, expected in ((batch.latencies, single.latencies), (batch.timings, single.timings)):
        # Sums of floats depend on their order, and the order of histograms on which came first.
        assert len(packed) == len(expected)


def test_what_is_not_http_has_no_phases_and_no_status() -> None:
    for count in (1, SMALL_BATCH + 1):
        meters = WorkerMeters()
        step = meters.step("shop", "work", "execute")
        for _ in range(count):
            meters.records.add(step.index, 0, 1.0, 2.0, 2.0, 3.0, 4.0, 0, 0)
        meters.drain()
        assert (step.from_due.max, step.from_sent.max) == (3.0, 2.0)
        assert step.phases == {}
        assert step.statuses == {}


def test_rare_phases_and_redirects_are_counted_apart() -> None:
    step = WorkerMeters().step("shop", "home", "http.request")
    step.phase("dns", 0.001)
    step.phase("connect", 0.002)
    step.phase("tls", 0.003)
    step.hop(302, 80, 300)
    step.bytes(20, 0)
    step.failure("reset")
    step.failure("reset")
    assert {name: histogram.max for name, histogram in step.phases.items()} == {
        "dns": 0.001,
        "connect": 0.002,
        "tls": 0.003,
    }
    assert step.statuses == {302: 1}
    assert (step.bytes_sent, step.bytes_received) == (100, 300)
    assert step.failures == {"reset": 2}


def test_failures_are_counted_by_class_and_the_first_detail_is_kept() -> None:
    step = WorkerMeters().step("shop", "home", "http.request")
    step.fail("read-timeout", "x" * 50_000)
    step.fail("read-timeout", "second")
    step.fail("reset", "third")
    assert step.failed == 3
    assert step.errors == {"read-timeout": 2, "reset": 1}
    assert step.first_error == "x" * LONGEST_ERROR


def test_a_freeze_has_the_totals_and_only_the_last_second() -> None:
    meters = WorkerMeters()
    home = meters.step("shop", "home", "http.request")
    respond(meters, home)
    home.attempted += 1
    home.fail("verify", "trace")
    first = meters.freeze(1, 1.0)
    home.attempted += 1
    second = meters.freeze(2, 2.0)
    assert (first.sequence, second.sequence, second.elapsed_s) == (1, 2, 2.0)
    assert (first.steps[0].attempted, second.steps[0].attempted) == (1, 2)
    assert Histogram.decode(first.latencies).count == 1
    assert Histogram.decode(second.latencies).count == 0
    assert (first.steps[0].first_error, second.steps[0].first_error) == ("trace", "")


def test_a_snapshot_does_not_change_after_it_was_frozen() -> None:
    meters = WorkerMeters()
    home = meters.step("shop", "home", "http.request")
    home.fail("reset")
    frozen = meters.freeze(1, 1.0)
    home.fail("reset")
    assert frozen.steps[0].errors == {"reset": 1}


def test_a_snapshot_survives_the_wire() -> None:
    meters = WorkerMeters()
    home = meters.step("shop", "home", "http.request")
    respond(meters, home)
    home.fail("reset", "trace")
    for type in METER_TYPES:
        meters.meter("shop", f"my-{type}", type).record((1, 2) if type == "rate" else 3)
    snapshot = msgspec.structs.replace(meters.freeze(7, 7.002), ledgers={"shop": (1, 2, 3)})
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(snapshot), type=Snapshot) == snapshot


def test_a_second_of_a_large_campaign_is_small_on_the_wire() -> None:
    random = np.random.default_rng(5)
    meters = WorkerMeters()
    for index in range(20):
        step = meters.step("shop", f"step-{index}", "http.request")
        for service in random.lognormal(-4, 0.5, 1000):
            respond(meters, step, service=0.007 + service)
    assert len(msgspec.msgpack.encode(meters.freeze(1, 1.0))) < 82 * 1024


def test_a_counter_adds_and_a_gauge_keeps_the_last_value() -> None:
    counter, gauge = UserMeter("shop", "items", "counter"), UserMeter("shop", "queue", "gauge")
    for value in (2, 3.5):
        counter.record(value)
        gauge.record(value)
    assert (counter.freeze().value, counter.freeze().count) == (5.5, 2)
    assert gauge.freeze().value == 3.5


def test_a_rate_takes_pairs_and_truth_values() -> None:
    rate = UserMeter("shop", "hits", "rate")
    rate.record((3, 10))
    rate.record(True)
    rate.record(False)
    frozen = rate.freeze()
    assert (frozen.value, frozen.total) == (4.0, 12.0)


def test_a_throughput_starts_every_second_from_nothing() -> None:
    throughput = UserMeter("shop", "sold", "throughput")
    throughput.record(3)
    throughput.record(4)
    assert throughput.freeze().second == 7.0
    frozen = throughput.freeze()
    assert (frozen.second, frozen.value) == (0.0, 7.0)


def test_a_timer_reads_every_form_of_duration() -> None:
    timer = UserMeter("shop", "delay", "timer")
    for value in (0.25, timedelta(milliseconds=250), "250ms"):
        timer.record(value)
    histogram = Histogram.decode(timer.freeze().histogram)
    assert (histogram.count, histogram.min, histogram.max) == (3, 0.25, 0.25)


def test_a_summary_takes_zero_and_negative_values() -> None:
    summary = UserMeter("shop", "balance", "summary")
    for value in (-40, 0, 2.5):
        summary.record(value)
    histogram = Histogram.decode(summary.freeze().histogram)
    assert (histogram.count, histogram.min, histogram.max, histogram.sum) == (3, -40.0, 2.5, -37.5)
    assert Histogram.decode(summary.freeze().histogram).count == 0


@pytest.mark.parametrize("type", METER_TYPES)
@pytest.mark.parametrize("value", [None, "soon", float("nan"), (1, 2, 3), float("inf")])
def test_what_cannot_be_recorded_is_refused_and_not_counted(type: str, value: object) -> None:
    meter = UserMeter("shop", "mine", type)
    with pytest.raises(ValueError):
        meter.record(value)
    assert meter.freeze().count == 0


def test_an_unknown_kind_of_meter_is_refused() -> None:
    with pytest.raises(ValueError, match="counter, gauge, rate"):
        UserMeter("shop", "mine", "histogram")


def test_whatever_user_code_calls_its_errors_can_be_sent() -> None:
    meters = WorkerMeters()
    step = meters.step("shop", "half \udc80", "map")
    step.fail("Half\udc80", "ValueError: half of a pair \udc80")
    frozen = msgspec.msgpack.decode(msgspec.msgpack.encode(meters.freeze(1, 1.0)), type=Snapshot)
    assert [(each.name, each.errors, each.first_error) for each in frozen.steps] == [
        ("half ?", {"Half?": 1}, "ValueError: half of a pair ?")
    ]


def test_classes_of_errors_made_up_for_each_failure_take_no_memory() -> None:
    step = WorkerMeters().step("shop", "mine", "map")
    for number in range(MOST_CLASSES + 50):
        step.fail(f"Error{number}")
    assert (len(step.errors), step.errors[OTHER_CLASS], step.failed) == (
        MOST_CLASSES + 1,
        50,
        MOST_CLASSES + 50,
    )
