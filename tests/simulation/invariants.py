"""What must hold at every moment of a cluster's life, and at its end."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from qalipsis.head.campaign import TERMINAL, Phase
from qalipsis.head.memory_directory import MemoryDirectory
from qalipsis.head.memory_store import MemoryStore
from qalipsis.head.ownership import Claim, Commit
from qalipsis.reports.model import Report, ScenarioReport

FOLLOWING: dict[str, set[str]] = {
    Phase.SCHEDULED: {Phase.PREPARING},
    Phase.PREPARING: {Phase.ASSIGNING, Phase.FAILED, Phase.ABORTED},
    Phase.ASSIGNING: {Phase.WARMUP, Phase.PREPARING, Phase.FAILED, Phase.ABORTING},
    Phase.WARMUP: {Phase.RUNNING, Phase.PREPARING, Phase.FAILED, Phase.ABORTING},
    Phase.RUNNING: {Phase.DRAINING, Phase.ABORTING},
    Phase.DRAINING: {Phase.COMPLETED},
    Phase.ABORTING: {Phase.ABORTED},
}
"""What a campaign's phase may become."""


def may_become(before: str, after: str) -> bool:
    """Whether one commit may follow the other: phases between them may have passed uncommitted."""
    seen: set[str] = set()
    following = set(FOLLOWING.get(before, set()))
    while following - seen:
        seen |= following
        following = {late for each in following for late in FOLLOWING.get(each, set())}
    return after in seen


class WatchedStore(MemoryStore):
    """The store of the cluster, whose every change is looked at.

    `on_broken` is told what must not be; `on_change` of each change of a campaign's state.
    """

    def __init__(
        self, clock: object, on_broken: Callable[[str], None], on_change: Callable[[str, str], None]
    ) -> None:
        super().__init__(clock, keeps_meters=True)  # type: ignore[arg-type]
        self._on_broken = on_broken
        self._on_change = on_change
        self._highest: dict[str, int] = {}
        self._committed: dict[str, str] = {}

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(self._kept)

    def is_over(self, key: str) -> bool:
        return key not in self._kept or self._kept[key].record.state in TERMINAL

    async def claim(self, campaign: str, head: str, lease_seconds: float) -> Claim | None:
        claim = await super().claim(campaign, head, lease_seconds)
        if claim is not None:
            if claim.epoch <= self._highest.get(campaign, 0):
                self._on_broken(f"{campaign}: epoch {claim.epoch} follows {self._highest[campaign]}")
            self._highest[campaign] = claim.epoch
            self._on_change(campaign, f"claimed by {head} in epoch {claim.epoch}")
        return claim

    async def commit(self, claim: Claim, commit: Commit) -> Claim:
        before = self._kept[claim.campaign].record.state
        is_repeated = self._committed.get(claim.campaign) == commit.id
        reports = len(self.reports)
        committed = await super().commit(claim, commit)
        after = self._kept[claim.campaign].record.state
        self._committed[claim.campaign] = commit.id
        if claim.epoch != self._highest[claim.campaign]:
            self._on_broken(
                f"{claim.campaign}: {claim.head} committed {commit.state} in epoch {claim.epoch}, "
                f"but it is another head's in {self._highest[claim.campaign]}"
            )
        if after != before:
            self._on_change(claim.campaign, f"{before} -> {after} by {claim.head}")
            if not may_become(before, after):
                self._on_broken(f"{claim.campaign}: {before} became {after}")
        elif before in TERMINAL and not is_repeated:
            self._on_broken(f"{claim.campaign}: {claim.head} committed again after {before}")
        if commit.report is not None and len(self.reports) == reports and not is_repeated:
            self._on_broken(f"{claim.campaign}: {claim.head} wrote a second report")
        return committed


class KnowingDirectory(MemoryDirectory):
    """As the one in the database: a reservation for a campaign that is over counts for nothing."""

    def __init__(self, clock: object, store: WatchedStore) -> None:
        super().__init__(clock)  # type: ignore[arg-type]
        self._store = store

    async def factories(self):  # type: ignore[no-untyped-def]
        self._forget()
        return await super().factories()

    async def reserve(self, campaign, factories):  # type: ignore[no-untyped-def]
        self._forget()
        return await super().reserve(campaign, factories)

    def _forget(self) -> None:
        for known in self._known.values():
            known.campaigns[:] = [each for each in known.campaigns if not self._store.is_over(each)]


