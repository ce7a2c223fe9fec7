"""One campaign on this machine: head and factory in one process, over memory."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from qalipsis.cluster.accompanied import accompanied
from qalipsis.cluster.memory import MemoryTransport
from qalipsis.factory.kit import Kit
from qalipsis.head.memory_directory import MemoryDirectory
from qalipsis.head.orchestrator import Orchestrator
from qalipsis.head.reception import Reception
from qalipsis.head.store import MemoryStore
from qalipsis.reports.live import Live
from qalipsis.reports.model import Report
from qalipsis.system_clock import SystemClock
from qalipsis.wiring.campaigns import campaign_here
from qalipsis.wiring.identity import node_of
from qalipsis.wiring.offices import make_office, own
from qalipsis.wiring.request import RunRequest
from qalipsis.wiring.sessions import load, make_session, workers_beside_others

ALONE_LEASE_SECONDS: Final = 86_400.0
"""Of a claim in a store that nobody else can reach."""


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
    transport, store = MemoryTransport(), MemoryStore(clock, keeps_meters=False)
    workers = workers_beside_others(settings.factory.workers) if kit is None else 0
    node = node_of(settings.factory)
    session = make_session(settings, transport, clock, node, incarnation, workers, kit=kit)
    try:
        await load(session, request)
        campaign = campaign_here(request, workers)
        # The workers die with this process, so nothing else has to stop them, and nobody takes over.
        office = make_office(
            settings,
            transport,
            store,
            MemoryDirectory(clock),
            clock,
            head="head",
            lease_s=None,
            claim_lease_s=ALONE_LEASE_SECONDS,
        )
        reception, timeout = Reception(office, incarnation), settings.factory.handshake.timeout
        yield Run(
            Orchestrator(office, await own(office, campaign), campaign, watch),
            lambda: (reception.serve(), session.serve(timeout)),
        )
    finally:
        await session.aclose()
        await transport.aclose()
        await store.aclose()
