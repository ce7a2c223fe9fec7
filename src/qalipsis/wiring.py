"""Builds concrete objects from the settings; nothing else names a transport or a store."""

from __future__ import annotations

import os
import platform
import re
import secrets
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Coroutine, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from qalipsis.clock import Clock
from qalipsis.cluster import topics
from qalipsis.cluster.accompanied import accompanied
from qalipsis.cluster.codec import Sender
from qalipsis.cluster.memory import MemoryTransport
from qalipsis.cluster.messages import Shutdown
from qalipsis.cluster.publisher import Publisher
from qalipsis.cluster.transport import Transport
from qalipsis.config.settings import Settings
from qalipsis.errors import CampaignRefused, ConfigurationError
from qalipsis.factory.kit import Kit
from qalipsis.factory.membership import stay
from qalipsis.factory.orders import Loaded
from qalipsis.factory.session import Identity, Session
from qalipsis.factory.supervisor import MakeBody
from qalipsis.factory.worker_process import WorkerProcess
from qalipsis.factory.worker_task import WorkerTask
from qalipsis.head.api_keys import KeyRing
from qalipsis.head.campaign import OnFactoryLoss
from qalipsis.head.campaign_list import NewCampaign
from qalipsis.head.campaign_request import CampaignRequest
from qalipsis.head.data_desk import DataDesk
from qalipsis.head.limits import Limits
from qalipsis.head.memory_directory import MemoryDirectory
from qalipsis.head.office import Office
from qalipsis.head.orchestrator import Orchestrator
from qalipsis.head.reception import Reception
from qalipsis.head.roster import Roster
from qalipsis.head.service import CampaignService
from qalipsis.head.store import MemoryStore
from qalipsis.head.tenure import Tenure
from qalipsis.reports.live import Live
from qalipsis.reports.model import Report
from qalipsis.system_clock import SystemClock

ALONE_LEASE_SECONDS = 86_400.0
"""Of a claim in a store that nobody else can reach."""


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
    """A prepared campaign: nothing has started yet."""

    def __init__(
        self, orchestrator: Orchestrator, accompany: Callable[[], Sequence[Coroutine[Any, Any, None]]]
    ) -> None:
        self._orchestrator = orchestrator
        self._accompany = accompany

    async def wait(self) -> Report:
        """Run the campaign to its end; raises CampaignRefused or ServiceUnavailable when it cannot start."""
        return await accompanied(self._orchestrator.run(), *self._accompany())

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
    transport, directory = MemoryTransport(), MemoryDirectory(clock)
    store = MemoryStore(clock, keeps_meters=False)
    workers = _workers(settings.factory.workers) if kit is None else 0
    session = _session(settings, transport, clock, incarnation, workers, kit)
    try:
        await _load(session, request)
        campaign = _campaign(request, workers)
        office = Office(
            head="head",
            transport=transport,
            store=store,
            directory=directory,
            roster=Roster(directory),
            clock=clock,
            heartbeat_s=settings.head.heartbeat_delay,
            # The workers die with this process, so nothing else has to stop them, and nobody takes over.
            lease_s=None,
            claim_lease_s=ALONE_LEASE_SECONDS,
        )
        reception, timeout = Reception(office, incarnation), settings.factory.handshake.timeout
        yield Run(
            Orchestrator(office, await _own(office, campaign), campaign, watch),
            lambda: (reception.serve(), session.serve(timeout)),
        )
    finally:
        await session.aclose()
        await transport.aclose()
        await store.aclose()


async def _own(office: Office, campaign: CampaignRequest) -> Tenure:
    """A new campaign that is this head's from the beginning."""
    await office.store.create_campaign(NewCampaign(key=campaign.key, name=campaign.name or campaign.key))
    claim = await office.store.claim(campaign.key, office.head, office.claim_lease_s)
    if claim is None:
        raise CampaignRefused(f"another head was quicker to take campaign {campaign.key}: start it again")
    return Tenure(office.store, office.transport, claim)


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
    session = _session(settings, transport, clock, incarnation, workers, campaigns=settings.factory.campaigns)
    try:
        await _load(session, request)
        async with open_database(settings.datasource) as database:
            directory = MemoryDirectory(clock)
            office = Office(
                head=f"{socket.gethostname()}-{incarnation}",
                transport=transport,
                store=DatabaseStore(database),
                directory=directory,
                roster=Roster(directory),
                clock=clock,
                heartbeat_s=settings.head.heartbeat_delay,
                lease_s=None,
                claim_lease_s=settings.head.claim_lease,
            )
            reception = Reception(office, incarnation)
            service = _service(office, _campaign(request, workers), is_alone=True)
            desk = DataDesk(office.store, DatabaseSeries(database), DatabaseReports(database))
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


