"""The connections that the publishing steps of one client use in a worker."""

from __future__ import annotations

from uuid import uuid4

from qalipsis.clock import Clock
from qalipsis.engine.step import StepMinion
from qalipsis.metrics.meters import StepMeters
from qalipsis.plugins.brokers.connect import Connector
from qalipsis.plugins.brokers.opening import Opening
from qalipsis.plugins.mqtt.connection import Connection, open_connection
from qalipsis.plugins.mqtt.settings import Settings


class Seat:
    """Where one connection is used: by a minion, or by all of a worker."""

    def __init__(self, link: Link, meters: StepMeters) -> None:
        self._link = link
        self._meters = meters
        self._opening = Opening(self._open)
        self._is_closed = False
        self.connection: Connection | None = None

    async def connected(self) -> Connection:
        """The connection, opened when there is none or when it was lost. Raises StepError."""
        connection = self.connection
        if connection is None or not connection.is_open:
            connection = await self._opening.wait()
        return connection

    def close(self) -> None:
        self._is_closed = True
        if self.connection is not None:
            self.connection.close()

    async def aclose(self) -> None:
        await self._opening.aclose()
        self.close()

    async def _open(self) -> Connection:
        connection = await self._link.open(self._meters)
        if self._is_closed:  # the minion has ended meanwhile
            connection.close()
        self.connection = connection
        return connection


class Link:
    """One client's side of the wire."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings = settings
        self._now = clock.now
        self._connector = Connector(settings.where, settings.address, settings.security, clock.now)
        self._shared: Seat | None = None
        self._is_reached = False

    def seat(self, minion: StepMinion, meters: StepMeters) -> Seat:
        """Where the minion finds its connection."""
        if not self.settings.is_per_minion:
            return self._everybodys(meters)
        seat = minion.resources.get(self)
        if seat is None:
            seat = minion.resources[self] = Seat(self, meters)
        return seat  # type: ignore[return-value]  # the key is this very link

    async def reach(self, meters: StepMeters) -> None:
        """See that the broker lets this client in. Raises StepError. Steps of the same client ask once."""
        if self._is_reached:
            return
        if self.settings.is_per_minion:
            (await self.open(None)).close()
        else:
            await self._everybodys(meters).connected()
        self._is_reached = True

    async def open(self, meters: StepMeters | None) -> Connection:
        """A new connection under a client identifier of its own. Raises StepError."""
        began = self._now()
        connection = await open_connection(self._connector, self.settings, client_id(self.settings))
        if meters is not None:
            meters.phase("connect", self._now() - began)
        return connection

    async def aclose(self) -> None:
        """Close what is shared; safe to call twice."""
        if self._shared is not None:
            await self._shared.aclose()
        await self._connector.aclose()

    def _everybodys(self, meters: StepMeters) -> Seat:
        if self._shared is None:
            self._shared = Seat(self, meters)
        return self._shared


def client_id(settings: Settings) -> str:
    """One that no other client has: a broker throws out the older one of two with the same."""
    return f"{settings.client_id_prefix}-{uuid4().hex[:12]}"
