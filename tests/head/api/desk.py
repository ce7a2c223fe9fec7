"""A head without factories' processes: a real service and API around an orchestrator that obeys the test."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Coroutine
from contextlib import asynccontextmanager, suppress
from datetime import datetime
from functools import cached_property, partial
from typing import Any

import httpx
import msgspec
from litestar import Litestar

from qalipsis.clock import Clock
from qalipsis.cluster.memory import MemoryTransport
from qalipsis.cluster.messages import PROTOCOL, Handshake
from qalipsis.config.settings import CampaignValidation, Cors, Server
from qalipsis.errors import FactoryError
from qalipsis.head.api.access import Gate
from qalipsis.head.api.app import make_app
from qalipsis.head.api_keys import ApiKey
from qalipsis.head.campaign import Phase
from qalipsis.head.campaign_list import moment
from qalipsis.head.campaign_request import CampaignRequest
from qalipsis.head.data_desk import DataDesk
from qalipsis.head.memory_directory import MemoryDirectory
from qalipsis.head.office import Office
from qalipsis.head.report_store import MemoryReports
from qalipsis.head.roster import Roster
from qalipsis.head.scheduler import utc_now
from qalipsis.head.series_store import MemorySeries
from qalipsis.head.service import CampaignService
from qalipsis.head.store import MemoryStore, Store
from qalipsis.head.tenure import Tenure
from qalipsis.plan.model import ScenarioDescriptor, StepDescriptor
from qalipsis.reports.live import Live, LiveStep
from qalipsis.reports.model import Report
from qalipsis.system_clock import SystemClock
from qalipsis.testing.store import sample_report
from qalipsis.testing.virtual_clock import VirtualClock

AT = 1_700_000_000.0
BASE = "http://127.0.0.1:8400"
LIVE = Live(
    campaign="c",
    state="RUNNING",
    elapsed_s=1.0,
    planned_s=None,
    minions_scheduled=10,
    minions_started=7,
    minions_running=5,
    minions_ended=2,
    minions_completed=1,
    requests=30,
    requests_per_s=3.0,
    errors=2,
    steps=(LiveStep(scenario="browse", name="home", executed=30, failed=2, rate_per_s=3.0),),
    notices=("look here",),
)


class FakeDriver:
    """Runs until the test says `go`, or somebody stops it."""

    def __init__(
        self, office: Office, tenure: Tenure, request: CampaignRequest, watch: Callable[[Live], None]
    ) -> None:
        self.request = request
        self.stops: list[tuple[bool, str]] = []
        self.error: Exception | None = None
        self._office, self._tenure, self._watch = office, tenure, watch
        self._aborter: str | None = None
        self._go = asyncio.Event()

    async def run(self, found: bytes | None = None) -> Report:
        await self._tenure.commit(Phase.RUNNING, AT)
        self._watch(LIVE)
        await self._go.wait()
        if self.error is not None:
            raise self.error
        report = sample_report(self.request.key)
        status = "ABORTED" if self.stops else "SUCCESSFUL"
        info = msgspec.structs.replace(report.campaign, name=self.request.name or "", status=status)
        report = msgspec.structs.replace(report, campaign=info)
        state = Phase.ABORTED if self.stops else Phase.COMPLETED
        await self._tenure.commit(state, AT + 1, report=report, aborter=self._aborter)
        await self._office.directory.release(self.request.key)
        return report

    def stop(self, is_hard: bool, reason: str = "by the user", aborter: str | None = None) -> None:
        self.stops.append((is_hard, reason))
        self._aborter = aborter
        self._go.set()

    def go(self, error: Exception | None = None) -> None:
        self.error = error
        self._go.set()


class Ring:
    """Keys of the test, by reference."""

    def __init__(self) -> None:
        self.keys: dict[str, ApiKey] = {}

    async def find(self, reference: str) -> ApiKey | None:
        return self.keys.get(reference)


class Desk:
    """The head, and a client of its API."""

    def __init__(
        self,
        needs_key: bool = False,
        origins: Collection[str] = (),
        *,
        clock: Clock | None = None,
        store: Store | None = None,
        head: str = "head",
        is_alone: bool = True,
    ) -> None:
        """With a clock of its own, it is also the one on the wall."""
        self.store = store or MemoryStore(clock)
        self.ring = Ring()
        self.runs: list[FakeDriver] = []
        self.is_swift = False
        """Whether campaigns end at once."""
        now = utc_now if clock is None else partial(_moment_of, clock)
        clock = clock or SystemClock()
        # No time passes there by itself: the factory was heard just now, however long the test takes.
        self.silence = VirtualClock(0.0, epoch_offset=time.time())
        directory = MemoryDirectory(self.silence)
        self.office = Office(
            head=head,
            transport=MemoryTransport(),
            store=self.store,
            directory=directory,
            roster=Roster(directory),
            clock=clock,
            heartbeat_s=1.0,
            lease_s=None,
            claim_lease_s=3.0,
        )
        self.service = CampaignService(
            self.office,
            CampaignRequest(key="", name=None, seed=1),
            self._conduct,
            is_alone=is_alone,
            now=now,
        )
        self._gate = Gate(self.ring, needs_key, None if needs_key else "127.0.0.1", origins)
        self._server = Server(cors=Cors(origins=tuple(origins)))
        self.reports = MemoryReports()
        self.data = DataDesk(self.store, MemorySeries(), self.reports)

    @cached_property
    def app(self) -> Litestar:
        """Made when it is needed, for it takes a while."""
        return make_app(self.service, self._gate, self._server, CampaignValidation(), self.data)

    def welcome(self, node: str = "node", minions: int = 10) -> None:
        """A factory has come, with two scenarios."""
        scenarios = (
            ScenarioDescriptor(
                name="browse",
                minions=minions,
                profile="immediate",
                steps=(StepDescriptor(name="home", type="x"),),
            ),
            ScenarioDescriptor(name="stages", minions=4, profile="stages", fixed_minions=True),
        )
        handshake = Handshake(node=node, protocol=PROTOCOL, version="1", workers=2, scenarios=scenarios)
        _at_once(self.office.directory.register(handshake, 1))
        _at_once(self.office.roster.refresh())

    async def pass_by(self, seconds: float) -> None:
        """Nothing is heard of any factory for so long."""
        self.silence.advance(seconds)
        await self.office.roster.refresh()

    def see_off(self) -> None:
        """The factory has left."""
        _at_once(self.office.directory.leave("node", 1))
        _at_once(self.office.roster.refresh())

    async def run_of(self, number: int) -> FakeDriver:
        """The campaign that was started as this one; waits for it."""
        async with asyncio.timeout(5):
            while True:
                if len(self.runs) > number:
                    return self.runs[number]
                await asyncio.sleep(0.005)

    async def until(self, client: httpx.AsyncClient, key: str, status: str) -> dict[str, Any]:
        """The details, once the campaign has this status."""
        async with asyncio.timeout(5):
            while True:
                details: dict[str, Any] = (await client.get(f"/api/campaigns/{key}")).json()[0]
                if details["status"] == status:
                    return details
                await asyncio.sleep(0.005)

    def _conduct(self, tenure: Tenure, request: CampaignRequest, watch: Callable[[Live], None]) -> FakeDriver:
        self.runs.append(FakeDriver(self.office, tenure, request, watch))
        if self.is_swift:
            self.runs[-1].go()
        return self.runs[-1]


def _at_once(call: Coroutine[Any, Any, None]) -> None:
    """Nothing of this waits, so no loop is needed."""
    with suppress(StopIteration):
        call.send(None)


def _moment_of(clock: Clock) -> datetime:
    return moment(clock.epoch(clock.now()))


@asynccontextmanager
async def open_client(desk: Desk, **headers: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client, while the service works."""
    working = asyncio.create_task(desk.service.serve())
    transport = httpx.ASGITransport(desk.app, raise_app_exceptions=False)
    try:
        async with httpx.AsyncClient(transport=transport, base_url=BASE, headers=headers) as client:
            yield client
    finally:
        await desk.data.aclose()
        working.cancel()
        await asyncio.wait([working])


def configuration(**changes: Any) -> dict[str, Any]:
    return {"name": "a campaign", "scenarios": {"browse": {"minionsCount": 10}}} | changes


NO_FACTORY = FactoryError("no factory could do it")