@dataclass
class Truth:
    """What the target of the load has received: the only book that no fault can falsify."""

    on_broken: Callable[[str], None]
    received: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Requests by campaign."""
    last_at: dict[str, float] = field(default_factory=dict)
    finished: dict[tuple[str, str], set[int]] = field(default_factory=lambda: defaultdict(set))
    """The minions of each scenario whose last request has come."""
    first_at: dict[str, dict[str, float]] = field(default_factory=dict)
    """By campaign and worker."""
    _holders: dict[tuple[str, str, int], list[str]] = field(default_factory=lambda: defaultdict(list))

    def receive(self, at: float, campaign: str, scenario: str, minion: int, worker: str) -> None:
        """A request of a minion, which lives in one worker at a time."""
        self.received[campaign] += 1
        self.last_at[campaign] = at
        self.first_at.setdefault(campaign, {}).setdefault(worker, at)
        holders = self._holders[campaign, scenario, minion]
        if not holders or holders[-1] != worker:
            if worker in holders:
                self.on_broken(
                    f"{campaign}: minion {minion} of {scenario} sends from {worker}, "
                    f"though {holders[-1]} has taken it over"
                )
            holders.append(worker)


def of_report(report: Report, target: Truth, *, has_lost_nothing: bool, is_redistributing: bool) -> list[str]:
    """What is wrong with a report, given the number of requests that were received in truth."""
    wrong = []
    ledger, key = report.ledger, report.campaign.key
    truth = target.received[key]
    if report.verdict.value == "INVALID":
        wrong.append(f"{key}: the books do not close: {report.verdict.reasons}")
    told, estimated = ledger.requests.attempted, estimate(report)
    is_silent = any("nothing was heard" in reason for reason in report.verdict.reasons)
    if not is_silent and told != truth:
        wrong.append(f"{key}: the report says {told} requests, the target received {truth}")
    if told - estimated > truth:
        wrong.append(f"{key}: {told} requests less {estimated} estimated are more than the {truth} received")
    is_complete = report.campaign.status in ("SUCCESSFUL", "WARNING") and not _is_short(report)
    if is_complete and is_redistributing:
        for scenario in report.scenarios:
            minions = scenario.ledger.minions
            # Who is lost after its last request has ended without a word of it.
            ended = max(minions.completed + minions.failed, len(target.finished[key, scenario.name]))
            if _comes_to_an_end(scenario) and ended < minions.scheduled:
                wrong.append(
                    f"{key}: of {minions.scheduled} minions of {scenario.name} only {ended} came to their end"
                )
    if has_lost_nothing and report.campaign.status in ("SUCCESSFUL", "WARNING"):
        if report.verdict.value != "VALID" and not ledger.arrivals.dropped:
            wrong.append(f"{key}: nothing was lost, but {report.verdict}")
        for scenario in report.scenarios:
            minions = scenario.ledger.minions
            if _comes_to_an_end(scenario) and minions.completed + minions.failed != minions.scheduled:
                wrong.append(f"{key}: nothing was lost, but the minions of {scenario.name} are {minions}")
    return wrong


def estimate(report: Report) -> int:
    """The requests that the report says it has estimated."""
    for scenario in report.scenarios:
        for message in scenario.messages:
            found = re.match(r"about ([\d,]+) requests of lost factories are an estimate", message.text)
            if found is not None:
                return int(found[1].replace(",", ""))
    return 0


def _comes_to_an_end(scenario: ScenarioReport) -> bool:
    """Whether every minion does, however late it begins: stages and arrivals are over at a certain time."""
    return scenario.profile.startswith(("immediate", "regular"))


def _is_short(report: Report) -> bool:
    """Whether minions were lost for good, and the report says so."""
    return any("were not started again" in reason for reason in report.verdict.reasons)
