"""Turns the description of a message into traffic: the kind of step that `mqtt.publish` names."""

from __future__ import annotations

from typing import Any

from qalipsis.engine.step import ExecuteStep, StepContext, StepError, StepRuntime
from qalipsis.engine.traffic import Traffic
from qalipsis.engine.unavailable import unavailable
from qalipsis.errors import ConfigurationError
from qalipsis.plugins.brokers.deadline import Deadline
from qalipsis.plugins.brokers.parts import part
from qalipsis.plugins.brokers.payload import encoded
from qalipsis.plugins.mqtt.connection import Connection
from qalipsis.plugins.mqtt.link import Link
from qalipsis.plugins.mqtt.records import Published
from qalipsis.plugins.mqtt.spec import Publish
from qalipsis.plugins.mqtt.topics import checked_topic


def open_publish(spec: Publish[Any]) -> ExecuteStep:
    """What the registry calls for each such step of a plan."""
    return PublishStep(spec)


class PublishStep:
    """The messages of one step in one worker."""

    def __init__(self, spec: Publish[Any]) -> None:
        self._spec = spec
        self._settings = spec.client.settings()
        self._topic = part(spec.topic, checked_topic)
        self._payload = part(spec.payload, encoded)
        self._qos: int = spec.qos
        self._retain: bool = spec.retain

    async def open(self, runtime: StepRuntime) -> None:
        client = self._spec.client
        link = runtime.shared.get(client)
        if link is None:
            try:
                link = Link(self._settings, runtime.clock)
            except ConfigurationError as error:
                raise ConfigurationError(f"{self._spec.client.location}: {error}") from error
            runtime.shared[client] = link
        self._link: Link = link
        self._traffic = Traffic(runtime)
        self._meters = runtime.meters
        self._now = runtime.clock.now
        self._epoch = runtime.clock.epoch(0.0)

    async def reach(self) -> None:
        """See before the start that the broker lets the client in. Raises ServiceUnavailable."""
        try:
            await self._link.reach(self._meters)
        except StepError as error:
            raise unavailable(error, self._spec.client.location, self._spec.client) from error

    def connections(self, minions: int) -> dict[tuple[str, int], int]:
        address = self._settings.address
        return {(address.host, address.port): minions if self._settings.is_per_minion else 1}

    async def execute(self, context: StepContext) -> Published:
        topic, payload = self._topic(context), self._payload(context)
        deadline = Deadline(self._settings.timeout, self._settings.where)
        connection = await deadline.keep(self._ready(context), "took no message")
        sent = self._now()
        size = await self._traffic.request(
            lambda: deadline.keep(
                connection.publish(topic.encode(), payload, self._qos, self._retain), "confirmed no message"
            )
        )
        done = self._now()
        self._meters.bytes(size, 0)
        self._meters.count("records-produced")
        return Published(topic, self._epoch + sent, self._epoch + done)

    async def _ready(self, context: StepContext) -> Connection:
        """A connection that takes a message at once."""
        connection = await self._link.seat(context.minion, self._meters).connected()
        connection.check(self._qos, self._retain)
        await connection.wait_room(self._qos)
        return connection

    async def aclose(self) -> None:
        await self._link.aclose()
