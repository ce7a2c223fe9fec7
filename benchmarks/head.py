"""(j) What a head costs while 20 factories with two workers each report 20 steps, once a second.

Redis and PostgreSQL are real, and so is everything of the head but its REST API: the merge, the commit of
each second with its checkpoint, the answers to heartbeats. The factories are played, on the other core.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median, quantiles
from typing import Any
from uuid import uuid4

from benchmarks.cores import INJECTOR, SERVER
from benchmarks.figure import Figure, at_most
from benchmarks.fleet import folder_with_services
from benchmarks.isolated import isolated
from benchmarks.rest import core_wait_seconds
from qalipsis.cli.loop import run_on_a_loop
from qalipsis.cluster.accompanied import accompanied
from qalipsis.config.loader import load
from qalipsis.config.settings import Settings
from qalipsis.head import checkpoint
from qalipsis.head.campaign_list import NewCampaign
from qalipsis.head.campaign_request import CampaignRequest
from qalipsis.head.database.database import open_database
from qalipsis.head.database.directory import DatabaseDirectory
from qalipsis.head.database.store import DatabaseStore
from qalipsis.head.orchestrator import Orchestrator
from qalipsis.head.ownership import Claim, Commit
from qalipsis.head.reception import Reception
from qalipsis.head.tally import Tally
from qalipsis.head.tenure import Tenure
from qalipsis.reports.live import Live
from qalipsis.system_clock import SystemClock
from qalipsis.wiring import open_transport
from qalipsis.wiring.offices import make_office

FACTORIES = 20
WORKERS = 2
SECONDS = 60
WARM = 3
"""Seconds that are not counted."""

LOOK_SECONDS = 0.002
"""How often the loop is asked for a sign of life."""

STALL_BOUND_MS = 50.0


def measure(is_quick: bool) -> list[Figure]:
    with folder_with_services(SERVER) as folder:
        told = drive(folder, FACTORIES, WORKERS, 10 if is_quick else SECONDS, INJECTOR, SERVER)
    return [
        at_most(
            "longest stretch of CPU that held up the head's loop", told["stall_ms"], "ms", STALL_BOUND_MS
        ),
        Figure("p99 of the loop's lag", told["lag_p99_ms"], "ms"),
        Figure("its longest lag", told["lag_max_ms"], "ms"),
        Figure("CPU of the head in a second", told["cpu_share"], "%"),
        Figure("commit of a second, p50", told["commit_p50_ms"], "ms"),
        Figure("commit of a second, p99", told["commit_p99_ms"], "ms"),
        Figure("CPU of freezing a checkpoint", told["freeze_ms"], "ms"),
        Figure("a checkpoint", told["checkpoint_kb"], "kB"),
        at_most("figures of the last checkpoint that differ", told["differences"], "", 0),
        Figure("share of the time that the head waited for a core", told["waited_share"], "%"),
    ]


def drive(
    folder: Path,
    factories: int,
    workers: int,
    seconds: int,
    core: int | None = None,
    other_core: int | None = None,
) -> dict[str, float]:
    """One campaign: the head in one process, the factories in another."""
    asked: dict[str, Any] = {
        "folder": str(folder),
        "factories": factories,
        "workers": workers,
        "seconds": seconds,
    }
    with ThreadPoolExecutor() as pool:
        head = pool.submit(isolated, "benchmarks.head:driving", core, **asked)
        fleet = pool.submit(isolated, "benchmarks.played_factory:playing", other_core, **asked)
        told: dict[str, float] = head.result()
        told["wanted"] = fleet.result()["requests"]
    return told


def driving(folder: str, factories: int, workers: int, seconds: int) -> dict[str, float]:
    gc.collect()
    gc.freeze()  # as a head does once its API listens
    return run_on_a_loop(_drive(load(Path(folder)).settings, factories, workers, seconds))


@dataclass(slots=True)
class Book:
    """What was measured; `is_counting` while minions run."""

    is_counting: bool = False
    commits: list[float] = field(default_factory=list)
    freezes: list[float] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    lags: list[float] = field(default_factory=list)
    stretches: list[float] = field(default_factory=list)
    last: bytes = b""
    cpu: float = 0.0
    wall: float = 0.0
    waited: float = 0.0


class MeasuredStore(DatabaseStore):
    """Knows the last checkpoint."""

    book: Book

    async def commit(self, claim: Claim, step: Commit) -> Claim:
        if step.checkpoint is not None:
            self.book.last = step.checkpoint
            if self.book.is_counting:
                self.book.sizes.append(len(step.checkpoint))
        return await super().commit(claim, step)


class MeasuredOrchestrator(Orchestrator):
    """Takes the time of what happens each second."""

    book: Book

    async def _commit(self, is_full: bool = False) -> None:
        began = time.perf_counter()
        await super()._commit(is_full)
        if self.book.is_counting:
            self.book.commits.append(time.perf_counter() - began)

    def _freeze(self) -> bytes:
        began = time.thread_time()
        frozen = super()._freeze()
        if self.book.is_counting:
            self.book.freezes.append(time.thread_time() - began)
        return frozen

    @property
    def tally(self) -> Tally:
        return self._progress.tally


async def _drive(settings: Settings, factories: int, workers: int, seconds: int) -> dict[str, float]:
    clock, book = SystemClock(), Book()
    async with open_database(settings.datasource) as database:
        transport, directory = await open_transport(settings), DatabaseDirectory(database)
        store = MeasuredStore(database)
        store.book = book
        office = make_office(
            settings,
            transport,
            store,
            directory,
            clock,
            head="head",
            lease_s=settings.head.lease,
            claim_lease_s=settings.head.claim_lease,
        )
        request = CampaignRequest(
            key=uuid4().hex, name="head", seed=1, required_factories=factories, factories_timeout=120.0
        )
        await store.create_campaign(NewCampaign(key=request.key, name="head"))
        claim = await store.claim(request.key, office.head, office.claim_lease_s)
        assert claim is not None
        orchestrator = MeasuredOrchestrator(
            office, Tenure(store, transport, claim), request, _counter(book, seconds)
        )
        orchestrator.book = book
        try:
            report = await accompanied(
                orchestrator.run(), Reception(office, 1).serve(), _feel_the_pulse(book)
            )
        finally:
            await transport.aclose()
    return {
        "requests": report.ledger.requests.attempted,
        "executions": sum(each.executions.attempted for each in report.scenarios[0].steps),
        "is_valid": report.verdict.value == "VALID",
        "stall_ms": 1e3 * max(book.stretches),
        "lag_p99_ms": 1e3 * quantiles(book.lags, n=100)[98],
        "lag_max_ms": 1e3 * max(book.lags),
        "cpu_share": 100 * book.cpu / book.wall,
        "waited_share": 100 * book.waited / book.wall,
        "commit_p50_ms": 1e3 * median(book.commits),
        "commit_p99_ms": 1e3 * quantiles(book.commits, n=100, method="inclusive")[98],
        "commits": len(book.commits),
        "freeze_ms": 1e3 * median(book.freezes),
        "checkpoint_kb": median(book.sizes) / 1e3,
        "differences": len(differences(checkpoint.thaw(book.last), orchestrator.tally)),
    }


def _counter(book: Book, seconds: int) -> Callable[[Live], None]:
    """Counts from the first warm second to the last one that is reported."""

    def watch(live: Live) -> None:
        is_counting = live.state == "RUNNING" and WARM <= live.elapsed_s < seconds + 1
        if is_counting == book.is_counting:
            return
        book.is_counting = is_counting
        sign = -1 if is_counting else 1
        book.cpu += sign * time.process_time()
        book.wall += sign * time.perf_counter()
        book.waited += sign * core_wait_seconds("self")

    return watch


async def _feel_the_pulse(book: Book) -> None:
    """How late the loop is, and how much CPU lies between two signs of its life."""
    while True:
        wall, cpu = time.perf_counter(), time.thread_time()
        await asyncio.sleep(LOOK_SECONDS)
        if book.is_counting:
            book.lags.append(max(0.0, time.perf_counter() - wall - LOOK_SECONDS))
            book.stretches.append(time.thread_time() - cpu)


def differences(found: checkpoint.Checkpoint, live: Tally) -> list[str]:
    """What another head would see otherwise, had it gone on from this checkpoint."""
    thawed = Tally.thaw(found.progress.tally)
    seen: list[tuple[str, Any, Any]] = [
        ("what was merged", thawed.aggregate.freeze(), live.aggregate.freeze()),
        ("last second", thawed.aggregate.open_seconds(), live.aggregate.open_seconds()),
    ]
    seen += [
        (
            f"{each.scenario}: {each.name}",
            _figures(each),
            _figures(thawed.aggregate.step(each.scenario, each.name)),
        )
        for each in live.aggregate.steps()
    ]
    return [name for name, one, other in seen if one != other]


def _figures(step: Any) -> dict[str, Any]:
    names = ("attempted", "successful", "failed", "errors", "statuses", "bytes_sent", "bytes_received")
    own = {name: getattr(step, name) for name in names}
    histograms = {"due": step.from_due, "sent": step.from_sent, **step.phases}
    return own | {
        name: (each.count, each.latency(), each.distribution()) for name, each in histograms.items()
    }
