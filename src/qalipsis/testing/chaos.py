"""A transport that does everything its promise allows: what reads from it had better tolerate it."""

from __future__ import annotations

import asyncio
from collections import deque
from random import Random
from typing import Final, Self

from qalipsis.cluster.codec import Undecodable, decode
from qalipsis.cluster.transport import Delivery, Subscription, Transport

LOST_FOR: Final = (4, 12)
"""Deliveries of other sources until a lost message has been sent again."""
LATE_BY: Final = (1, 3)
REPEATED_AFTER: Final = (0, 8)

QUIET_TURNS: Final = 5
"""Turns of the event loop without news, after which time has passed for what is held back. No clock is used:
the same seed and the same messages give the same disorder."""


class ChaosTransport:
    """Another transport whose deliveries are lost, repeated and reordered, each with its probability.

    The promise is kept. A lost message is sent again, and what its source said after it waits for that, as
    with every transport that keeps an order; meanwhile other sources go on. A repetition comes at any time
    after the message, also after later ones, and need not be acknowledged. Only messages of different sources
    change places. What is no message of ours counts as said by one nameless source.
    """

    def __init__(
        self,
        transport: Transport,
        seed: int,
        drop: float = 0.1,
        duplicate: float = 0.1,
        reorder: float = 0.1,
    ) -> None:
        self._transport = transport
        self._random = Random(seed)
        self._drop = drop
        self._duplicate = duplicate
        self._reorder = reorder
        self.dropped = 0
        self.duplicated = 0
        self.reordered = 0

    @property
    def is_connected(self) -> bool:
        return self._transport.is_connected

    async def publish(self, topic: str, body: bytes) -> None:
        await self._transport.publish(topic, body)

    def subscribe(self, topic: str) -> ChaosSubscription:
        return ChaosSubscription(self, self._transport.subscribe(topic))

    async def remove(self, topic: str) -> None:
        await self._transport.remove(topic)

    async def aclose(self) -> None:
        await self._transport.aclose()

    # For its subscriptions

    def fate(self) -> int:
        """For how many deliveries a message is held back."""
        if self._random.random() < self._drop:
            self.dropped += 1
            return self._random.randint(*LOST_FOR)
        if self._random.random() < self._reorder:
            self.reordered += 1
            return self._random.randint(*LATE_BY)
        return 0

    def repetition(self) -> int | None:
        """After how many further deliveries a message comes again, None for never."""
        if self._random.random() >= self._duplicate:
            return None
        self.duplicated += 1
        return self._random.randint(*REPEATED_AFTER)


class _Held:
    __slots__ = ("delivery", "wait")

    def __init__(self, delivery: Delivery, wait: int) -> None:
        self.delivery = delivery
        self.wait = wait


class ChaosSubscription:
    """See `cluster.transport.Subscription`."""

    def __init__(self, chaos: ChaosTransport, subscription: Subscription) -> None:
        self._chaos = chaos
        self._subscription = subscription
        self._coming: asyncio.Task[Delivery | Exception] | None = None
        self._sources: dict[str, deque[_Held]] = {}
        self._repetitions: list[_Held] = []

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Delivery:
        while True:
            self._collect()
            delivery = self._pick()
            if delivery is not None:
                self._pass()
                return delivery
            await self._wait()

    async def aclose(self) -> None:
        if self._coming is not None:
            self._coming.cancel()
            await asyncio.wait([self._coming])
        await self._subscription.aclose()

    async def _fetch(self) -> Delivery | Exception:
        try:
            return await anext(self._subscription)
        except Exception as error:  # told when the reader asks for it
            return error

    def _collect(self) -> None:
        """Take what has come; raises what the transport raised."""
        if self._coming is None or not self._coming.done():
            return
        came = self._coming.result()
        if isinstance(came, Exception):
            raise came
        self._coming = None
        self._sources.setdefault(_source(came.body), deque()).append(_Held(came, self._chaos.fate()))

    def _pick(self) -> Delivery | None:
        """What is delivered next, None while everything is held back."""
        for place, repetition in enumerate(self._repetitions):
            if repetition.wait <= 0:
                return self._repetitions.pop(place).delivery
        for source, waiting in self._sources.items():
            if waiting[0].wait > 0:
                continue
            delivery = waiting.popleft().delivery
            if not waiting:
                del self._sources[source]
            after = self._chaos.repetition()
            if after is not None:
                again = Delivery(delivery.topic, delivery.body, delivery.attempt, lambda reason: None)
                self._repetitions.append(_Held(again, after))
            return delivery
        return None

    def _pass(self) -> None:
        """Something was delivered, or nothing came for a while."""
        for held in (*(waiting[0] for waiting in self._sources.values()), *self._repetitions):
            held.wait -= 1

    async def _wait(self) -> None:
        # Not before: what is fetched counts as handed to this reader.
        if self._coming is None:
            self._coming = asyncio.create_task(self._fetch())
        if not self._sources and not self._repetitions:
            await asyncio.wait([self._coming])
            return
        for _ in range(QUIET_TURNS):
            await asyncio.sleep(0)
            if self._coming.done():
                return
        self._pass()


def _source(body: bytes) -> str:
    try:
        return decode(body).source
    except Undecodable:
        return ""
