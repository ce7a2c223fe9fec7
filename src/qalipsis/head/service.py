"""The campaigns of a head: taken, queued, run one after the other, stopped, shown."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from msgspec.structs import replace

from qalipsis.clock import Clock
from qalipsis.cluster.accompanied import accompanied
from qalipsis.cluster.messages import Handshake
from qalipsis.errors import CampaignRefused, QalipsisError
from qalipsis.head import campaign_configuration
from qalipsis.head.campaign import Phase
from qalipsis.head.campaign_configuration import CampaignConfiguration, InvalidConfiguration
from qalipsis.head.campaign_list import (
    CampaignQuery,
    CampaignRecord,
    CampaignScenario,
    NewCampaign,
    Page,
    is_terminal,
    status_of,
)
from qalipsis.head.live_stream import Happening, LiveStream, StateEntered
from qalipsis.head.orchestrator import CampaignRequest, Orchestrator
from qalipsis.head.ownership import Claim, Fenced
from qalipsis.head.reception import Reception, Sighting
from qalipsis.head.store import Store
from qalipsis.head.zones import Zone
from qalipsis.plan.model import ScenarioDescriptor
from qalipsis.reports.live import Live
from qalipsis.reports.model import Report

LEASE_SECONDS: Final = 30.0
"""How long no other head takes over what this one was asked for, when this one has died."""

MOST_WAITING: Final = 1000
MOST_REPORTS: Final = 16
PULSE_SECONDS: Final = 10.0
UNEXPECTED: Final = "an unexpected error occurred, the log of the head says more"
LEFT_BEHIND: Final = "the head that drove it ended before the campaign did"

Conduct = Callable[[CampaignRequest, Callable[[Live], None]], Orchestrator]
"""Makes the orchestrator of a request; the function is called each second while it runs."""

_log = logging.getLogger(__name__)


class UnknownCampaign(QalipsisError):
    """Nobody has asked this head, or another one of its store, for such a campaign."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Details:
    """All that is known of a campaign: `live` while it runs here, `report` once it is over."""

    record: CampaignRecord
    live: Live | None = None
    report: Report | None = None


@dataclass(slots=True)
class _Charge:
    """A campaign that this head is to bring to its end."""

    request: CampaignRequest
    claim: Claim
    stream: LiveStream
    timeout: float | None
    is_hard_timeout: bool
    orchestrator: Orchestrator | None = None
    timer: asyncio.TimerHandle | None = None