class Head:
    """A head of a cluster: whoever serves it also serves its REST API."""

    def __init__(
        self,
        office: Office,
        reception: Reception,
        service: CampaignService,
        keys: KeyRing,
        desk: DataDesk,
    ) -> None:
        self.service = service
        self.keys = keys
        self.desk = desk
        self._office = office
        self._reception = reception

    async def serve(self) -> None:
        """Receive factories and drive campaigns, until the service is closed."""
        await accompanied(self.service.serve(), self._reception.serve())

    async def prepare(self, campaign: CampaignRequest, watch: Callable[[Live], None]) -> Run:
        """One campaign to be run instead of `serve`, as soon as its factories have come."""
        tenure = await _own(self._office, campaign)
        return Run(Orchestrator(self._office, tenure, campaign, watch), lambda: (self._reception.serve(),))

    async def dismiss_factories(self) -> None:
        """Have all factories end in order, for nothing more is to be run."""
        publisher = Publisher(
            self._office.transport, Sender(f"{self._office.head}/dismissal", time.time_ns() // 1_000_000)
        )
        for each in await self._office.directory.factories():
            if each.is_fresh and not each.campaigns:  # others may work for another head
                farewell = Shutdown(reason="the campaign that it was started for is over")
                await publisher.say(topics.node(each.node, each.incarnation), farewell)
                # Nobody may be left to read its own farewell, and the next head would count on it.
                await self._office.directory.leave(each.node, each.incarnation)


@asynccontextmanager
async def open_head(settings: Settings) -> AsyncIterator[Head]:
    """Connect to the broker and the store, whose tables are upgraded first.

    Raises ConfigurationError, and ServiceUnavailable when one of them is away.
    """
    from qalipsis.head.database.database import open_database
    from qalipsis.head.database.directory import DatabaseDirectory
    from qalipsis.head.database.key_table import DatabaseKeys
    from qalipsis.head.database.report_table import DatabaseReports
    from qalipsis.head.database.series_table import DatabaseSeries
    from qalipsis.head.database.store import DatabaseStore

    if broker_of(settings) is None:
        raise ConfigurationError(
            "a head meets its factories at a broker: write for example `redis.uri: redis://host:6379` into "
            "qalipsis.yml, or give -c redis.uri=redis://host:6379; alone on a machine, use "
            "`qalipsis standalone`"
        )
    clock, incarnation = SystemClock(), time.time_ns() // 1_000_000
    async with open_database(settings.datasource) as database:
        transport = await open_transport(settings)
        try:
            directory = DatabaseDirectory(database)
            office = Office(
                head=f"{socket.gethostname()}-{os.getpid()}-{incarnation}",
                transport=transport,
                store=DatabaseStore(database),
                directory=directory,
                roster=Roster(directory),
                clock=clock,
                heartbeat_s=settings.head.heartbeat_delay,
                lease_s=settings.head.lease,
                claim_lease_s=settings.head.claim_lease,
            )
            defaults = campaign_of(settings, environment())
            service = _service(office, defaults, is_alone=False)
            desk = DataDesk(office.store, DatabaseSeries(database), DatabaseReports(database))
            async with aclosing(desk):
                yield Head(office, Reception(office, incarnation), service, DatabaseKeys(database), desk)
        finally:
            await transport.aclose()


def _service(office: Office, defaults: CampaignRequest, *, is_alone: bool) -> CampaignService:
    return CampaignService(
        office,
        defaults,
        lambda tenure, asked, watch: Orchestrator(office, tenure, asked, watch),
        is_alone=is_alone,
    )


def _session(
    settings: Settings,
    transport: Transport,
    clock: Clock,
    incarnation: int,
    workers: int,
    kit: Kit | None = None,
    campaigns: int = 1,
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
    return Session(transport, clock, identity, max(1, workers), make_body, campaigns=campaigns)


async def _load(session: Session, request: RunRequest) -> Loaded:
    events = request.settings.events
    levels = {"": events.root, **events.level} if events.export.enabled else None
    loaded = await session.load(request.paths, _resolved(request.properties), levels)
    request.check_keys(loaded.property_keys)
    return loaded


def _workers(configured: int | None) -> int:
    """By default one core is left to the parent and the service under test."""
    return max(1, len(os.sched_getaffinity(0)) - 1) if configured is None else configured


def _resolved(properties: Mapping[str, Any]) -> dict[str, Any]:
    """What the workers get: values only, for their environment they have themselves."""
    return {key: value for key in properties if (value := properties.get(key)) is not None}


def _campaign(request: RunRequest, workers: int) -> CampaignRequest:
    known = environment() | {"workers": workers, **request.environment}
    # Its only factory is the one of this process.
    return replace(campaign_of(request.settings, known, request.patterns), required_factories=1)


def environment() -> dict[str, Any]:
    """Where a head runs, for the report."""
    return {
        "qalipsis": version("qalipsis"),
        "python": platform.python_version(),
        "system": platform.platform(),
        "cores": len(os.sched_getaffinity(0)),
    }


def campaign_of(
    settings: Settings, environment: Mapping[str, Any], patterns: Sequence[str] = ()
) -> CampaignRequest:
    """A campaign of the scenarios that the patterns match, as the configuration asks for it."""
    campaign, validation = settings.campaign, settings.campaign.configuration.validation
    return CampaignRequest(
        key=f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}",
        name=campaign.name,
        seed=secrets.randbits(63) if campaign.seed is None else campaign.seed,
        patterns=tuple(patterns),
        minions_factor=campaign.minions_factor,
        minions_per_scenario=campaign.minions_count_per_scenario,
        speed_factor=campaign.speed_factor,
        start_offset=campaign.start_offset,
        grace=settings.factory.graceful_shutdown.campaign,
        on_factory_loss=OnFactoryLoss(campaign.on_factory_loss),
        accept_redistribution=campaign.accept_redistribution,
        required_factories=campaign.required_factories,
        factories_timeout=settings.factory.handshake.timeout,
        limits=Limits(
            max_minions=validation.max_minions_count,
            max_duration=validation.max_execution_duration,
            max_scenarios=validation.max_scenarios_count,
            stage=validation.stage,
        ),
        environment=dict(environment),
    )


class Member:
    """A factory of this machine in its cluster; its scenarios are loaded."""

    def __init__(
        self,
        session: Session,
        transport: Transport,
        open_again: Callable[[], Awaitable[Transport]],
        *,
        node: str,
        workers: int,
        scenarios: Sequence[str],
        broker: str,
        timeout_seconds: float,
    ) -> None:
        self.node = node
        self.workers = workers
        self.scenarios = tuple(scenarios)
        self.broker = broker
        self._session = session
        self._transport = transport
        self._open_again = open_again
        self._timeout_seconds = timeout_seconds

    async def serve(self) -> None:
        """Work for the campaigns that heads assign, until a head or `stop` says to end.

        Raises FactoryRefused, and ServiceUnavailable when no head answers, or the broker refuses something.
        """
        await stay(self._session, self._transport, self._open_again, self._timeout_seconds)

    def stop(self, is_hard: bool) -> None:
        """End in order: a campaign softly first, or hard; may be called again, at any time."""
        self._session.stop(is_hard)


@asynccontextmanager
async def open_factory(request: RunRequest, is_transient: bool = False) -> AsyncIterator[Member]:
    """Connect to the broker, start the workers and load the scenarios; leaves no process behind.

    Raises ScenarioErrors with every mistake of the scenarios, ConfigurationError, and ServiceUnavailable when
    the broker is away.
    """
    settings, clock = request.settings, SystemClock()
    broker = broker_of(settings)
    if broker is None:
        raise ConfigurationError(
            "a factory meets its heads at a broker: write for example `redis.uri: redis://host:6379` into "
            "qalipsis.yml, or give -c redis.uri=redis://host:6379; alone on a machine, use "
            "`qalipsis standalone`"
        )
    node = _node_id(settings)
    workers = settings.factory.workers
    if workers is None:
        workers = len(os.sched_getaffinity(0))
    transport = await open_transport(settings)
    try:
        session = Session(
            transport,
            clock,
            Identity(
                node=node,
                incarnation=time.time_ns() // 1_000_000,
                zone=settings.factory.zone,
                tenant=settings.factory.tenant,
                tags=settings.factory.tags,
            ),
            max(1, workers),
            partial(WorkerProcess, settings.logging) if workers else WorkerTask,
            campaigns=settings.factory.campaigns,
            grace_seconds=settings.factory.graceful_shutdown.campaign,
            is_transient=is_transient,
            broker=broker,
        )
        try:
            loaded = await _load(session, request)
            yield Member(
                session,
                transport,
                partial(open_transport, settings),
                node=node,
                workers=workers,
                scenarios=[scenario.name for scenario in loaded.scenarios],
                broker=broker,
                timeout_seconds=settings.factory.handshake.timeout,
            )
        finally:
            await session.aclose()
    finally:
        await transport.aclose()


async def open_transport(settings: Settings) -> Transport:
    """What carries messages between heads and factories: Redis when it is configured, else this process.

    Raises ConfigurationError, and ServiceUnavailable with what is to be done about the broker.
    """
    if broker_of(settings) is None:
        return MemoryTransport()
    # An extra, and slow to import: `qalipsis run` must not wait for it.
    from qalipsis.cluster.redis.address import from_settings
    from qalipsis.cluster.redis.transport import RedisTransport

    transport = RedisTransport(from_settings(settings.redis))
    await transport.open()
    return transport


def broker_of(settings: Settings) -> str | None:
    """Where messages are carried, for people; None within this process. Raises ConfigurationError."""
    chosen, redis = settings.streaming.platform, settings.redis
    if chosen == "kafka":
        raise ConfigurationError(
            "streaming.platform: kafka is for the high-load cluster, which this version does not have: "
            "leave it out, and configure redis.uri"
        )
    if chosen == "memory" or (chosen is None and redis.uri is None and not redis.uris):
        return None
    from qalipsis.cluster.redis.address import from_settings

    return f"Redis at {from_settings(redis)}"


def _node_id(settings: Settings) -> str:
    """The configured name of the factory, or the one of its machine; part of the names of topics."""
    node = settings.factory.node_id or socket.gethostname()
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,100}", node):
        raise ConfigurationError(
            f"factory.node-id {node!r} should be at most 100 letters, digits, dots, dashes and underscores"
        )
    return node
