"""The campaigns of a cluster as one of its heads serves them: taken, queued, driven, stopped, shown."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

import msgspec
from msgspec.structs import replace

from qalipsis.cluster import topics
from qalipsis.cluster.accompanied import accompanied
from qalipsis.cluster.codec import Sender
from qalipsis.cluster.messages import StopWanted
from qalipsis.cluster.publisher import Publisher
from qalipsis.errors import (
    CampaignRefused,
    QalipsisError,
    ReaderReplaced,
    ServiceUnavailable,
    TransportClosed,
)
from qalipsis.head import campaign_configuration, checkpoint, schedule_request
from qalipsis.head.campaign import Phase
from qalipsis.head.campaign_configuration import CampaignConfiguration, InvalidConfiguration, Problem
from qalipsis.head.campaign_list import (
    UNENDED,
    CampaignQuery,
    CampaignRecord,
    CampaignScenario,
    NewCampaign,
    Page,
    is_terminal,
    status_of,
)
from qalipsis.head.campaign_log import CampaignLog
from qalipsis.head.campaign_request import CampaignRequest
from qalipsis.head.directory import FactoryRecord
from qalipsis.head.fleet import Fleet, NoFactoryFree, choose
from qalipsis.head.live_stream import Happening, LiveStream, StateEntered, watched
from qalipsis.head.office import Office
from qalipsis.head.ownership import Claim, Fenced
from qalipsis.head.patience import patiently
from qalipsis.head.scheduler import Scheduler, utc_now, waits
from qalipsis.head.tenure import Tenure
from qalipsis.head.zones import Zone
from qalipsis.plan.model import ScenarioDescriptor
from qalipsis.reports.live import Live
from qalipsis.reports.model import Report

LOOK_SECONDS: Final = 0.5
"""How often a head looks for campaigns that wait for factories, or for a head."""

MOST_WAITING: Final = 1000
MOST_LOOKED_AT: Final = 20
"""Of those that wait, so many are tried each time, the oldest first."""

MOST_REPORTS: Final = 16
PULSE_SECONDS: Final = 10.0
UNEXPECTED: Final = "an unexpected error occurred, the log of the head says more"
LEFT_BEHIND: Final = "the head that drove it ended before the campaign did, and its factory with it"

AT_ONCE: Final = Problem(
    "campaign.scheduledAt",
    "what is posted here starts at once; post it to /campaigns/schedule, or leave out scheduledAt and "
    "scheduling",
)

_log = logging.getLogger(__name__)


class Driver(Protocol):
    """Brings one campaign to its end."""

    async def run(self, found: bytes | None = None) -> Report: ...

    def stop(self, is_hard: bool, reason: str = "by the user", aborter: str | None = None) -> None: ...


Conduct = Callable[[Tenure, CampaignRequest, Callable[[Live], None]], Driver]
"""Makes the driver of a campaign; the function is called each second while it runs."""


class UnknownCampaign(QalipsisError):
    """Nobody has asked a head of this store for such a campaign."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """All that is known of a campaign: `live` while it runs, `report` once it is over."""

    record: CampaignRecord
    live: Live | None = None
    report: Report | None = None


@dataclass(slots=True)
class _Charge:
    """A campaign that this head drives."""

    request: CampaignRequest
    tenure: Tenure
    driver: Driver
    stream: LiveStream
    log: CampaignLog
    task: asyncio.Task[None] | None = None


class CampaignService:
    """Campaigns over the factories of the cluster, any number at once as long as factories are free for them.

    `serve` does the work, everything else may be called while it runs. A store that `is_alone` is used by
    this process only, whose factory ends with it: what it holds unfinished cannot go on, and nothing waits
    for another head when this one is closed.
    """

    def __init__(
        self,
        office: Office,
        defaults: CampaignRequest,
        conduct: Conduct,
        *,
        is_alone: bool,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._office = office
        self._store = office.store
        self._conduct = conduct
        self._is_alone = is_alone
        self._publisher = Publisher(
            office.transport, Sender(f"{office.head}/desk", int(now().timestamp() * 1000))
        )
        self._scheduler = Scheduler(office.store, office.head, now)
        self.defaults = defaults
        self.waiting = 0
        """Campaigns that wait for free factories, as they were counted last."""
        self._waits: dict[str, str] = {}
        """What each waiting campaign waits for, as it was told last."""
        self._charges: dict[str, _Charge] = {}
        self._reports: dict[str, Report] = {}
        self._changed = asyncio.Event()
        self._is_closing = False
        self._failure: TransportClosed | None = None
        self._has_ended = asyncio.Event()
        self._has_ended.set()

    # Campaigns

    async def check(self, configuration: CampaignConfiguration) -> None:
        """Raise InvalidConfiguration, with everything that keeps this from being run, or scheduled."""
        if schedule_request.is_scheduled(configuration):
            await self._check_schedule(configuration)
        else:
            await self._hosted(await self._checked(configuration, ""))

    async def start(self, configuration: CampaignConfiguration, user: str) -> CampaignRecord:
        """Run the campaign as soon as factories are free.

        Raises InvalidConfiguration, and CampaignRefused when no factory that is there could run it.
        """
        if schedule_request.is_scheduled(configuration):
            raise InvalidConfiguration((AT_ONCE,))
        request = await self._checked(configuration, _new_key())
        if self._is_closing:
            raise CampaignRefused("this head is being stopped and takes no campaigns any more")
        if self.waiting >= MOST_WAITING:
            raise CampaignRefused(f"{MOST_WAITING} campaigns are waiting already; abort some of them first")
        await self._hosted(request)
        record = await self._store.create_campaign(new_campaign(configuration, request.key, user))
        _log.info("campaign %s, %s, was started by %s", record.key, record.name, user)
        self._changed.set()
        return record

    async def replay(self, key: str, user: str) -> CampaignRecord:
        """Run a campaign again, as it was asked for, and at once."""
        return await self.start(schedule_request.without_schedule(await self.configuration(key)), user)

    async def schedule(
        self, configuration: CampaignConfiguration, user: str, key: str | None = None
    ) -> CampaignRecord:
        """Run the campaign when it is due; with a key, instead of what was scheduled under it.

        Raises InvalidConfiguration, UnknownCampaign, and CampaignRefused when it is too late to change it.
        """
        if key is not None:
            await self.record(key)
        await self._check_schedule(configuration)
        new = new_campaign(configuration, key or _new_key(), user, schedule_request.start_of(configuration))
        return await (self._scheduler.add(new) if key is None else self._scheduler.change(new))

    async def abort(self, key: str, is_hard: bool, user: str) -> None:
        """Stop it, whether it runs or waits, here or at another head; nothing happens when it is over.

        One that is scheduled and has not begun is the end of its series.
        """
        record = await self.record(key)
        charge = self._charges.get(key)
        if charge is None and not is_terminal(record.state) and await self._scheduler.cancel(key, user):
            await self._office.directory.release(key)  # it may have been about to begin
            return
        if charge is None:
            record = await self.record(key)
            charge = self._charges.get(key)
        if is_terminal(record.state):
            return
        _log.info("campaign %s is to be stopped %s, by %s", key, "at once" if is_hard else "softly", user)
        if charge is not None:
            charge.driver.stop(is_hard, f"by {user}", user)
        # Whoever drives it reads this, also when it is this head, and dies before it has written it down.
        wanted = StopWanted(is_hard=is_hard, by=f"by {user}", aborter=user)
        await self._publisher.say(topics.feedback(key), wanted, key)

    async def record(self, key: str) -> CampaignRecord:
        """The campaign as it is listed; raises UnknownCampaign."""
        record = await self._store.campaign(key)
        if record is None:
            raise UnknownCampaign(f"there is no campaign {key}")
        return record

    async def campaigns(self, query: CampaignQuery) -> Page[CampaignRecord]:
        return await self._store.campaigns(query)

    async def details(self, keys: Sequence[str]) -> tuple[Details, ...]:
        """Each campaign, in the order of the keys; raises UnknownCampaign."""
        return tuple([await self._details(key) for key in keys])

    async def configuration(self, key: str) -> CampaignConfiguration:
        return campaign_configuration.from_kept((await self.record(key)).configuration)

    async def report(self, key: str) -> Report:
        """Raises UnknownCampaign as long as there is none."""
        await self.record(key)
        report = await self._report(key)
        if report is None:
            raise UnknownCampaign(f"campaign {key} has no report: it has not ended, or never started")
        return report

    async def follow(self, key: str) -> AsyncIterator[Happening | None]:
        """What happens in the campaign from now to its end; raises UnknownCampaign."""
        charge = self._charges.get(key)
        if charge is None:
            await self.record(key)
            return self._watched(key)
        return self._followed(charge)

    # What can be run, and where

    def scenarios(self) -> Mapping[str, tuple[ScenarioDescriptor, datetime]]:
        """The scenarios of all factories by their names, and since when they are known.

        What is offered by a factory that is there goes before what one offered that is not.
        """
        return {
            scenario.name: (scenario, each.arrived_at)
            for each in sorted(self.factories(), key=lambda each: (each.is_fresh, each.arrived_at))
            for scenario in each.handshake.scenarios
        }

    async def zones(self) -> tuple[Zone, ...]:
        return await self._store.zones()

    def factories(self) -> tuple[FactoryRecord, ...]:
        """The factories of the cluster, as they were a moment ago."""
        return tuple(self._office.roster.factories.values())

    @property
    def is_alone(self) -> bool:
        """Whether its campaigns end with this process."""
        return self._is_alone

    @property
    def lease_s(self) -> float | None:
        """How long factories go on without an answer of a head."""
        return self._office.lease_s

    @property
    def running(self) -> Mapping[str, Live | None]:
        """The campaigns that this head drives now."""
        return {key: charge.stream.live for key, charge in self._charges.items()}

    # The work

    async def serve(self) -> None:
        """Drive the campaigns that nobody drives yet, until `aclose`.

        Raises TransportClosed when it fails; in a cluster its campaigns are left to the other heads.
        """
        self._has_ended.clear()
        try:
            await patiently(self._office.roster.refresh)
            await accompanied(self._work(), self._office.roster.serve(), self._scheduler.serve(self._take))
        finally:
            tasks = [charge.task for charge in self._charges.values() if charge.task is not None]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._has_ended.set()

    async def aclose(self, is_hard: bool) -> None:
        """Take no more campaigns, and come to an end with those that are driven here.

        Alone, they are stopped, softly or hard, and what waits is aborted; returns when all of it is written
        down. In a cluster they are left to the other heads, or to this one when it comes back. May be called
        again while it waits, to stop hard after all.
        """
        self._is_closing = True
        self._changed.set()
        if self._is_alone:
            for charge in list(self._charges.values()):
                charge.driver.stop(is_hard, "because the head was stopped")
            for key in await self._store.claimable():
                if not waits(await self.record(key)):
                    await self._scheduler.cancel(key, "the end of the head")
        await self._has_ended.wait()

    async def _work(self) -> None:
        while not self._is_closing:
            if self._failure is not None:
                raise self._failure
            self._changed.clear()
            try:
                await self._look()
            except QalipsisError as error:
                _log.warning("campaigns could not be looked for: %s", error)
            with suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._changed.wait()
        while self._is_alone and self._charges:
            await asyncio.wait([each.task for each in self._charges.values() if each.task is not None])

    async def _look(self) -> None:
        """Take over what lost its head, and begin what can begin."""
        keys = [key for key in await self._store.claimable() if key not in self._charges]
        self._waits = {key: self._waits[key] for key in keys if key in self._waits}
        tried = 0
        for key in keys:
            record = await self._store.campaign(key)
            if record is None or waits(record) or self._is_closing:
                continue
            is_new = record.state == Phase.SCHEDULED
            if is_new and tried == MOST_LOOKED_AT:
                break
            tried += is_new
            try:
                await (self._take(record) if is_new else self._take_over(record))
            except QalipsisError as error:  # the others must not wait for this one
                _log.warning("campaign %s could not be taken: %s", key, error)
        self.waiting = sum(key not in self._charges for key in keys)

    async def _take(self, record: CampaignRecord) -> None:
        """Begin a campaign whose moment has come, if its factories are free."""
        key = record.key
        if self._is_closing or key in self._charges:
            return
        request, reason = None, ""
        try:
            request = await self._checked(campaign_configuration.from_kept(record.configuration), key)
            fleet = await self._fleet(request)
            nodes = [(each.node, each.incarnation) for each in fleet.factories]
            if not await self._office.directory.reserve(key, nodes):
                return
        except NoFactoryFree as error:
            self._tell_wait(key, error)
            return
        except ServiceUnavailable:
            raise  # nothing is known of the campaign, so nothing is decided: it is tried again
        except QalipsisError as error:
            if self._scheduler.is_patient(record):
                self._tell_wait(key, error)
                return  # the factories that know its scenarios may still come
            reason = str(error)
        claim = await self._claim(record)
        if claim is None:
            mine = await self.record(key)
            if is_terminal(mine.state) or (waits(mine) and not self._scheduler.is_due(mine)):
                await self._office.directory.release(key)  # it was aborted, or put off, meanwhile
            return
        if request is None or reason:
            await self._refuse(record, claim, reason)
            return
        if waits(record):
            await self._scheduler.follow_up(record)
        _log.info("campaign %s begins on %s", key, ", ".join(node for node, _ in nodes))
        self._begin(record, request, claim, None)

    async def _fleet(self, request: CampaignRequest) -> Fleet:
        there = [each for each in self.factories() if each.is_fresh]
        return choose(request, there, await self._store.zones())

    async def _hosted(self, request: CampaignRequest) -> None:
        """Raise CampaignRefused when the factories that are there could not run it even if they were free."""
        with suppress(NoFactoryFree):
            await self._fleet(request)

    def _tell_wait(self, key: str, reason: QalipsisError) -> None:
        if self._waits.get(key) != str(reason):
            self._waits[key] = str(reason)
            _log.info("campaign %s waits: %s", key, "; ".join(str(reason).splitlines()))

    async def _claim(self, record: CampaignRecord) -> Claim | None:
        """This head's claim; None when another one was quicker, or when something else is asked for now."""
        claim = await self._store.claim(record.key, self._office.head, self._office.claim_lease_s)
        if claim is None:
            return None
        mine = await self.record(record.key)
        if mine.state == record.state and mine.configuration == record.configuration:
            return claim
        await self._store.release(claim)
        return None

    async def _refuse(self, record: CampaignRecord, claim: Claim, reason: str) -> None:
        _log.warning("campaign %s failed: %s", record.key, reason)
        if waits(record):
            with suppress(CampaignRefused):  # who has no configuration left has no schedule either
                await self._scheduler.follow_up(record)
        tenure = Tenure(self._store, self._office.transport, claim)
        await tenure.commit(Phase.FAILED, self._epoch(), failure_reason=reason)
        await tenure.release()

    async def _take_over(self, record: CampaignRecord) -> None:
        """Go on with a campaign whose head is gone."""
        claim = await self._claim(record)
        if claim is None:
            return
        if self._is_alone:
            await self._refuse(record, claim, LEFT_BEHIND)
            return
        found = await self._store.checkpoint(record.key)
        try:
            if found is None:
                request = await self._checked(
                    campaign_configuration.from_kept(record.configuration), record.key
                )
            else:
                request = checkpoint.thaw(found).request
        except (CampaignRefused, msgspec.MsgspecError) as error:
            await self._refuse(record, claim, f"this head cannot go on with it: {error}")
            return
        _log.warning("campaign %s lost its head and goes on here", record.key)
        self._begin(record, request, claim, found)

    def _begin(
        self, record: CampaignRecord, request: CampaignRequest, claim: Claim, found: bytes | None
    ) -> None:
        stream = LiveStream(StateEntered(state=record.state, status=record.status))
        told = CampaignLog(record.key)

        def watch(live: Live) -> None:
            told.show(live)
            stream.enter(StateEntered(state=live.state, status=status_of(live.state) or "IN_PROGRESS"))
            stream.show(live)

        tenure = Tenure(self._store, self._office.transport, claim)
        charge = _Charge(
            request=request,
            tenure=tenure,
            driver=self._conduct(tenure, request, watch),
            stream=stream,
            log=told,
        )
        self._charges[record.key] = charge
        charge.task = asyncio.create_task(self._drive(charge, found))

    async def _drive(self, charge: _Charge, found: bytes | None) -> None:
        key = charge.request.key
        try:
            charge.log.end(await charge.driver.run(found))
        except (Fenced, ReaderReplaced) as error:
            _log.warning("campaign %s is driven by another head: %s", key, error)
        except TransportClosed as error:
            # Factories go on as long as their leases: another head that takes it over loses nothing.
            _log.warning("campaign %s is left to another head: %s", key, error)
            self._failure = error
        except QalipsisError as error:
            _log.warning("campaign %s failed: %s", key, error)
            await self._fail(charge, str(error))
        except Exception:
            _log.exception("campaign %s failed", key)
            await self._fail(charge, UNEXPECTED)
        finally:
            await self._let_go(charge)

    async def _fail(self, charge: _Charge, reason: str) -> None:
        # The store may be what failed, or another head may be quicker: then that one sees to it.
        with suppress(QalipsisError):
            if not is_terminal((await self.record(charge.request.key)).state):
                await charge.tenure.commit(Phase.FAILED, self._epoch(), failure_reason=reason)
            await self._office.directory.release(charge.request.key)

    async def _let_go(self, charge: _Charge) -> None:
        key = charge.request.key
        try:
            record = await self.record(key)
            charge.stream.enter(StateEntered(state=record.state, status=record.status))
            await charge.tenure.release()
        except QalipsisError as error:
            _log.warning("the end of campaign %s could not be written down: %s", key, error)
        finally:
            self._charges.pop(key, None)
            charge.stream.end()
            self._changed.set()

    async def _checked(self, configuration: CampaignConfiguration, key: str) -> CampaignRequest:
        known = self._known()
        found = await self._problems(configuration, known)
        if found:
            raise InvalidConfiguration(found)
        return campaign_configuration.request_of(configuration, known, self.defaults, key)

    async def _check_schedule(self, configuration: CampaignConfiguration) -> None:
        found = await self._problems(configuration, self._known())
        found += schedule_request.problems(configuration, self._scheduler.now())
        if found:
            raise InvalidConfiguration(found)

    async def _problems(
        self, configuration: CampaignConfiguration, known: Mapping[str, ScenarioDescriptor]
    ) -> tuple[Problem, ...]:
        zones = await self._store.zones()
        return campaign_configuration.problems(configuration, known, zones, self.defaults.limits)

    def _known(self) -> dict[str, ScenarioDescriptor]:
        return {name: scenario for name, (scenario, _) in self.scenarios().items()}

    async def _details(self, key: str) -> Details:
        record = await self.record(key)
        charge = self._charges.get(key)
        if charge is not None:
            if is_terminal(record.state):
                # Its report is being written: who reads of an end finds the report too.
                record = replace(record, status="IN_PROGRESS")
            return Details(record=record, live=charge.stream.live)
        if not is_terminal(record.state):
            return Details(record=record, live=await self._live_elsewhere(key))
        return Details(record=record, report=await self._report(key))

    async def _report(self, key: str) -> Report | None:
        """Those that were asked for last are kept: a report never changes, and is long to read."""
        report = self._reports.pop(key, None) or await self._store.report(key)
        if report is not None:
            self._reports[key] = report
            if len(self._reports) > MOST_REPORTS:
                del self._reports[next(iter(self._reports))]
        return report

    async def _glance(self, key: str) -> tuple[StateEntered, Live | None, bool]:
        """How a campaign stands that another head drives, or nobody, and whether it is over."""
        record = await self.record(key)
        is_over = is_terminal(record.state)
        live = None if is_over else await self._live_elsewhere(key)
        return StateEntered(state=record.state, status=record.status), live, is_over

    async def _followed(self, charge: _Charge) -> AsyncIterator[Happening | None]:
        """What happens here, and what happens elsewhere when another head goes on with it."""
        told: Happening | None = None
        async for each in charge.stream.follow(PULSE_SECONDS):
            told = each if isinstance(each, StateEntered) else told
            yield each
        is_leaving = self._is_closing or self._failure is not None
        if not is_leaving and isinstance(told, StateEntered) and told.status in UNENDED:
            async for each in self._watched(charge.request.key):
                yield each

    def _watched(self, key: str) -> AsyncIterator[Happening | None]:
        return watched(lambda: self._glance(key), PULSE_SECONDS)

    async def _live_elsewhere(self, key: str) -> Live | None:
        found = await self._store.checkpoint(key)
        with suppress(msgspec.MsgspecError):  # a head of another version wrote it
            return None if found is None else checkpoint.live_of(found)
        return None

    def _epoch(self) -> float:
        return self._office.clock.epoch(self._office.clock.now())


def new_campaign(
    configuration: CampaignConfiguration, key: str, user: str, scheduled_at: datetime | None = None
) -> NewCampaign:
    """What the store keeps of a request."""
    return NewCampaign(
        key=key,
        name=configuration.name,
        scenarios=tuple(
            CampaignScenario(name=name, minions=each.minions_count, zones=each.zones or {})
            for name, each in configuration.scenarios.items()
        ),
        speed_factor=configuration.speed_factor,
        configuration=campaign_configuration.to_kept(configuration),
        configurer=user,
        scheduled_at=scheduled_at,
    )


def _new_key() -> str:
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
