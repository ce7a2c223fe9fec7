"""The end of a campaign: its report, or why it never started, and nothing that is left behind."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from functools import partial

from qalipsis.cluster import topics
from qalipsis.cluster.inbox import Letter
from qalipsis.cluster.messages import DirectiveIgnored, Final
from qalipsis.errors import QalipsisError
from qalipsis.head.campaign import CLOSING_SECONDS, Campaign, Phase
from qalipsis.head.campaign_request import CampaignRequest
from qalipsis.head.clock_offsets import ClockOffsets
from qalipsis.head.fleet import Fleet
from qalipsis.head.letters import Letters
from qalipsis.head.office import Office
from qalipsis.head.patience import patiently
from qalipsis.head.progress import Progress
from qalipsis.head.report_builder import Ending, build
from qalipsis.head.tenure import Tenure
from qalipsis.reports.model import Report

_log = logging.getLogger(__name__)


class Conclusion:
    """Of a campaign that is over, as its owner writes it down."""

    def __init__(
        self, office: Office, tenure: Tenure, campaign: Campaign, letters: Letters, aborter: str | None
    ) -> None:
        self._office = office
        self._tenure = tenure
        self._campaign = campaign
        self._letters = letters
        self._aborter = aborter

    async def report(
        self, request: CampaignRequest, fleet: Fleet, progress: Progress, offsets: ClockOffsets
    ) -> Report:
        """Judge what was told, and write the report down together with the end."""
        progress.tell_estimates()
        seconds = progress.close_seconds(None)
        before = await patiently(partial(self._office.store.seconds, self._campaign.key))
        started_at = progress.started_at or progress.created_at
        ended_at = max(started_at, progress.ended_at or self._epoch())
        report = build(
            Ending(
                key=self._campaign.key,
                name=name_of(request, fleet),
                seed=request.seed,
                speed_factor=request.speed_factor,
                started_at=started_at,
                ended_at=ended_at,
                scenarios=fleet.scenarios,
                factories=fleet.factories,
                assignment=fleet.assignment,
                tally=progress.tally,
                timeline=(*before, *seconds),
                is_aborted=self._campaign.phase is Phase.ABORTED,
                messages=tuple(progress.messages),
                faults=tuple(progress.faults),
                accepts_redistribution=request.accept_redistribution,
                clock_offsets={each.node: offsets.offset(each.node) for each in fleet.factories},
                environment=request.environment,
            )
        )
        await self._tenure.commit(
            self._campaign.phase,
            ended_at,
            seconds=seconds,
            meters=progress.take_meters(),
            watermarks=self._letters.watermarks,
            report=report,
            aborter=self._aborter,
        )
        self._letters.commit()
        await self._clear_up(self._campaign.waiting_for)
        return report

    async def give_up(self, reason: str, next_event: Callable[[], Awaitable[object]]) -> None:
        """Nothing has started: have the factories forget it, so that they are free for the next one."""
        await self._tenure.commit(
            self._campaign.phase,
            self._epoch(),
            watermarks=self._letters.watermarks,
            failure_reason=reason,
            aborter=self._aborter,
        )
        self._letters.commit()
        campaign = self._campaign
        waiting = set(campaign.waiting_for if campaign.is_closing else campaign.present)
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSING_SECONDS):
                while waiting:
                    event = await next_event()
                    if isinstance(event, Letter):
                        event.acknowledge()
                        if isinstance(event.received.message, Final | DirectiveIgnored):
                            waiting.discard(event.received.source)
        await self._clear_up(waiting)

    async def _clear_up(self, silent: Collection[str]) -> None:
        """Leave nothing behind but what is in the store, and what silent factories are still to read.

        A factory that has closed the campaign removed its directives, but a head that took over may have said
        some again.
        """
        key, transport = self._campaign.key, self._office.transport
        try:
            await patiently(partial(self._office.directory.release, key))
            await transport.remove(topics.feedback(key))
            for node in {*self._campaign.factories, *self._campaign.former}.difference(silent):
                await transport.remove(topics.directives(key, node))
        except QalipsisError as error:
            # The campaign is over and its report is kept: nothing of this may cost it.
            _log.warning("what campaign %s has left at the broker was not removed: %s", key, error)

    def _epoch(self) -> float:
        return self._office.clock.epoch(self._office.clock.now())


def name_of(request: CampaignRequest, fleet: Fleet) -> str:
    """What people call the campaign: as they asked for, or by its scenarios."""
    return request.name or ", ".join(each.name for each in fleet.scenarios) or request.key
