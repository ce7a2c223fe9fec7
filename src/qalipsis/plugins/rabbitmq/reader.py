"""Reads a queue: the readers that `rabbitmq.consume` and `rabbitmq.subscribe` name."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4
from zlib import crc32

import aiormq
from aiormq.abc import AbstractChannel, DeliveredMessage
from pamqp.commands import Basic

from qalipsis.engine.source import Reader, ReaderRuntime
from qalipsis.engine.step import StepError
from qalipsis.engine.unavailable import unavailable
from qalipsis.errors import ConfigurationError
from qalipsis.plugins.brokers.bad_records import BadRecords
from qalipsis.plugins.brokers.connect import Connector
from qalipsis.plugins.brokers.ending import end
from qalipsis.plugins.brokers.inbox import Inbox
from qalipsis.plugins.brokers.payload import decoder
from qalipsis.plugins.brokers.recovery import recovered
from qalipsis.plugins.rabbitmq.connection import close_connection, open_channel, open_connection
from qalipsis.plugins.rabbitmq.failures import FAILURES, channel_failure
from qalipsis.plugins.rabbitmq.records import Message
from qalipsis.plugins.rabbitmq.spec import Consume, Subscribe

EXPIRY_MS = 60_000
"""How long the queue of a subscription outlives its last reader: longer than one tries to come back."""

_log = logging.getLogger(__name__)


def open_consume(spec: Consume[Any]) -> Reader:
    """What the registry calls for each reading of a queue."""
    return ConsumeReader(spec)


def open_subscribe(spec: Subscribe[Any]) -> Reader:
    """What the registry calls for each reading of an exchange."""
    return SubscribeReader(spec)


class Session:
    """A connection that reads; used until it is lost, and then never again."""

    def __init__(self, connection: aiormq.Connection, channel: AbstractChannel) -> None:
        self.connection = connection
        self.channel = channel
        self.consumer = ""
        """The tag of the consumer; empty while it pauses."""
        self.lost: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
        for closing in (connection.closing, channel.closing):
            closing.add_done_callback(self._closed)
        channel.on_consumer_cancel_callbacks.add(self._cancelled)

    def lose(self, why: BaseException) -> None:
        if not self.lost.done():
            self.lost.set_result(why)

    def _closed(self, closing: asyncio.Future[Any]) -> None:
        error = None if closing.cancelled() else closing.exception()
        self.lose(error or ConnectionError("it was closed"))

    async def _cancelled(self, frame: Any) -> None:
        self.lose(ConnectionError("the broker ended the reading, as it does when the queue is deleted"))


class QueueReader:
    """What all readers share: one queue, read by one consumer of one worker."""

    def __init__(self, spec: Consume[Any] | Subscribe[Any], prefetch: int, ack: bool) -> None:
        self._client = spec.client
        self._name = spec.default_name()
        self._settings = spec.client.settings()
        self._decode = decoder(spec.decode)
        self._prefetch = prefetch
        self._ack = ack
        self._is_exclusive = False
        self._connector: Connector | None = None
        self._session: Session | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._inbox: Inbox[tuple[int, Message[Any]]] = Inbox()

    # what a kind of reader says

    async def _find_queue(self, channel: AbstractChannel) -> str:
        """The name of the queue to read, made if that is the reader's business. May raise what drivers do."""
        raise NotImplementedError

    async def _leave(self, channel: AbstractChannel) -> None:
        """Remove what the reader has made. May raise what drivers do."""

    @property
    def _about(self) -> str:
        """What is read, for messages."""
        raise NotImplementedError

    # what the engine calls

    async def open(self, runtime: ReaderRuntime) -> None:
        self._meters = runtime.meters
        self._bad = BadRecords(self._name, runtime)
        self._now = runtime.clock.now
        self._epoch = runtime.clock.epoch(0.0)
        place = self._client.location
        settings = self._settings
        try:
            self._connector = Connector(settings.where, settings.address, settings.security, self._now)
        except ConfigurationError as error:
            raise ConfigurationError(f"{place}: {error}") from error
        try:
            self._session = await self._reading()
        except StepError as error:
            raise unavailable(self._hinted(error), place, self._client) from error
        self._keeper = asyncio.create_task(self._keep_reading(self._session))

    async def batches(self) -> AsyncIterator[Sequence[Message[Any]]]:
        while True:
            batch = await self._inbox.take()
            if await self._acknowledge(batch[-1][0]):
                self._meters.count("records-consumed", len(batch))
                yield [message for _, message in batch]

    async def aclose(self) -> None:
        if self._keeper is not None:
            await end(self._keeper)
            self._keeper = None
        session, self._session = self._session, None
        if session is not None:
            await self._end(session)
        if self._connector is not None:
            await self._connector.aclose()

    # inside

    def _hinted(self, error: StepError) -> StepError:
        """The same, with what to do where only this kind of reader knows."""
        return error

    async def _reading(self) -> Session:
        """A session whose consumer the broker has confirmed. Raises StepError."""
        settings = self._settings
        assert self._connector is not None
        began = self._now()
        connection = await open_connection(self._connector, settings)
        try:
            self._meters.phase("connect", self._now() - began)
            channel = await open_channel(connection, settings, has_confirms=False)
            session = Session(connection, channel)
            try:
                async with asyncio.timeout(settings.timeout):
                    self._queue = await self._find_queue(channel)
                    await channel.basic_qos(prefetch_count=self._prefetch)
                    await self._consume(session)
            except TimeoutError as error:
                raise StepError(
                    "timeout",
                    f"{settings.where} did not let {self._about} be read within {settings.timeout:g} s",
                ) from error
            except FAILURES as error:
                raise channel_failure(error, settings, self._about) from error
        except BaseException:
            await close_connection(connection)
            raise
        return session

    async def _consume(self, session: Session) -> None:
        async def receive(message: DeliveredMessage) -> None:
            await self._receive(session, message)

        # The tag is chosen here: messages may come before the broker's answer is read.
        session.consumer = f"qalipsis-{uuid4().hex}"
        await session.channel.basic_consume(
            self._queue,
            receive,
            no_ack=not self._ack,
            exclusive=self._is_exclusive,
            consumer_tag=session.consumer,
        )

    async def _receive(self, session: Session, message: DeliveredMessage) -> None:
        received_at = self._epoch + self._now()
        if session.lost.done():
            return  # the broker hands it out again
        assert isinstance(message.delivery, Basic.Deliver)
        tag = message.delivery.delivery_tag or 0
        raw = message.body
        self._meters.bytes(0, len(raw))
        try:
            body = self._decode(raw)
        except Exception as error:
            self._bad.skip(f"with the routing key {message.delivery.routing_key!r}", error)
            if self._ack:
                await session.channel.basic_ack(tag, wait=False)
            return
        self._inbox.put((tag, _message(message, message.delivery, body, received_at)))
        if not self._ack and len(self._inbox) >= self._prefetch and session.consumer:
            # Nothing else holds a broker back that waits for no acknowledgement.
            consumer, session.consumer = session.consumer, ""
            await session.channel.basic_cancel(consumer)

    async def _acknowledge(self, tag: int) -> bool:
        """Take a batch off the queue, up to its last tag; False when the broker will hand it out again."""
        session = self._session
        assert session is not None
        if session.lost.done():
            return not self._ack
        try:
            async with asyncio.timeout(self._settings.timeout):
                if self._ack:
                    await session.channel.basic_ack(tag, multiple=True, wait=False)
                elif not session.consumer and len(self._inbox) <= self._prefetch // 2:
                    await self._consume(session)
        except (TimeoutError, *FAILURES) as error:
            session.lose(error)
            return not self._ack
        return True

    async def _keep_reading(self, session: Session) -> None:
        try:
            while True:
                error = await asyncio.shield(session.lost)
                if self._ack:
                    self._inbox.records.clear()  # not acknowledged: they come again
                await close_connection(session.connection)
                why = channel_failure(error, self._settings, self._about)
                session = self._session = await recovered(self._reading, why)
                self._meters.count("reconnects")
                _log.warning("%s reads %s again", self._name, self._about)
        except StepError as failure:
            self._inbox.fail(failure)
        except Exception as error:  # a reader that stays silent would look like a service that does
            _log.exception("reading %s broke", self._about)
            self._inbox.fail(StepError(type(error).__name__, str(error)))

    async def _end(self, session: Session) -> None:
        try:
            async with asyncio.timeout(self._settings.timeout):
                if session.consumer and not session.lost.done():
                    await session.channel.basic_cancel(session.consumer)
                    await self._leave(session.channel)
        except (TimeoutError, *FAILURES) as error:
            _log.debug("%s was not left in order: %s", self._about, error)
        await close_connection(session.connection)


