"""A head without factories' processes: a real service and API around an orchestrator that obeys the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from typing import Any, cast

import httpx
import msgspec
from litestar import Litestar

from qalipsis.cluster.codec import Sender
from qalipsis.cluster.memory import MemoryTransport
from qalipsis.cluster.messages import PROTOCOL, Handshake
from qalipsis.cluster.publisher import Publisher
from qalipsis.config.settings import CampaignValidation, Cors, Server
from qalipsis.errors import FactoryError
from qalipsis.head.api.access import Gate
from qalipsis.head.api.app import make_app
from qalipsis.head.api_keys import ApiKey
from qalipsis.head.campaign import Phase
from qalipsis.head.campaign_list import moment
from qalipsis.head.orchestrator import CampaignRequest, Orchestrator
from qalipsis.head.reception import Reception, Sighting
from qalipsis.head.service import CampaignService
from qalipsis.head.store import MemoryStore, Store
from qalipsis.plan.model import ScenarioDescriptor, StepDescriptor
from qalipsis.reports.live import Live, LiveStep
from qalipsis.system_clock import SystemClock
from qalipsis.testing.store import sample_report

AT = 1_700_000_000.0
BASE = "http://127.0.0.1:8400"
LIVE = Live(
    campaign="c",
    state="RUNNING",
    elapsed_s=1.0,
    planned_s=None,
    minions_scheduled=10,
    minions_started=7,
    minions_running=6,
    minions_ended=1,
    requests=30,
    requests_per_s=3.0,
    errors=2,
    steps=(LiveStep(scenario="browse", name="home", executed=30, failed=2, rate_per_s=3.0),),
    notices=("look here",),
)


class FakeOrchestrator:
    """Runs until the test says `go`, or somebody stops it."""

    def __init__(self, desk: Desk, request: CampaignRequest, watch: Callable[[Live], None]) -> None:
        self.request = request
        self.stops: list[tuple[bool, str]] = []
        self.error: Exception | None = None
        self._desk, self._watch = desk, watch
        self._go = asyncio.Event()

    async def run(self) -> None:
        store, key = self._desk.store, self.request.key
        await store.save_state(key, Phase.RUNNING, AT)
        self._watch(LIVE)
        await self._go.wait()
        if self.error is not None:
            raise self.error
        report = sample_report(key)
        status = "ABORTED" if self.stops else "SUCCESSFUL"
        info = msgspec.structs.replace(report.campaign, name=self.request.name or "", status=status)
        await store.save_state(key, Phase.ABORTED if self.stops else Phase.COMPLETED, AT + 1)
        await store.save_report(msgspec.structs.replace(report, campaign=info))

    def stop(self, is_hard: bool, reason: str = "by the user") -> None:
        self.stops.append((is_hard, reason))
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
        self, needs_key: bool = False, origins: Collection[str] = (), store: Store | None = None
    ) -> None:
        self.store = MemoryStore() if store is None else store
        self.ring = Ring()
        self.runs: list[FakeOrchestrator] = []
        self.is_swift = False
        """Whether campaigns end at once."""
        transport = MemoryTransport()
        self.reception = Reception(transport, Publisher(transport, Sender("head", 1)), 1.0, None)
        self.service = CampaignService(
            self.store,
            self.reception,
            SystemClock(),
            CampaignRequest(key="", name=None, seed=1),
            self._conduct,
            head="head",
            is_alone=True,
        )
        gate = Gate(self.ring, needs_key, None if needs_key else "127.0.0.1", origins)
        server = Server(cors=Cors(origins=tuple(origins)))
        self.app: Litestar = make_app(self.service, gate, server, CampaignValidation())

    def welcome(self) -> None:
        """A factory has come, with two scenarios."""
        scenarios = (
            ScenarioDescriptor(
                name="browse", minions=10, profile="immediate", steps=(StepDescriptor(name="home", type="x"),)
            ),
            ScenarioDescriptor(name="stages", minions=4, profile="stages", fixed_minions=True),
        )
        self.reception.factories["node"] = Handshake(
            node="node", protocol=PROTOCOL, version="1", workers=2, scenarios=scenarios
        )
        clock = SystemClock()
        now = moment(clock.epoch(clock.now()))
        self.reception.seen["node"] = Sighting(now, now)

    async def run_of(self, number: int) -> FakeOrchestrator:
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

    def _conduct(self, request: CampaignRequest, watch: Callable[[Live], None]) -> Orchestrator:
        self.runs.append(FakeOrchestrator(self, request, watch))
        if self.is_swift:
            self.runs[-1].go()
        return cast("Orchestrator", self.runs[-1])


@asynccontextmanager
async def open_client(desk: Desk, **headers: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client, while the service works."""
    working = asyncio.create_task(desk.service.serve())
    transport = httpx.ASGITransport(desk.app, raise_app_exceptions=False)
    try:
        async with httpx.AsyncClient(transport=transport, base_url=BASE, headers=headers) as client:
            yield client
    finally:
        working.cancel()
        await asyncio.wait([working])


def configuration(**changes: Any) -> dict[str, Any]:
    return {"name": "a campaign", "scenarios": {"browse": {"minionsCount": 10}}} | changes


NO_FACTORY = FactoryError("no factory could do it")
