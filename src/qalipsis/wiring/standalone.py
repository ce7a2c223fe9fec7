"""A head with its REST API and a factory in one process, over memory and a database."""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from qalipsis.cluster.accompanied import accompanied
from qalipsis.cluster.memory import MemoryTransport
from qalipsis.factory.session import Session
from qalipsis.head.memory_directory import MemoryDirectory
from qalipsis.head.reception import Reception
from qalipsis.head.service import CampaignService
from qalipsis.system_clock import SystemClock
from qalipsis.wiring.campaigns import campaign_here
from qalipsis.wiring.identity import node_of
from qalipsis.wiring.offices import Cabinet, make_office, make_service, open_cabinet
from qalipsis.wiring.request import RunRequest
from qalipsis.wiring.sessions import load, make_session, workers_beside_others


class Standalone:
    """Campaigns are started through the service."""

    def __init__(
        self,
        session: Session,
        reception: Reception,
        service: CampaignService,
        cabinet: Cabinet,
        timeout_seconds: float,
    ) -> None:
        self.service = service
        self.keys = cabinet.keys
        self.desk = cabinet.desk
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
    settings, clock, transport = request.settings, SystemClock(), MemoryTransport()
    incarnation = time.time_ns() // 1_000_000
    workers = workers_beside_others(settings.factory.workers)
    node = node_of(settings.factory)
    campaigns = settings.factory.campaigns
    session = make_session(settings, transport, clock, node, incarnation, workers, campaigns=campaigns)
    try:
        await load(session, request)
        async with open_cabinet(settings) as cabinet:
            # Its only factory lives and dies with it: no lease, and no directory that outlives it.
            office = make_office(
                settings,
                transport,
                cabinet.store,
                MemoryDirectory(clock),
                clock,
                head=f"{socket.gethostname()}-{incarnation}",
                lease_s=None,
                claim_lease_s=settings.head.claim_lease,
            )
            service = make_service(office, campaign_here(request, workers), is_alone=True)
            timeout = settings.factory.handshake.timeout
            yield Standalone(session, Reception(office, incarnation), service, cabinet, timeout)
    finally:
        await session.aclose()
        await transport.aclose()