class ConsumeReader(QueueReader):
    """Reads a queue that others have made."""

    def __init__(self, spec: Consume[Any]) -> None:
        super().__init__(spec, spec.prefetch, spec.ack)
        self._of: str = spec.queue

    async def open(self, runtime: ReaderRuntime) -> None:
        # Who must see every message cannot share a queue. The broker refuses a second exclusive reader, be it
        # another worker or the service under test, instead of giving each a part that looks like the whole.
        self._is_exclusive = runtime.group is None
        await super().open(runtime)

    async def _find_queue(self, channel: AbstractChannel) -> str:
        return self._of

    def _hinted(self, error: StepError) -> StepError:
        if error.kind != "exclusive":
            return error
        return StepError(
            error.kind,
            f"{error}\n    a join or broadcast needs every message, and a queue gives each to one reader: "
            "read its exchange with subscribe(…), or let nobody else read the queue and use one worker",
        )

    @property
    def _about(self) -> str:
        return f"the queue {self._of!r}"


class SubscribeReader(QueueReader):
    """Reads what an exchange routes, through a queue of the reader or of its group."""

    def __init__(self, spec: Subscribe[Any]) -> None:
        super().__init__(spec, spec.prefetch, ack=True)
        self._exchange: str = spec.exchange
        self._routing_key: str = spec.routing_key

    async def open(self, runtime: ReaderRuntime) -> None:
        self._own = _short(runtime.group) if runtime.group else f"qalipsis-{uuid4().hex}"
        await super().open(runtime)

    async def _find_queue(self, channel: AbstractChannel) -> str:
        # Durable and expiring, not exclusive: it goes on collecting while a reader is cut off, also while the
        # broker restarts, and is gone a minute after a reader that was killed.
        await channel.queue_declare(self._own, durable=True, arguments={"x-expires": EXPIRY_MS})
        await channel.queue_bind(self._own, self._exchange, self._routing_key)
        return self._own

    async def _leave(self, channel: AbstractChannel) -> None:
        await channel.queue_delete(self._own, if_unused=True)

    @property
    def _about(self) -> str:
        return f"the exchange {self._exchange!r}"


def _short(name: str) -> str:
    """A queue's name has 255 bytes at most; what is cut off is replaced by a number that stays the same."""
    if len(name.encode()) <= 255:
        return name
    return f"{name.encode()[:200].decode(errors='ignore')}-{crc32(name.encode()):08x}"


def _message(
    message: DeliveredMessage, delivery: Basic.Deliver, body: Any, received_at: float
) -> Message[Any]:
    properties = message.header.properties
    return Message(
        body=body,
        raw=message.body,
        headers=properties.headers or {},
        routing_key=delivery.routing_key or "",
        exchange=delivery.exchange or "",
        message_id=properties.message_id,
        correlation_id=properties.correlation_id,
        timestamp=_epoch(properties.timestamp),
        is_redelivered=bool(delivery.redelivered),
        received_at=received_at,
    )


def _epoch(timestamp: datetime | None) -> float | None:
    if timestamp is None:
        return None
    return (timestamp if timestamp.tzinfo else timestamp.replace(tzinfo=UTC)).timestamp()
