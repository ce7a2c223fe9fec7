"""What the steps of one client share in a worker: addresses, TLS, the seats of minions."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, MutableMapping
from typing import Any

from qalipsis.clock import Clock
from qalipsis.engine.step import StepMinion, Wheel
from qalipsis.metrics.meters import StepMeters
from qalipsis.plugins.tcp.connect import SHUTDOWN_SECONDS, Connector
from qalipsis.plugins.tcp.exchange import Commons, Connection, Exchange
from qalipsis.plugins.tcp.seat import Seat
from qalipsis.plugins.tcp.settings import Settings
from qalipsis.plugins.tcp.spec import TcpClient


class Agent:
    """One client's side of the wire; closed when the last step is."""

    def __init__(self, settings: Settings, clock: Clock, wheel: Wheel) -> None:
        self.settings = settings
        self._commons = Commons(settings, clock.now, wheel)
        self._connector = Connector(settings, clock.now)
        self._is_reached = False
        self._tasks: set[asyncio.Task[None]] = set()

    def seat(self, minion: StepMinion) -> Seat:
        """The minion's seat, made when it comes for the first time."""
        seat = minion.resources.get(self)
        if seat is None:
            seat = minion.resources[self] = Seat()
        return seat  # type: ignore[return-value]  # the key is this very agent's

    async def connect(self, seat: Seat, opener: Exchange, meters: StepMeters) -> None:
        """Open the seat's connection, on which the exchange sends at once. Raises StepError."""
        _, timings = await self._connector.open(lambda: Connection(self._commons, seat, opener))
        for phase, seconds in zip(timings._fields, timings, strict=True):
            if seconds:
                meters.phase(phase, seconds)

    async def reach(self) -> None:
        """Open a connection and close it again, unmeasured. Raises StepError."""
        if not self._is_reached:
            visitor, _ = await self._connector.open(Visitor)
            visitor.leave()
            self._is_reached = True

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something that connects; it is cancelled when the agent closes."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def aclose(self) -> None:
        """End what is still connecting or leaving; safe to call twice."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._connector.aclose()
        await self._commons.wait_left(SHUTDOWN_SECONDS + 0.5)


class Visitor(asyncio.Protocol):
    """Looks whether somebody is there."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def leave(self) -> None:
        self._transport.close()


def agent_of(client: TcpClient, shared: MutableMapping[Any, Any], clock: Clock, wheel: Wheel) -> Agent:
    """The client's agent in a scenario of a worker, made when it is asked for first.

    Raises ConfigurationError when the client's certificates cannot be used.
    """
    agent = shared.get(client)
    if agent is None:
        agent = shared[client] = Agent(client.settings(), clock, wheel)
    return agent
