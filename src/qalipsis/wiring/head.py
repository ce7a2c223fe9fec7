"""A head of a cluster, whose factories are elsewhere."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from qalipsis.cluster import topics
from qalipsis.cluster.accompanied import accompanied
from qalipsis.cluster.codec import Sender
from qalipsis.cluster.messages import Shutdown
from qalipsis.cluster.publisher import Publisher
from qalipsis.config.settings import Settings
from qalipsis.head.campaign_request import CampaignRequest
from qalipsis.head.office import Office
from qalipsis.head.orchestrator import Orchestrator
from qalipsis.head.reception import Reception
from qalipsis.head.service import CampaignService
from qalipsis.reports.live import Live
from qalipsis.system_clock import SystemClock
from qalipsis.wiring.broker import meeting_place, open_transport
from qalipsis.wiring.campaigns import campaign_of, environment
from qalipsis.wiring.offices import Cabinet, make_office, make_service, open_cabinet, own
from qalipsis.wiring.run import Run


class Head:
    """Whoever serves it also serves its REST API."""

    def __init__(
        self, office: Office, reception: Reception, service: CampaignService, cabinet: Cabinet
    ) -> None:
        self.service = service
        self.keys = cabinet.keys
        self.desk = cabinet.desk
        self._office = office
        self._reception = reception

    async def serve(self) -> None:
        """Receive factories and drive campaigns, until the service is closed."""
        await accompanied(self.service.serve(), self._reception.serve())

    async def prepare(self, campaign: CampaignRequest, watch: Callable[[Live], None]) -> Run:
        """One campaign to be run instead of `serve`, as soon as its factories have come."""
        tenure = await own(self._office, campaign)
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
    meeting_place(settings, "head", "factories")
    clock, incarnation = SystemClock(), time.time_ns() // 1_000_000
    async with open_cabinet(settings) as cabinet:
        transport = await open_transport(settings)
        try:
            office = make_office(
                settings,
                transport,
                cabinet.store,
                cabinet.directory,
                clock,
                head=f"{socket.gethostname()}-{os.getpid()}-{incarnation}",
                lease_s=settings.head.lease,
                claim_lease_s=settings.head.claim_lease,
            )
            service = make_service(office, campaign_of(settings, environment()), is_alone=False)
            yield Head(office, Reception(office, incarnation), service, cabinet)
        finally:
            await transport.aclose()
