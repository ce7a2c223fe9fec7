"""The connections that the producing steps of one client use in a worker."""

from __future__ import annotations

import aiormq
from aiormq.abc import AbstractChannel

from qalipsis.clock import Clock
from qalipsis.metrics.meters import StepMeters
from qalipsis.plugins.brokers.connect import Connector
from qalipsis.plugins.brokers.opening import Opening
from qalipsis.plugins.rabbitmq.connection import close_connection, open_channel, open_connection
from qalipsis.plugins.rabbitmq.settings import Settings


class Line:
    """One connection, opened when first needed, and again when it was lost."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._opening: Opening[aiormq.Connection] = Opening(self._open)
        self._connection: aiormq.Connection | None = None
        self._meters: StepMeters | None = None

    async def connected(self, meters: StepMeters) -> aiormq.Connection:
        """Raises StepError."""
        connection = self._connection
        if connection is None or not connection.is_opened:
            self._meters = meters
            connection = await self._opening.wait()
        return connection

    async def aclose(self) -> None:
        await self._opening.aclose()
        if self._connection is not None:
            await close_connection(self._connection)

    async def _open(self) -> aiormq.Connection:
        link = self._link
        began = link.now()
        connection = self._connection = await open_connection(link.connector, link.settings)
        if self._meters is not None:
            self._meters.phase("connect", link.now() - began)
        return connection


class Link:
    """One client's side of the wire."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings = settings
        self.now = clock.now
        self.connector = Connector(settings.where, settings.address, settings.security, clock.now)
        self.lines = tuple(Line(self) for _ in range(settings.connections))

    async def aclose(self) -> None:
        """Safe to call twice."""
        for line in self.lines:
            await line.aclose()
        await self.connector.aclose()


class Lane:
    """A step's own channel on one connection.

    A channel ends with the first mistake on it, such as a missing exchange: steps must not share one.
    """

    def __init__(self, line: Line, settings: Settings, has_confirms: bool, meters: StepMeters) -> None:
        self._line = line
        self._settings = settings
        self._has_confirms = has_confirms
        self._meters = meters
        self._opening: Opening[AbstractChannel] = Opening(self._open)
        self._channel: AbstractChannel | None = None

    async def opened(self) -> AbstractChannel:
        """Raises StepError."""
        channel = self._channel
        if channel is None or channel.is_closed:
            channel = await self._opening.wait()
        return channel

    async def aclose(self) -> None:
        await self._opening.aclose()

    async def _open(self) -> AbstractChannel:
        connection = await self._line.connected(self._meters)
        self._channel = await open_channel(connection, self._settings, self._has_confirms)
        return self._channel
