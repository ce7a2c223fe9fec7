"""A factory of a cluster: it only dials out."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial

from qalipsis.cluster.transport import Transport
from qalipsis.factory.membership import stay
from qalipsis.factory.session import Session
from qalipsis.system_clock import SystemClock
from qalipsis.wiring.broker import meeting_place, open_transport
from qalipsis.wiring.identity import node_of
from qalipsis.wiring.request import RunRequest
from qalipsis.wiring.sessions import load, make_session


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
    settings = request.settings
    broker = meeting_place(settings, "factory", "heads")
    node = node_of(settings.factory)
    workers = settings.factory.workers
    if workers is None:
        workers = len(os.sched_getaffinity(0))
    transport = await open_transport(settings)
    try:
        session = make_session(
            settings,
            transport,
            SystemClock(),
            node,
            time.time_ns() // 1_000_000,
            workers,
            campaigns=settings.factory.campaigns,
            is_transient=is_transient,
            broker=broker,
        )
        try:
            loaded = await load(session, request)
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
