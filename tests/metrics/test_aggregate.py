import math
from dataclasses import dataclass, field

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qalipsis.metrics.aggregate import MOST_OPEN_SECONDS, CampaignAggregate
from qalipsis.metrics.meters import WorkerMeters
from qalipsis.metrics.snapshot import Snapshot, StepSnapshot


@dataclass
class Worker:
    """A worker that answers as told and sends a snapshot a second."""

    name: str
    steps: tuple[str, ...] = ("home", "basket")
    meters: WorkerMeters = field(default_factory=WorkerMeters)
    sequence: int = 0

    def __post_init__(self) -> None:
        for step in self.steps:
            self.meters.step("shop", step, "http.request")

    def respond(self, step: str, *latencies: float) -> None:
        meters = self.meters.step("shop", step, "http.request")
        for latency in latencies:
            meters.attempted += 1
            meters.successful += 1
            self.meters.records.add(meters.index, 200, 0.0, 0.0, 0.0, latency, latency, 10, 20)

    def fail(self, step: str, kind: str) -> None:
        meters = self.meters.step("shop", step, "http.request")
        meters.attempted += 1
        meters.fail(kind, f"{kind} at {self.name}")

    def second(self) -> Snapshot:
        self.sequence += 1
        return self.meters.freeze(self.sequence, self.sequence + 0.002)


def exact(values: list[float], rank: float) -> float:
    return sorted(values)[max(math.ceil(rank / 100 * len(values)), 1) - 1]


def close_all(aggregate: CampaignAggregate) -> None:
    for t in aggregate.open_seconds():
        aggregate.close_second(t)


traffic = st.lists(  # seconds of (worker, step, latency)
    st.lists(
        st.tuples(st.integers(0, 2), st.sampled_from(["home", "basket"]), st.floats(1e-5, 100.0)), max_size=12
    ),
    max_size=5,
)


@given(traffic, st.booleans())
def test_the_fleet_is_the_sum_of_its_workers(
    seconds: list[list[tuple[int, str, float]]], is_closing: bool
) -> None:
    # Workers may know the same steps under other numbers.
    workers = [Worker("a"), Worker("b", ("basket", "home")), Worker("c", ())]
    aggregate = CampaignAggregate()
    everything: dict[str, list[float]] = {"home": [], "basket": []}
    for responses in seconds:
        for number, step, latency in responses:
            workers[number].respond(step, latency)
            everything[step].append(latency)
        for worker in workers:
            assert aggregate.add(worker.name, worker.second())
        if is_closing:
            close_all(aggregate)
    for step, latencies in everything.items():
        total = aggregate.step("shop", step)
        assert total.attempted == total.from_due.count == total.from_sent.count == len(latencies)
        assert total.statuses.get(200, 0) == len(latencies)
        assert total.bytes_received == 20 * len(latencies)
        if latencies:
            assert (total.from_due.min, total.from_due.max) == (min(latencies), max(latencies))
            for rank in (50, 95, 99):
                assert total.from_due.percentile(rank) == pytest.approx(exact(latencies, rank), rel=0.004)


@given(traffic, st.randoms())
def test_repeated_and_old_snapshots_change_nothing(
    seconds: list[list[tuple[int, str, float]]], random: object
) -> None:
    workers = [Worker("a"), Worker("b"), Worker("c")]
    once, again = CampaignAggregate(), CampaignAggregate()
    sent: list[tuple[str, Snapshot]] = []
    for responses in seconds:
        for number, step, latency in responses:
            workers[number].respond(step, latency)
        for worker in workers:
            snapshot = worker.second()
            assert once.add(worker.name, snapshot)
            assert again.add(worker.name, snapshot)
            sent.append((worker.name, snapshot))
            assert not again.add(*random.choice(sent))  # type: ignore[attr-defined]
    for step in ("home", "basket"):
        one, other = once.step("shop", step), again.step("shop", step)
        assert one.attempted == other.attempted
        assert one.from_due.latency() == other.from_due.latency()
    assert once.open_seconds() == again.open_seconds()
    for t in once.open_seconds():
        assert once.close_second(t) == again.close_second(t)


def test_a_broken_snapshot_changes_nothing() -> None:
    aggregate, worker = CampaignAggregate(), Worker("a")
    worker.respond("basket", 0.1)
    good = worker.second()
    broken = (
        msgspec.structs.replace(good, latencies=good.latencies[:-1]),
        msgspec.structs.replace(good, timings=b"noise"),
        msgspec.structs.replace(good, steps=good.steps[:1]),
        # The head of four numbers, the blocks of the only plane, the first key, and the second one.
        msgspec.structs.replace(good, timings=good.timings[:24] + good.timings[20:24] + good.timings[28:]),
    )
    for snapshot in broken:
        with pytest.raises(ValueError):
            aggregate.add("a", snapshot)
    assert aggregate.sources == ()
    assert aggregate.add("a", good)
    assert aggregate.step("shop", "basket").from_due.count == 1


def test_a_step_nobody_reported_is_all_zero() -> None:
    step = CampaignAggregate().step("shop", "home")
    assert (step.attempted, step.from_due.count, step.phases) == (0, 0, {})
    assert CampaignAggregate().meter("shop", "mine", "counter").value == 0.0


def test_the_first_error_of_the_fleet_is_kept() -> None:
    aggregate, a, b = CampaignAggregate(), Worker("a"), Worker("b")
    a.fail("home", "reset")
    aggregate.add("a", a.second())
    b.fail("home", "dns")
    aggregate.add("b", b.second())
    aggregate.add("a", a.second())
    step = aggregate.step("shop", "home")
    assert step.first_error == "reset at a"
    assert step.errors == {"dns": 1, "reset": 1}


