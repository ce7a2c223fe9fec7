"""Builds concrete objects from the settings; nothing else names a transport or a store."""

from __future__ import annotations

import os
import platform
import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from qalipsis.clock import Clock
from qalipsis.cluster.accompanied import accompanied
from qalipsis.cluster.codec import Sender
from qalipsis.cluster.memory import MemoryTransport
from qalipsis.cluster.publisher import Publisher
from qalipsis.cluster.transport import Transport
from qalipsis.config.settings import Settings
from qalipsis.factory.kit import Kit
from qalipsis.factory.session import Identity, Session
from qalipsis.factory.supervisor import MakeBody
from qalipsis.factory.worker_process import WorkerProcess
from qalipsis.factory.worker_task import WorkerTask
from qalipsis.head.api_keys import KeyRing
from qalipsis.head.data_desk import DataDesk
from qalipsis.head.limits import Limits
from qalipsis.head.orchestrator import CampaignRequest, Orchestrator
from qalipsis.head.reception import Reception
from qalipsis.head.service import CampaignService
from qalipsis.head.store import MemoryStore
from qalipsis.reports.live import Live
from qalipsis.reports.model import Report
from qalipsis.system_clock import SystemClock


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """A campaign on this machine: what to run, and everything the configuration says about it.

    `check_keys` is called with the configuration keys that the scenarios read, before anything starts; it
    raises when the configuration holds others that nobody knows. `environment` is added to what the report
    says of where the campaign ran.
    """

    paths: tuple[Path | str, ...]
    settings: Settings
    patterns: tuple[str, ...] = ()
    properties: Mapping[str, Any] = field(default_factory=dict)
    check_keys: Callable[[Collection[str]], None] = lambda keys: None
    environment: Mapping[str, Any] = field(default_factory=dict)


class Run:
    """A prepared campaign: its scenarios are loaded, nothing has started yet."""

    def __init__(
        self, session: Session, reception: Reception, orchestrator: Orchestrator, timeout_seconds: float
    ) -> None:
        self._session = session
        self._reception = reception
        self._orchestrator = orchestrator
        self._timeout_seconds = timeout_seconds

    async def wait(self) -> Report:
        """Run the campaign to its end; raises CampaignRefused or ServiceUnavailable when it cannot start."""
        return await accompanied(
            self._orchestrator.run(), self._reception.serve(), self._session.serve(self._timeout_seconds)
        )

    def stop(self, hard: bool) -> None:
        """Softly: running passes end; hard: everything is interrupted. May be called again, at any time."""
        self._orchestrator.stop(hard)


@asynccontextmanager
async def open_run(
    request: RunRequest, watch: Callable[[Live], None], kit: Kit | None = None
) -> AsyncIterator[Run]:
    """Start the workers and load the scenarios; leaves no process behind.

    Raises ScenarioErrors with every mistake of the scenarios, and ConfigurationError. `watch` is called each
    second while the campaign runs. With a `kit`, the only worker is a task of this process and works with it.
    """
    settings = request.settings
    clock = SystemClock() if kit is None else kit.make_clock(None)
    incarnation = time.time_ns() // 1_000_000
    transport, store = MemoryTransport(), MemoryStore(keeps_meters=False)
    workers = _workers(settings.factory.workers) if kit is None else 0
    session = _session(settings, transport, clock, incarnation, workers, kit)
    try:
        await _load(session, request)
        publisher = Publisher(transport, Sender("head", incarnation))
        # No lease: the workers die with this process, so nothing else has to stop them.
        reception = Reception(transport, publisher, settings.head.heartbeat_delay, lease_seconds=None)
        campaign = _campaign(request, workers)
        orchestrator = Orchestrator(transport, publisher, reception, store, clock, campaign, watch)
        yield Run(session, reception, orchestrator, settings.factory.handshake.timeout)
    finally:
        await session.aclose()
        await transport.aclose()
        await store.aclose()


class Standalone:
    """A head and a factory in this process: campaigns are started through the service."""

    def __init__(
        self,
        session: Session,
        reception: Reception,
        service: CampaignService,
        keys: KeyRing,
        desk: DataDesk,
        timeout_seconds: float,
    ) -> None:
        self.service = service
        self.keys = keys
        self.desk = desk
        self._session = session
        self._reception = reception
        self._timeout_seconds = timeout_seconds

    async def serve(self) -> None:
        """Run the campaigns that are started, until the service is closed."""
        await accompanied(
            self.service.serve(), self._reception.serve(), self._session.serve(self._timeout_seconds)
        )


