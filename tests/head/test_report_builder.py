"""The report: figures, books, status and verdict, from what workers counted."""

from typing import Any

import pytest
from msgspec.structs import replace

from qalipsis.head.assignment import Assignment, Member
from qalipsis.head.report_builder import Ending, build, iso
from qalipsis.head.tally import Tally
from qalipsis.metrics.expectations import Condition
from qalipsis.metrics.ledger import SLOTS, Slot
from qalipsis.metrics.meters import WorkerMeters
from qalipsis.metrics.snapshot import WorkerHealth
from qalipsis.plan.model import ExpectationDescriptor, ScenarioDescriptor, StepDescriptor
from qalipsis.reports.model import Message, Report

SHOP = ScenarioDescriptor(
    name="shop",
    minions=10,
    profile="immediate",
    steps=(StepDescriptor(name="order", type="http.request", tolerated_share=0.2),),
)


def row(**given: int) -> tuple[int, ...]:
    """The counters of one scenario, by the names of their slots."""
    counts = [0] * SLOTS
    for name, value in given.items():
        counts[Slot[name.upper()]] = value
    return tuple(counts)


def five(**more: int) -> tuple[int, ...]:
    """Five minions with one pass and one request each, all completed."""
    done = {f"{what}_{how}": 5 for what in ("minions", "passes") for how in ("started", "completed")} | {
        "requests_attempted": 5,
        "requests_ok": 5,
    }
    return row(**(done | more))


class Campaign:
    """Two workers of one factory that ran the shop; tests change what they like."""

    def __init__(self) -> None:
        self.tally = Tally()
        self.meters = [WorkerMeters(), WorkerMeters()]
        for worker in (0, 1):
            self.tally.add_worker(("node", worker), 100 + worker)
        self.ledgers = [five(), five()]
        self.health = WorkerHealth()
        self.seconds = 1

    def execute(self, worker: int, successful: int, failed: int = 0) -> None:
        step = self.meters[worker].step("shop", "order", "http.request")
        step.attempted += successful + failed
        step.successful += successful
        for _ in range(failed):
            step.fail("read-timeout", "no answer within 5 s")

    def report(self, scenario: ScenarioDescriptor = SHOP, **more: Any) -> Report:
        for second in range(1, self.seconds + 1):
            for worker, meters in enumerate(self.meters):
                frozen = replace(
                    meters.freeze(second, second + 0.001),
                    ledgers={"shop": self.ledgers[worker]},
                    health=self.health,
                )
                self.tally.add(("node", worker), frozen)
        ending = {
            "key": "20260101-000000-abc",
            "name": "nightly",
            "seed": 7,
            "speed_factor": 1.0,
            "started_at": 1_000_000_000.0,
            "ended_at": 1_000_000_002.5,
            "scenarios": (scenario,),
            "factories": (Member(node="node", workers=2, zone="eu"),),
            "assignment": Assignment({"shop": 10}, {"eu": 2}, {"node": 0}),
            "tally": self.tally,
            "timeline": self.tally.close_all_seconds(),
        }
        return build(Ending(**(ending | more)))


@pytest.fixture
def campaign() -> Campaign:
    campaign = Campaign()
    campaign.execute(0, 5)
    campaign.execute(1, 5)
    return campaign


def test_all_workers_are_summed(campaign: Campaign) -> None:
    report = campaign.report()
    assert (report.campaign.status, report.verdict.value) == ("SUCCESSFUL", "VALID")
    assert (report.campaign.start, report.campaign.duration_s) == ("2001-09-09T01:46:40.000Z", 2.5)
    assert report.ledger.minions.scheduled == report.ledger.minions.completed == 10
    assert report.ledger.requests.attempted == report.ledger.requests.ok == 10
    [step] = report.scenarios[0].steps
    assert (step.name, step.executions.successful, step.tolerated_share) == ("order", 10, 0.2)
    [factory] = report.factories
    assert (factory.node, factory.zone, factory.state) == ("node", "eu", "ENDED")
    assert [(worker.index, worker.pid) for worker in factory.worker_details] == [(0, 100), (1, 101)]
    assert factory.ledger == report.ledger
    [second] = report.timeline
    assert (second.offered_per_s, second.achieved_per_s) == (10.0, 10.0)


def test_failures_that_are_tolerated_are_a_warning(campaign: Campaign) -> None:
    campaign.execute(1, 6, failed=2)
    report = campaign.report()
    assert (report.campaign.status, report.scenarios[0].status) == ("WARNING", "WARNING")
    assert report.scenarios[0].steps[0].executions.errors == {"read-timeout": 2}
    assert report.scenarios[0].steps[0].first_error == "no answer within 5 s"


def test_failures_beyond_what_is_tolerated_fail_the_campaign(campaign: Campaign) -> None:
    campaign.execute(1, 0, failed=3)
    assert campaign.report().campaign.status == "FAILED"


def test_a_step_that_a_journey_made_up_tolerates_nothing(campaign: Campaign) -> None:
    campaign.meters[0].step("shop", "extra", "http.request").fail("verify", "no")
    campaign.meters[0].step("shop", "extra", "http.request").attempted += 1
    report = campaign.report()
    assert [step.name for step in report.scenarios[0].steps] == ["order", "extra"]
    assert report.campaign.status == "FAILED"


def test_failures_that_are_not_reported_are_no_more_than_a_warning(campaign: Campaign) -> None:
    campaign.execute(1, 0, failed=30)
    quiet = replace(SHOP, steps=(StepDescriptor(name="order", type="http.request", reported=False),))
    assert campaign.report(quiet).campaign.status == "WARNING"