def test_a_second_holds_what_all_workers_did_in_it() -> None:
    aggregate, a, b = CampaignAggregate(), Worker("a"), Worker("b")
    a.respond("home", 0.1)
    b.respond("home", 0.3)
    b.fail("basket", "reset")
    # b is late: a's next second comes before b's first.
    aggregate.add("a", a.second())
    a.respond("home", 9.0, 9.0)
    aggregate.add("a", a.second())
    assert aggregate.ready_seconds(2.1, {"a", "b"}) == ()
    aggregate.add("b", b.second())
    assert aggregate.ready_seconds(2.1, {"a", "b"}) == (0,)
    second = aggregate.close_second(0)
    assert aggregate.last_second is second
    assert (second.t, second.achieved, second.errors) == (0, 2, 1)
    assert second.p50_ms == pytest.approx(100)
    assert second.p99_ms == pytest.approx(300)
    assert second.steps["shop", "home"].executed == 2
    assert second.steps["shop", "basket"].failed == 1
    assert aggregate.close_second(1).achieved == 2


def test_a_second_is_not_kept_open_for_a_silent_or_unknown_worker_for_ever() -> None:
    aggregate, a = CampaignAggregate(), Worker("a")
    aggregate.add("a", a.second())
    assert aggregate.ready_seconds(4.0, {"a", "silent"}) == ()
    assert aggregate.ready_seconds(4.1, {"a", "silent"}) == (0,)
    assert aggregate.ready_seconds(1.1, {"a"}) == (0,)
    assert aggregate.ready_seconds(1.1, ()) == (0,)


def test_what_comes_after_its_second_was_closed_is_in_the_totals() -> None:
    aggregate, a, b = CampaignAggregate(), Worker("a"), Worker("b")
    aggregate.add("a", a.second())
    aggregate.close_second(0)
    b.respond("home", 0.1)
    assert aggregate.add("b", b.second())
    assert aggregate.late == 1
    assert aggregate.open_seconds() == ()
    assert aggregate.step("shop", "home").from_due.count == 1


def test_seconds_nobody_closes_do_not_pile_up() -> None:
    aggregate, worker = CampaignAggregate(), Worker("a")
    for _ in range(MOST_OPEN_SECONDS + 40):
        worker.respond("home", 0.1)
        aggregate.add("a", worker.second())
    assert len(aggregate.open_seconds()) == MOST_OPEN_SECONDS
    assert aggregate.step("shop", "home").from_due.count == MOST_OPEN_SECONDS + 40


def test_who_is_later_than_all_open_seconds_is_in_the_totals() -> None:
    aggregate, late, worker = CampaignAggregate(), Worker("late"), Worker("a")
    late.respond("home", 0.1)
    first = late.second()
    worker.second()
    for _ in range(MOST_OPEN_SECONDS):
        worker.respond("home", 0.1)
        aggregate.add("a", worker.second())
    assert 0 not in aggregate.open_seconds()
    aggregate.add("late", first)
    assert aggregate.late == 1
    assert aggregate.step("shop", "home").from_due.count == MOST_OPEN_SECONDS + 1


def test_meters_of_all_workers_are_merged() -> None:
    aggregate, workers = CampaignAggregate(), (Worker("a"), Worker("b"))
    for second in range(1, 3):
        for factor, worker in enumerate(workers, start=1):
            worker.meters.meter("shop", "sold", "throughput").record(10 * factor * second)
            worker.meters.meter("shop", "queue", "gauge").record(factor * second)
            worker.meters.meter("shop", "delay", "timer").record(0.1 * factor)
            aggregate.add(worker.name, worker.second())
        close_all(aggregate)
    sold, queue, delay = aggregate.meters()
    assert (sold.value, sold.current) == (90.0, 60.0)
    assert (sold.statistic("max"), sold.statistic("mean")) == (60.0, 45.0)
    assert queue.value == 2.0 + 4.0
    assert (delay.distribution.count, delay.statistic("max")) == (4, 0.2)


def test_ledgers_are_the_latest_of_every_worker() -> None:
    aggregate = CampaignAggregate()
    for source, sequence, row in (("a", 1, (1, 0)), ("b", 1, (5, 5)), ("a", 2, (3, 2)), ("a", 1, (9, 9))):
        aggregate.add(source, Snapshot(sequence=sequence, elapsed_s=sequence, ledgers={"shop": row}))
    assert aggregate.ledger("shop") == (8, 7)
    assert aggregate.ledger_of("a", "shop") == (3, 2)
    assert aggregate.ledger("unknown") == aggregate.ledger_of("c", "shop") == ()


def test_a_step_that_appears_later_is_counted_from_then_on() -> None:
    aggregate = CampaignAggregate()
    first = StepSnapshot(scenario="shop", name="browse", type="journey", successful=1)
    inner = StepSnapshot(scenario="shop", name="home", type="http.request", successful=4, failed=1)
    aggregate.add("a", Snapshot(sequence=1, elapsed_s=1.0, steps=(first,)))
    aggregate.add("a", Snapshot(sequence=2, elapsed_s=2.0, steps=(first, inner)))
    assert [step.name for step in aggregate.steps()] == ["browse", "home"]
    assert aggregate.step("shop", "home").executed == 5
    aggregate.close_second(0)
    assert aggregate.close_second(1).steps["shop", "home"].executed == 5