@asynccontextmanager
async def open_standalone(request: RunRequest) -> AsyncIterator[Standalone]:
    """Start the workers, load the scenarios, open the store; leaves no process behind.

    Raises what `open_run` raises, and ServiceUnavailable when the store is away.
    """
    # An extra, and slow to import: `qalipsis run` must not wait for it.
    from qalipsis.head.database.database import open_database
    from qalipsis.head.database.key_table import DatabaseKeys
    from qalipsis.head.database.report_table import DatabaseReports
    from qalipsis.head.database.series_table import DatabaseSeries
    from qalipsis.head.database.store import DatabaseStore

    settings, clock, transport = request.settings, SystemClock(), MemoryTransport()
    incarnation = time.time_ns() // 1_000_000
    workers = _workers(settings.factory.workers)
    session = _session(settings, transport, clock, incarnation, workers)
    try:
        await _load(session, request)
        async with open_database(settings.datasource) as database:
            store = DatabaseStore(database)
            publisher = Publisher(transport, Sender("head", incarnation))
            reception = Reception(transport, publisher, settings.head.heartbeat_delay, lease_seconds=None)
            service = CampaignService(
                store,
                reception,
                clock,
                _campaign(request, workers),
                lambda asked, watch: Orchestrator(
                    transport, publisher, reception, store, clock, asked, watch
                ),
                head=f"{socket.gethostname()}-{incarnation}",
                is_alone=settings.datasource.host is None,
            )
            desk = DataDesk(store, DatabaseSeries(database), DatabaseReports(database))
            async with aclosing(desk):
                yield Standalone(
                    session,
                    reception,
                    service,
                    DatabaseKeys(database),
                    desk,
                    settings.factory.handshake.timeout,
                )
    finally:
        await session.aclose()
        await transport.aclose()


def _session(
    settings: Settings,
    transport: Transport,
    clock: Clock,
    incarnation: int,
    workers: int,
    kit: Kit | None = None,
) -> Session:
    """The factory of this process; without workers, minions are a task of it."""
    identity = Identity(
        node=settings.factory.node_id or socket.gethostname(),
        incarnation=incarnation,
        zone=settings.factory.zone,
        tenant=settings.factory.tenant,
        tags=settings.factory.tags,
    )
    make_body: MakeBody
    if workers:
        make_body = partial(WorkerProcess, settings.logging)
    else:
        make_body = WorkerTask if kit is None else partial(WorkerTask, kit=kit)
    return Session(transport, clock, identity, max(1, workers), make_body)


async def _load(session: Session, request: RunRequest) -> None:
    events = request.settings.events
    levels = {"": events.root, **events.level} if events.export.enabled else None
    loaded = await session.load(request.paths, _resolved(request.properties), levels)
    request.check_keys(loaded.property_keys)


def _workers(configured: int | None) -> int:
    """By default one core is left to the parent and the service under test."""
    return max(1, len(os.sched_getaffinity(0)) - 1) if configured is None else configured


def _resolved(properties: Mapping[str, Any]) -> dict[str, Any]:
    """What the workers get: values only, for their environment they have themselves."""
    return {key: value for key in properties if (value := properties.get(key)) is not None}


def _campaign(request: RunRequest, workers: int) -> CampaignRequest:
    settings = request.settings
    campaign, validation = settings.campaign, settings.campaign.configuration.validation
    return CampaignRequest(
        key=f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}",
        name=campaign.name,
        seed=secrets.randbits(63) if campaign.seed is None else campaign.seed,
        patterns=request.patterns,
        minions_factor=campaign.minions_factor,
        minions_per_scenario=campaign.minions_count_per_scenario,
        speed_factor=campaign.speed_factor,
        start_offset=campaign.start_offset,
        grace=settings.factory.graceful_shutdown.campaign,
        factories_timeout=settings.factory.handshake.timeout,
        limits=Limits(
            max_minions=validation.max_minions_count,
            max_duration=validation.max_execution_duration,
            max_scenarios=validation.max_scenarios_count,
            stage=validation.stage,
        ),
        environment={
            "qalipsis": version("qalipsis"),
            "python": platform.python_version(),
            "system": platform.platform(),
            "cores": len(os.sched_getaffinity(0)),
            "workers": workers,
            **request.environment,
        },
    )
