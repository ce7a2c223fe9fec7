"""Reads a subscription: the reader that `mqtt.subscribe` names."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from typing import Any

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
from qalipsis.plugins.mqtt import topics, wire
from qalipsis.plugins.mqtt.connection import Connection, open_connection
from qalipsis.plugins.mqtt.link import client_id
from qalipsis.plugins.mqtt.records import Message
from qalipsis.plugins.mqtt.spec import Subscribe

SESSION_SECONDS = 60
"""How long a broker keeps the messages (QoS 1 and 2) of a reader that was cut off: longer than it tries."""

_log = logging.getLogger(__name__)


def open_subscribe(spec: Subscribe[Any]) -> Reader:
    """What the registry calls for each reading of a subscription."""
    return SubscribeReader(spec)


class SubscribeReader:
    """One subscription of one worker."""

    def __init__(self, spec: Subscribe[Any]) -> None:
        self._spec = spec
        self._settings = spec.client.settings()
        self._decode = decoder(spec.decode)
        self._qos: int = spec.qos
        self._buffer: int = spec.buffer
        self._filter: str = spec.topic_filter
        self._client_id = client_id(self._settings)
        self._connector: Connector | None = None
        self._connection: Connection | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._unreleased: set[int] = set()
        self._dropped = 0

    async def open(self, runtime: ReaderRuntime) -> None:
        self._inbox: Inbox[Message[Any]] = Inbox()
        self._meters = runtime.meters
        self._bad = BadRecords(self._spec.default_name(), runtime)
        self._now = runtime.clock.now
        self._epoch = runtime.clock.epoch(0.0)
        place = self._spec.client.location
        settings = self._settings
        try:
            self._connector = Connector(
                settings.where, settings.address, settings.security, runtime.clock.now
            )
        except ConfigurationError as error:
            raise ConfigurationError(f"{place}: {error}") from error
        try:
            if runtime.group is not None:
                self._filter = self._shared(runtime.group)
            self._connection = await self._subscribed(is_first=True)
        except StepError as error:
            raise unavailable(error, place, self._spec.client) from error
        self._keeper = asyncio.create_task(self._keep_connected(self._connection))

    async def batches(self) -> AsyncIterator[Sequence[Message[Any]]]:
        while True:
            batch = await self._inbox.take()
            self._meters.count("records-consumed", len(batch))
            yield batch

    async def aclose(self) -> None:
        if self._keeper is not None:
            await end(self._keeper)
            self._keeper = None
        if self._connection is not None:
            self._connection.close(forget=True)
            self._connection = None
        if self._connector is not None:
            await self._connector.aclose()
        if self._dropped > 1:
            _log.warning("%s: %d messages were dropped in all", self._spec.default_name(), self._dropped)

    def _shared(self, group: str) -> str:
        if self._settings.version != 5:
            raise StepError(
                "unsupported",
                "MQTT 3.1.1 has no subscriptions that workers share, which unicast() and zip need: "
                "use version=5, or .broadcast()",
            )
        return topics.shared(group, self._filter)

    async def _subscribed(self, is_first: bool) -> Connection:
        """A connection whose subscription the broker has confirmed."""
        settings = self._settings
        assert self._connector is not None
        began = self._now()
        connection = await open_connection(
            self._connector,
            settings,
            self._client_id,
            self._receive,
            is_clean=is_first or settings.version != 5,
            session_seconds=SESSION_SECONDS if settings.version == 5 else 0,
            unreleased=self._unreleased,
        )
        try:
            self._meters.phase("connect", self._now() - began)
            welcome = connection.welcome
            if self._filter is not self._spec.topic_filter and not welcome.can_share:
                raise StepError(
                    "unsupported",
                    f"{settings.where} has no shared subscriptions, which unicast() needs; use .broadcast()",
                )
            if not welcome.has_session:
                try:
                    async with asyncio.timeout(settings.timeout):
                        await connection.subscribe(self._filter, self._qos, sends_retained=is_first)
                except TimeoutError as error:
                    raise StepError(
                        "timeout",
                        f"{settings.where} confirmed no subscription within {settings.timeout:g} s",
                    ) from error
        except BaseException:
            connection.abort()
            raise
        if not is_first:
            self._meters.count("reconnects")
            missed = "" if welcome.has_session and self._qos else "; messages of the meantime may be missing"
            _log.warning("%s reads %s again%s", self._spec.default_name(), settings.where, missed)
        return connection

    async def _keep_connected(self, connection: Connection) -> None:
        try:
            while True:
                why = await asyncio.shield(connection.lost)
                connection = self._connection = await recovered(lambda: self._subscribed(is_first=False), why)
        except StepError as error:
            self._inbox.fail(error)
        except Exception as error:  # a reader that stays silent would look like a service that does
            _log.exception("reading %s broke", self._settings.where)
            self._inbox.fail(StepError(type(error).__name__, str(error)))

    def _receive(self, message: wire.Received) -> None:
        received_at = self._epoch + self._now()
        raw = message.payload
        self._meters.bytes(0, len(raw))
        if len(self._inbox) >= self._buffer:
            self._drop()
            return
        try:
            payload = self._decode(raw)
        except Exception as error:
            self._bad.skip(f"of {message.topic}", error)
            return
        self._inbox.put(Message(message.topic, payload, raw, message.qos, message.is_retained, received_at))

    def _drop(self) -> None:
        self._dropped += 1
        self._meters.count("records-dropped")
        if self._dropped == 1:
            _log.warning(
                "%s: %d messages wait to be taken, so newer ones are dropped and counted as records-dropped; "
                "take them faster, or give subscribe(…) a larger buffer",
                self._spec.default_name(),
                self._buffer,
            )
