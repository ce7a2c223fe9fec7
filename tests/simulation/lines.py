"""The network and the database as one machine of the cluster sees them: slow, away, cut off, forgetful."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

from qalipsis.cluster.memory import MemoryTransport
from qalipsis.cluster.transport import Delivery, Subscription
from qalipsis.errors import ServiceUnavailable, TransportClosed

SLOWEST_SECONDS = 0.02
"""Of a message or of a call of the store, when nothing is wrong."""


class Ice:
    """What the broker is in while it answers nobody, though all connections stay open."""

    def __init__(self) -> None:
        self.since: float | None = None
        self.turn = asyncio.Lock()
        """One standstill at a time."""
        self._is_thawed = asyncio.Event()
        self._is_thawed.set()

    def freeze(self) -> None:
        self.since = _now()
        self._is_thawed.clear()

    def thaw(self) -> None:
        self.since = None
        self._is_thawed.set()

    async def wait_thawed(self) -> None:
        await self._is_thawed.wait()


class Line:
    """A transport of one machine to the broker that all share; it keeps the transport's promise."""

    def __init__(
        self,
        broker: MemoryTransport,
        ice: Ice,
        notices_after: float,
        random: Random,
        overhear: Callable[[Line, bytes], None],
    ) -> None:
        """It notices so many seconds after the broker froze that nothing is answered.

        `overhear` is told of each message before it travels.
        """
        self.disturbed_at = _now()
        """When it was made, or anything was done to it last."""
        self._broker = broker
        self._ice = ice
        self._notices_after = notices_after
        self._random = random
        self._overhear = overhear
        self._order = asyncio.Lock()
        self._is_whole = asyncio.Event()
        self._is_whole.set()
        self._lost: str | None = None
        self._readings: list[_Reading] = []

    @property
    def is_connected(self) -> bool:
        is_answered = self._ice.since is None or _now() < self._ice.since + self._notices_after
        return self._is_whole.is_set() and is_answered

    @property
    def is_whole(self) -> bool:
        return self._is_whole.is_set()

    @property
    def is_lost(self) -> bool:
        return self._lost is not None

    # Faults

    def cut(self) -> None:
        """Nothing comes and goes until it is mended."""
        self.disturbed_at = _now()
        self._is_whole.clear()

    def mend(self) -> None:
        self.disturbed_at = _now()
        self._is_whole.set()

    def lose(self) -> None:
        """The patience of the transport is over: it is closed for good."""
        self._lost = "the broker did not answer for too long"
        self._is_whole.set()
        for reading in self._readings:
            reading.lost.set()

    # The transport

    async def publish(self, topic: str, body: bytes) -> None:
        async with self._order:
            self._overhear(self, body)
            await self._travel()
            await self._broker.publish(topic, body)

    def subscribe(self, topic: str) -> _Reading:
        reading = _Reading(self, self._broker.subscribe(topic), topic)
        self._readings.append(reading)
        return reading

    async def remove(self, topic: str) -> None:
        await self._travel()
        await self._broker.remove(topic)

    async def aclose(self) -> None:
        self._lost = self._lost or "it was closed"
        for reading in self._readings:
            await reading.aclose()
        self._is_whole.set()

    async def _travel(self) -> None:
        if self._random.random() < 0.5:
            await asyncio.sleep(self._random.random() * SLOWEST_SECONDS)
        await self.wait_whole()

    async def wait_whole(self) -> None:
        while not self._is_whole.is_set() or self._ice.since is not None:
            await self._is_whole.wait()
            await self._ice.wait_thawed()
        if self._lost is not None:
            raise TransportClosed(f"the line is down: {self._lost}")


class _Reading:
    """See `cluster.transport.Subscription`."""

    def __init__(self, line: Line, subscription: Subscription, topic: str) -> None:
        self.lost = asyncio.Event()
        self._line = line
        self._subscription = subscription
        self._topic = topic

    def __aiter__(self) -> _Reading:
        return self

    async def __anext__(self) -> Delivery:
        await self._line.wait_whole()
        delivery: asyncio.Future[Delivery] = asyncio.ensure_future(anext(self._subscription))
        lost = asyncio.ensure_future(self.lost.wait())
        try:
            await asyncio.wait([delivery, lost], return_when=asyncio.FIRST_COMPLETED)
            await self._line.wait_whole()
            return self._carried(delivery.result())
        finally:
            lost.cancel()
            delivery.cancel()

    async def aclose(self) -> None:
        await self._subscription.aclose()

    def _carried(self, delivery: Delivery) -> Delivery:
        def settle(reason: str | None) -> None:
            if not self._line.is_whole:
                return  # what it says is lost with the connection, so the message comes again
            delivery.acknowledge() if reason is None else delivery.set_aside(reason)

        return Delivery(delivery.topic, delivery.body, delivery.attempt, settle)


class Remote:
    """The store, or the directory, as one machine reaches it: every method of it, by way of the network."""

    def __init__(self, target: Any, weather: Weather, random: Random) -> None:
        self.doom = ""
        """When the machine dies of its next commit: before, or after it."""
        self.on_doom: Callable[[], None] = lambda: None
        self._target = target
        self._weather = weather
        self._random = random

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._target, name)

        async def call(*args: Any, **options: Any) -> Any:
            await self._travel()
            await self._meet_doom(name, "before")
            answer = await method(*args, **options)
            await self._meet_doom(name, "after")
            if name not in UNREPEATABLE and self._random.random() < self._weather.lost_answers:
                raise ServiceUnavailable(f"the connection broke before {name} was answered")
            if name != "wait_change":
                await self._travel()
            return answer

        return call

    async def _meet_doom(self, name: str, when: str) -> None:
        if name == "commit" and self.doom == when:
            self.on_doom()
            await asyncio.sleep(0)  # for ever

    async def _travel(self) -> None:
        if self._random.random() < 0.3:
            await asyncio.sleep(self._random.random() * SLOWEST_SECONDS)
        if self._weather.is_store_away:
            raise ServiceUnavailable("the store is away")


UNREPEATABLE = frozenset({"create_campaign"})
"""Who asked for it finds out by looking, as people do."""


def _now() -> float:
    return asyncio.get_running_loop().time()


class Weather:
    """What the whole cluster suffers from."""

    def __init__(self) -> None:
        self.is_store_away = False
        self.lost_answers = 0.0