def test_a_violated_condition_fails_the_campaign(campaign: Campaign) -> None:
    condition = Condition(statistic="count", operator="is_greater_than", bounds=(100.0,))
    expecting = replace(
        SHOP,
        expectations=(ExpectationDescriptor(step="order", measure="executions", condition=condition),),
    )
    report = campaign.report(expecting)
    assert report.campaign.status == "FAILED"
    [expectation] = report.scenarios[0].expectations
    assert (expectation.satisfied, expectation.actual) == (False, 10.0)


def test_an_abort_is_told_unless_something_failed(campaign: Campaign) -> None:
    message = Message(severity="ABORT", text="stopped softly by the user")
    report = campaign.report(is_aborted=True, messages=(message,))
    assert (report.campaign.status, report.scenarios[0].messages) == ("ABORTED", (message,))
    campaign.execute(1, 0, failed=30)
    assert campaign.report(is_aborted=True).campaign.status == "ABORTED"  # nothing new was reported


@pytest.mark.parametrize(("operator", "status"), [("is_greater_than", "ABORTED"), ("is_less_than", "FAILED")])
def test_an_aborted_campaign_is_not_blamed_for_what_it_had_no_time_to_reach(
    campaign: Campaign, operator: str, status: str
) -> None:
    condition = Condition(statistic="count", operator=operator, bounds=(10.0,))
    expecting = replace(
        SHOP,
        expectations=(ExpectationDescriptor(step="order", measure="executions", condition=condition),),
    )
    report = campaign.report(expecting, is_aborted=True)
    assert report.campaign.status == status
    assert not report.scenarios[0].expectations[0].satisfied


def test_minions_that_never_start_degrade_the_verdict(campaign: Campaign) -> None:
    campaign.ledgers[1] = row(minions_started=2, minions_completed=2)
    assert campaign.report(replace(SHOP, has_arrivals=True)).verdict.value == "VALID"
    assert campaign.report(is_aborted=True).verdict.value == "VALID"
    verdict = campaign.report().verdict
    assert verdict.value == "DEGRADED"
    assert verdict.reasons[0].startswith("3 of 10 minions of shop never started")


def test_a_lost_worker_degrades_the_verdict_and_its_books_close(campaign: Campaign) -> None:
    last = row(minions_started=4, minions_completed=1, requests_attempted=9, requests_ok=6, requests_error=1)
    campaign.tally.lose(("node", 1), "was killed by SIGKILL", 1_000_000_001.0, {"shop": last})
    report = campaign.report()
    assert report.verdict.value == "DEGRADED"
    assert report.verdict.reasons == ("worker 1 of node (process 101) was killed by SIGKILL",)
    minions, requests = report.ledger.minions, report.ledger.requests
    assert (minions.scheduled, minions.started, minions.lost, minions.unstarted) == (10, 9, 3, 1)
    assert (requests.attempted, requests.unknown) == (14, 2)
    assert report.campaign.status == "SUCCESSFUL"
    assert report.factories[0].state == "DEGRADED"
    assert report.factories[0].worker_details[1].lost_at == iso(1_000_000_001.0)


def test_a_campaign_whose_workers_all_died_has_failed(campaign: Campaign) -> None:
    for worker in (0, 1):
        campaign.tally.lose(("node", worker), "was killed by SIGKILL", 1e9, {"shop": row(minions_started=1)})
    report = campaign.report()
    assert (report.campaign.status, report.verdict.value) == ("FAILED", "DEGRADED")
    assert report.factories[0].state == "LOST"
    assert report.ledger.minions.lost == 2


def test_books_that_do_not_close_make_the_report_invalid(campaign: Campaign) -> None:
    campaign.ledgers[0] = five(requests_ok=4)
    report = campaign.report()
    assert report.verdict.value == "INVALID"
    assert "the books of shop at worker 0 of node do not close" in report.verdict.reasons[0]


def test_an_injector_that_was_the_bottleneck_degrades_the_verdict(campaign: Campaign) -> None:
    campaign.health = WorkerHealth(cpu=0.99)
    campaign.seconds = 5
    report = campaign.report()
    assert report.verdict.value == "DEGRADED"
    assert [reason[:16] for reason in report.verdict.reasons] == ["worker 0 of node", "worker 1 of node"]


def test_a_worker_that_could_not_even_report_degrades_the_verdict(campaign: Campaign) -> None:
    for silence in range(2, 8):
        campaign.tally.silent(("node", 0), float(silence))
    report = campaign.report()
    assert report.verdict.value == "DEGRADED"
    assert "7000 ms late" in report.verdict.reasons[0]


def test_a_campaign_that_never_started_has_a_report_too() -> None:
    campaign = Campaign()
    campaign.tally = Tally()
    report = campaign.report(is_aborted=True)
    assert (report.campaign.status, report.verdict.value) == ("ABORTED", "VALID")
    assert report.timeline == ()


@pytest.mark.parametrize(("dropped", "verdict"), [(1, "VALID"), (2, "DEGRADED")])
def test_a_load_that_lacks_many_arrivals_is_not_valid_however_short_it_was(
    campaign: Campaign, dropped: int, verdict: str
) -> None:
    started = 25 - dropped
    arrived = five(arrivals_planned=25, arrivals_started=started, arrivals_dropped=dropped)
    campaign.ledgers = [arrived, arrived]
    campaign.health = WorkerHealth(dropped=dropped)
    report = campaign.report(replace(SHOP, has_arrivals=True))
    assert report.verdict.value == verdict
    assert len(report.verdict.reasons) == (verdict == "DEGRADED")
