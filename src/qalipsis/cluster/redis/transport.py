"""Carries messages through streams of Redis."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Final
from uuid import uuid4

from qalipsis.cluster.redis import keys
from qalipsis.cluster.redis.address import Address
from qalipsis.cluster.redis.faults import Passing
from qalipsis.cluster.redis.patience import Exhausted, Patience
from qalipsis.cluster.redis.reader import RedisSubscription
from qalipsis.cluster.redis.servers import Servers
from qalipsis.cluster.redis.writer import Writer
from qalipsis.errors import QalipsisError, ServiceUnavailable, TransportClosed

PATIENCE_SECONDS: Final = 30.0
"""How long Redis may be away. A failover of a cluster takes about 4 s, and up to 15 s on a busy machine."""

REMOVED_SECONDS: Final = 10
"""How long it stays written that a topic was removed, for its publishers to see."""

_log = logging.getLogger(__name__)


class RedisTransport:
    """See `cluster.transport.Transport`: a stream for each topic, read through a group of consumers.

    Publishers number their messages, and keep them until the reader has written into a hash beside the
    stream that it is done with them. So nothing depends on what Redis still has after a restart, a wipe or a
    failover: a reader sees from the numbers what is missing, and is sent it again, in order.
    """

    def __init__(self, address: Address, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._address = address
        self._patience_seconds = patience_seconds
        self._servers = Servers(address)
        self._writers: dict[str, tuple[Writer, asyncio.Task[None]]] = {}
        self._subscriptions: set[RedisSubscription] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._away: set[Patience] = set()
        self._failure: QalipsisError | None = None
        self._is_closed = False

    @property
    def is_connected(self) -> bool:
        return not self._away and self._servers.is_answering

    async def open(self) -> None:
        """Connect and log in; raises ServiceUnavailable with what is to be done."""
        await self._servers.open()

    async def publish(self, topic: str, body: bytes) -> None:
        if self._failure is not None or self._is_closed:
            raise self._why_not(topic)
        if topic not in self._writers:
            writer = Writer(self._servers, topic, self._make_patience())
            self._writers[topic] = writer, self._run(topic, writer.run())
        await self._writers[topic][0].publish(body)

    def subscribe(self, topic: str) -> RedisSubscription:
        subscription = RedisSubscription(
            self._servers, topic, self._make_patience, self._run, self._subscriptions.discard
        )
        if self._failure is not None or self._is_closed:
            subscription.end(self._failure)
        else:
            self._subscriptions.add(subscription)
        return subscription

    async def remove(self, topic: str) -> None:
        for subscription in [each for each in self._subscriptions if each.topic == topic]:
            await subscription.aclose()
        if topic in self._writers:
            writer, task = self._writers.pop(topic)
            await _ended(task)
            writer.end(None)
        patience = self._make_patience()
        try:
            await self._unlink(topic, patience)
        finally:
            patience.answered()  # whoever was cancelled does not wait for Redis any more

    async def _unlink(self, topic: str, patience: Patience) -> None:
        while True:
            try:
                # Its publishers look there, and forget what they hold.
                await self._servers.ask(
                    keys.stream(topic),
                    [
                        ("UNLINK", keys.stream(topic)),
                        ("UNLINK", keys.dead(topic)),
                        ("UNLINK", keys.receipts(topic)),
                        ("HSET", keys.receipts(topic), keys.REMOVAL, uuid4().hex),
                        ("EXPIRE", keys.receipts(topic), REMOVED_SECONDS),
                    ],
                )
            except Passing as error:
                try:
                    await patience.wait(error)
                except Exhausted as exhausted:
                    raise TransportClosed(f"{exhausted}: the topic {topic} was not removed") from error
            else:
                return

    async def aclose(self) -> None:
        self._is_closed = True
        for subscription in tuple(self._subscriptions):
            await subscription.aclose()
        for task in tuple(self._tasks):
            await _ended(task)
        for topic, (writer, _) in self._writers.items():
            writer.end(self._why_not(topic))
        await self._servers.aclose()

    def _make_patience(self) -> Patience:
        return Patience(self._patience_seconds, self._away)

    def _run(self, topic: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(self._attend(topic, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _attend(self, topic: str, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exhausted as error:
            self._fail(TransportClosed(f"{error}: messages of {topic} cannot be carried any more"))
        except ServiceUnavailable as error:
            self._fail(error)
        except Exception as error:  # a mistake of ours must not leave anybody waiting for ever
            _log.exception("the transport of %s failed", topic)
            self._fail(TransportClosed(f"the transport failed with {error!r}"))

    def _fail(self, error: QalipsisError) -> None:
        """Nothing can be carried any more, by anybody."""
        if self._failure is not None or self._is_closed:
            return
        self._failure = error
        for subscription in self._subscriptions:
            subscription.end(self._why_not(subscription.topic))
        for topic, (writer, _) in self._writers.items():
            writer.end(self._why_not(topic))

    def _why_not(self, topic: str) -> QalipsisError:
        if self._failure is None:
            return TransportClosed(f"the transport was closed before a message was published to {topic}")
        if isinstance(self._failure, ServiceUnavailable):
            return ServiceUnavailable(str(self._failure))
        return TransportClosed(f"{self._failure} (topic {topic})")


async def _ended(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])
