"""What the steps of one client share in a worker: addresses, TLS, connections, heads seen before."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from math import inf
from typing import Any

from qalipsis.clock import Clock
from qalipsis.engine.step import StepError, StepMinion, Wheel
from qalipsis.metrics.meters import StepMeters
from qalipsis.plugins.http.connect import Connector, Opener
from qalipsis.plugins.http.exchange import Commons, Connection
from qalipsis.plugins.http.message import Message
from qalipsis.plugins.http.pool import OnDemand, Pool, Seat, Supply
from qalipsis.plugins.http.proxy import authorization
from qalipsis.plugins.http.settings import Settings
from qalipsis.plugins.http.url import Target

CONNECTING_AT_ONCE = 100
"""During the warm-up: more would overflow the backlog of many servers."""


class Agent:
    """One client's side of the wire; closed when the last step is."""

    def __init__(
        self, settings: Settings, clock: Clock, wheel: Wheel, connector: Opener | None = None
    ) -> None:
        self.settings = settings
        self.origin = settings.target.origin
        self._now = clock.now
        self._wheel = wheel
        self._commons = Commons(clock.now, wheel, settings.max_body)
        self._connector = connector or Connector(settings, clock.now)
        self._on_demand = OnDemand()
        self._is_reached = False
        self._pools: dict[tuple[str, str, int], Pool] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        proxy = settings.proxy
        self._forwards = proxy is not None and proxy.scheme == "http"
        self._proxy_authorization = None if proxy is None else authorization(proxy)

    def seat(self, minion: StepMinion) -> Seat:
        """The minion's seat, made when it comes for the first time."""
        seat = minion.resources.get(self)
        if seat is None:
            seat = minion.resources[self] = Seat(self.origin)
        return seat  # type: ignore[return-value]  # the key is this very agent's

    def supply(self, seat: Seat, origin: tuple[str, str, int]) -> Supply:
        """Where a request of the minion on this seat finds its connection."""
        mode = self.settings.connections
        if mode == "per-minion":
            return seat
        if mode == "on-demand":
            return self._on_demand
        return self._pool(origin)

    def head(self, message: Message) -> bytes:
        """The head as the first stop wants it."""
        if self._forwards and not message.target.is_tls:
            return message.head_for_proxy(self._proxy_authorization)
        return message.head

    async def connect(
        self, target: Target, supply: Supply, meters: StepMeters | None, patience: float = inf
    ) -> Connection:
        """A connection that belongs to `supply`; its phases are recorded in `meters`. Raises StepError."""
        origin = self.origin if target.origin == self.origin else target.origin
        connection, timings = await self._connector.open(
            target, lambda: Connection(self._commons, origin, supply), patience
        )
        connection.timings = timings
        for phase, seconds in zip(timings._fields, timings, strict=True):
            if seconds and meters is not None:
                meters.phase(phase, seconds)
        return connection

    async def reach(self) -> None:
        """Open a connection to the client's target and close it again, unmeasured. Raises StepError."""
        if not self._is_reached:
            connection = await self.connect(self.settings.target, self._on_demand, None)
            connection.close()
            self._is_reached = True

    async def warm_up(self, minions: list[StepMinion], meters: StepMeters) -> None:
        """Open what the minions will need first. Raises StepError."""
        mode = self.settings.connections
        if mode == "per-minion":
            seats = [seat for seat in map(self.seat, minions) if seat.connection is None]
            supplies: list[Supply] = [*seats]
        elif mode == "pool":
            pool = self._pool(self.origin)
            supplies = [pool] * min(pool.room, len(minions))
        else:
            return
        for start in range(0, len(supplies), CONNECTING_AT_ONCE):
            async with asyncio.TaskGroup() as group:
                for supply in supplies[start : start + CONNECTING_AT_ONCE]:
                    group.create_task(self._connect_ahead(supply, meters))

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something that connects; it is cancelled when the agent closes."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def aclose(self) -> None:
        """Close the pools and what is still connecting; safe to call twice."""
        for pool in self._pools.values():
            pool.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._connector.aclose()

    def _pool(self, origin: tuple[str, str, int]) -> Pool:
        pool = self._pools.get(origin)
        if pool is None:
            pool = self._pools[origin] = Pool(self.settings.pool_size, self._now, self._wheel)
        return pool

    async def _connect_ahead(self, supply: Supply, meters: StepMeters) -> None:
        supply.reserve()
        try:
            connection = await self.connect(self.settings.target, supply, meters)
        except BaseException:
            supply.missed()
            raise
        if not connection.is_open:
            raise StepError("reset", "the server closed a connection as soon as it was open")
        supply.added(connection)
        supply.freed(connection)