class CampaignService:
    """Campaigns over the factories of one head, which runs one at a time; others wait for their turn.

    `serve` does the work, everything else may be called while it runs. A store that `is_alone` is used by
    this process only: what it holds unfinished was left behind by a head that died.
    """

    def __init__(
        self,
        store: Store,
        reception: Reception,
        clock: Clock,
        defaults: CampaignRequest,
        conduct: Conduct,
        *,
        head: str,
        is_alone: bool,
    ) -> None:
        self._store = store
        self._reception = reception
        self._clock = clock
        self._conduct = conduct
        self._head = head
        self._is_alone = is_alone
        self.defaults = defaults
        self._charges: dict[str, _Charge] = {}
        self._reports: dict[str, Report] = {}
        self._arriving: set[str] = set()
        self._waiting: deque[_Charge] = deque()
        self._changed = asyncio.Event()
        self._is_closing = False
        self._has_ended = asyncio.Event()
        self._has_ended.set()

    # Campaigns

    async def check(self, configuration: CampaignConfiguration) -> None:
        """Raise InvalidConfiguration, with everything that keeps this from being run."""
        await self._checked(configuration, "")

    async def start(self, configuration: CampaignConfiguration, user: str) -> CampaignRecord:
        """Run the campaign as soon as the factories are free; raises InvalidConfiguration."""
        request = await self._checked(configuration, _new_key())
        if self._is_closing:
            raise CampaignRefused("this head is being stopped and takes no campaigns any more")
        if len(self._waiting) >= MOST_WAITING:
            raise CampaignRefused(f"{MOST_WAITING} campaigns are waiting already; abort some of them first")
        self._arriving.add(request.key)
        try:
            return await self._take(configuration, request, user)
        finally:
            self._arriving.discard(request.key)

    async def replay(self, key: str, user: str) -> CampaignRecord:
        """Run a campaign again, as it was asked for."""
        return await self.start(await self.configuration(key), user)

    async def abort(self, key: str, is_hard: bool, user: str) -> None:
        """Stop it, whether it runs or waits; nothing happens when it is over."""
        record = await self.record(key)
        charge = self._charges.get(key)
        if charge is None:
            if is_terminal(record.state):
                return
            raise CampaignRefused(f"campaign {key} is driven by {record.owner or 'no head'}, abort it there")
        await self._store.save_outcome(key, aborter=user)
        await self._abort(charge, is_hard, f"by {user}")

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
        if charge is not None:
            return charge.stream.follow(PULSE_SECONDS)
        record = await self.record(key)
        stream = LiveStream(StateEntered(state=record.state, status=record.status))
        stream.end()
        return stream.follow(PULSE_SECONDS)

    # What can be run, and where

    def scenarios(self) -> Mapping[str, tuple[ScenarioDescriptor, datetime]]:
        """The scenarios of all factories by their names, and since when they are known."""
        return {
            scenario.name: (scenario, self._reception.seen[factory.node].arrived_at)
            for factory in self._reception.factories.values()
            for scenario in factory.scenarios
        }

    async def zones(self) -> tuple[Zone, ...]:
        return await self._store.zones()

    def factories(self) -> tuple[tuple[Handshake, Sighting], ...]:
        """The factories that the head has accepted, and when they were heard last."""
        return tuple((each, self._reception.seen[each.node]) for each in self._reception.factories.values())

    @property
    def running(self) -> Live | None:
        """The campaign that runs now."""
        return next((each.stream.live for each in self._charges.values() if each.orchestrator), None)

    @property
    def running_key(self) -> str | None:
        return next((key for key, each in self._charges.items() if each.orchestrator), None)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    # The work

    async def serve(self) -> None:
        """Run what waits, one campaign after the other, until `aclose`."""
        self._has_ended.clear()
        try:
            await self._clear_up()
            await accompanied(self._work(), self._renew())
        finally:
            self._has_ended.set()

    async def aclose(self, is_hard: bool) -> None:
        """Stop what runs, softly or hard, and abort what waits; returns when all of it is written down.

        May be called again while it waits, to stop hard after all.
        """
        self._is_closing = True
        self._changed.set()
        for charge in list(self._charges.values()):
            await self._abort(charge, is_hard, "because the head was stopped")
        await self._has_ended.wait()

    async def _take(
        self, configuration: CampaignConfiguration, request: CampaignRequest, user: str
    ) -> CampaignRecord:
        scenarios = tuple(
            CampaignScenario(name=name, minions=each.minions_count, zones=each.zones or {})
            for name, each in configuration.scenarios.items()
        )
        record = await self._store.create_campaign(
            NewCampaign(
                key=request.key,
                name=configuration.name,
                scenarios=scenarios,
                speed_factor=configuration.speed_factor,
                configuration=campaign_configuration.to_kept(configuration),
                configurer=user,
            )
        )
        claim = await self._store.claim(record.key, self._head, LEASE_SECONDS)
        if claim is None:
            return record  # another head of this store was quicker, and runs it
        charge = _Charge(
            request=request,
            claim=claim,
            stream=LiveStream(StateEntered(state=record.state, status=record.status)),
            timeout=campaign_configuration.timeout_seconds(configuration),
            is_hard_timeout=bool(configuration.hard_timeout),
        )
        self._charges[record.key] = charge
        self._waiting.append(charge)
        self._changed.set()
        return record

    async def _work(self) -> None:
        while True:
            while self._waiting and not self._is_closing:
                await self._run(self._waiting.popleft())
            if self._is_closing:
                return
            self._changed.clear()
            await self._changed.wait()

    async def _run(self, charge: _Charge) -> None:
        key = charge.request.key
        try:
            charge.orchestrator = self._conduct(charge.request, lambda live: self._watch(charge, live))
            await charge.orchestrator.run()
        except QalipsisError as error:
            _log.warning("campaign %s failed: %s", key, error)
            await self._fail(charge, str(error))
        except Exception:
            _log.exception("campaign %s failed", key)
            await self._fail(charge, UNEXPECTED)
        finally:
            if charge.timer is not None:
                charge.timer.cancel()
            charge.orchestrator = None
        await self._let_go(charge)

    def _watch(self, charge: _Charge, live: Live) -> None:
        charge.stream.enter(StateEntered(state=live.state, status=status_of(live.state) or "IN_PROGRESS"))
        charge.stream.show(live)
        if charge.timeout is not None and charge.timer is None and live.state == Phase.RUNNING:
            loop = asyncio.get_running_loop()
            charge.timer = loop.call_later(charge.request.start_offset + charge.timeout, _time_out, charge)

    async def _abort(self, charge: _Charge, is_hard: bool, reason: str) -> None:
        if charge.orchestrator is not None:
            charge.orchestrator.stop(is_hard, reason)
        elif charge in self._waiting:
            self._waiting.remove(charge)
            await self._store.save_state(charge.request.key, Phase.ABORTED, self._epoch())
            await self._let_go(charge)

    async def _fail(self, charge: _Charge, reason: str) -> None:
        # The store may be what failed: the campaign is then cleared up by whoever finds it.
        with suppress(QalipsisError):
            await self._store.save_state(charge.request.key, Phase.FAILED, self._epoch())
            await self._store.save_outcome(charge.request.key, failure_reason=reason)

    async def _let_go(self, charge: _Charge) -> None:
        key = charge.request.key
        try:
            record = await self.record(key)
            charge.stream.enter(StateEntered(state=record.state, status=record.status))
            await self._store.release(charge.claim)
        except QalipsisError as error:
            _log.warning("the end of campaign %s could not be written down: %s", key, error)
        self._charges.pop(key, None)
        charge.stream.end()

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(LEASE_SECONDS / 3)
            for charge in list(self._charges.values()):
                try:
                    await self._store.renew(charge.claim)
                except Fenced as error:
                    _log.error("%s", error)
                except QalipsisError as error:
                    _log.warning("a lease was not renewed: %s", error)
            with suppress(QalipsisError):
                await self._clear_up()

    async def _clear_up(self) -> None:
        """Give up what a head that died has left behind, once its lease has ended."""
        for key in await self._store.claimable() if self._is_alone else ():
            if key in self._charges or key in self._arriving:
                continue
            _log.warning("campaign %s is given up: %s", key, LEFT_BEHIND)
            await self._store.save_state(key, Phase.FAILED, self._epoch())
            await self._store.save_outcome(key, failure_reason=LEFT_BEHIND)

    async def _checked(self, configuration: CampaignConfiguration, key: str) -> CampaignRequest:
        known = {name: scenario for name, (scenario, _) in self.scenarios().items()}
        found = campaign_configuration.problems(
            configuration, known, await self._store.zones(), self.defaults.limits
        )
        if found:
            raise InvalidConfiguration(found)
        return campaign_configuration.request_of(configuration, known, self.defaults, key)

    async def _details(self, key: str) -> Details:
        record = await self.record(key)
        charge = self._charges.get(key)
        if charge is not None:
            if is_terminal(record.state):
                # Its report is being written: who reads of an end finds the report too.
                record = replace(record, status="IN_PROGRESS")
            return Details(record=record, live=charge.stream.live)
        return Details(record=record, report=await self._report(key))

    async def _report(self, key: str) -> Report | None:
        """Those that were asked for last are kept: a report never changes, and is long to read."""
        report = self._reports.pop(key, None) or await self._store.report(key)
        if report is not None:
            self._reports[key] = report
            if len(self._reports) > MOST_REPORTS:
                del self._reports[next(iter(self._reports))]
        return report

    def _epoch(self) -> float:
        return self._clock.epoch(self._clock.now())


def _time_out(charge: _Charge) -> None:
    if charge.orchestrator is not None:
        charge.orchestrator.stop(charge.is_hard_timeout, "because of its timeout")


def _new_key() -> str:
    return f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
