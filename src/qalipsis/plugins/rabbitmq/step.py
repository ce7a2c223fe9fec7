"""Turns the description of a message into traffic: the kind of step that `rabbitmq.produce` names."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from aiormq import exceptions
from aiormq.abc import AbstractChannel
from pamqp.commands import Basic

from qalipsis.engine.step import ExecuteStep, StepContext, StepError, StepRuntime
from qalipsis.engine.traffic import Traffic
from qalipsis.engine.unavailable import unavailable
from qalipsis.errors import ConfigurationError
from qalipsis.plugins.brokers.deadline import Deadline
from qalipsis.plugins.brokers.parts import part
from qalipsis.plugins.brokers.payload import encoded
from qalipsis.plugins.rabbitmq.connection import open_channel
from qalipsis.plugins.rabbitmq.failures import FAILURES, channel_failure
from qalipsis.plugins.rabbitmq.link import Lane, Link
from qalipsis.plugins.rabbitmq.properties import checked_property, checked_short
from qalipsis.plugins.rabbitmq.records import Produced
from qalipsis.plugins.rabbitmq.spec import Produce

PERSISTENT = 2
TRANSIENT = 1
PROPERTY_NAMES = {"type": "message_type"}
"""Where the driver's name differs from ours."""


def open_produce(spec: Produce[Any]) -> ExecuteStep:
    """What the registry calls for each such step of a plan."""
    return ProduceStep(spec)


class ProduceStep:
    """The messages of one step in one worker."""

    def __init__(self, spec: Produce[Any]) -> None:
        self._spec = spec
        self._settings = spec.client.settings()
        self._exchange = part(spec.exchange, partial(checked_short, "exchange"))
        self._routing_key = part(spec.routing_key, partial(checked_short, "routing_key"))
        self._body = part(spec.body, encoded)
        self._properties = tuple(
            (PROPERTY_NAMES.get(name, name), part(value, partial(checked_property, name)))
            for name, value in spec.properties.items()
        )
        self._delivery_mode = PERSISTENT if spec.persistent else TRANSIENT
        self._confirm: bool = spec.confirm
        self._mandatory: bool | None = spec.mandatory if spec.confirm else False
        self._lanes: tuple[Lane, ...] = ()
        self._turn = 0

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
        self._lanes = tuple(Lane(line, self._settings, self._confirm, runtime.meters) for line in link.lines)
        self._traffic = Traffic(runtime)
        self._meters = runtime.meters
        self._now = runtime.clock.now
        self._epoch = runtime.clock.epoch(0.0)

    async def reach(self) -> None:
        """See before the start that the broker lets the client in, and has what the step sends to.

        Raises ServiceUnavailable.
        """
        try:
            await self._look()
        except StepError as error:
            raise unavailable(error, self._spec.client.location, self._spec.client) from error

    def connections(self, minions: int) -> dict[tuple[str, int], int]:
        address = self._settings.address
        return {(address.host, address.port): self._settings.connections}

    async def execute(self, context: StepContext) -> Produced:
        exchange: str = self._exchange(context)
        routing_key: str = self._routing_key(context)
        body: bytes = self._body(context)
        properties = Basic.Properties(
            delivery_mode=self._delivery_mode, **{name: make(context) for name, make in self._properties}
        )
        mandatory = self._mandatory if self._mandatory is not None else not exchange
        lane = self._lanes[self._turn]
        self._turn = (self._turn + 1) % len(self._lanes)
        deadline = Deadline(self._settings.timeout, self._settings.where)
        channel = await deadline.keep(lane.opened(), "took no message")
        sent = self._now()
        await self._traffic.request(
            lambda: deadline.keep(
                self._send(channel, exchange, routing_key, body, properties, mandatory),
                "confirmed no message",
            )
        )
        done = self._now()
        self._meters.bytes(len(body), 0)
        self._meters.count("records-produced")
        return Produced(self._epoch + sent, self._epoch + done)

    async def aclose(self) -> None:
        for lane in self._lanes:
            await lane.aclose()
        await self._link.aclose()

    async def _send(
        self,
        channel: AbstractChannel,
        exchange: str,
        routing_key: str,
        body: bytes,
        properties: Basic.Properties,
        mandatory: bool,
    ) -> None:
        where = self._settings.where
        try:
            await channel.basic_publish(
                body,
                exchange=exchange,
                routing_key=routing_key,
                properties=properties,
                mandatory=mandatory,
            )
        except exceptions.PublishError as error:
            raise StepError(
                "unroutable",
                f"{where} has no queue for messages to {_target(exchange)} with the routing key "
                f"{routing_key!r}; create one, or say mandatory=False",
            ) from error
        except exceptions.DeliveryError as error:
            raise StepError(
                "refused", f"{where} did not take responsibility for a message to {_target(exchange)}"
            ) from error
        except FAILURES as error:
            why: BaseException | None = None
            if isinstance(error, exceptions.ChannelInvalidStateError):
                # Closed, or being closed: the end of that says what for.
                closing = channel.closing
                await asyncio.wait((closing,))
                why = None if closing.cancelled() else closing.exception()
            raise channel_failure(why or error, self._settings, _target(exchange)) from error

    async def _look(self) -> None:
        spec, settings = self._spec, self._settings
        connection = await self._link.lines[0].connected(self._meters)
        is_to_queue = spec.exchange == "" and isinstance(spec.routing_key, str) and spec.routing_key
        is_sure = isinstance(spec.exchange, str) and spec.exchange
        if not is_to_queue and not is_sure:
            return
        channel = await open_channel(connection, settings, has_confirms=False)
        deadline = Deadline(settings.timeout, settings.where)
        try:
            if is_sure:
                await deadline.keep(
                    channel.exchange_declare(spec.exchange, passive=True), f"did not find {spec.exchange!r}"
                )
            elif self._mandatory is not False:
                await deadline.keep(
                    channel.queue_declare(spec.routing_key, passive=True),
                    f"did not find {spec.routing_key!r}",
                )
        except FAILURES as error:
            about = _target(spec.exchange) if is_sure else f"the queue {spec.routing_key!r}"
            raise channel_failure(error, settings, about) from error
        finally:
            await deadline.keep(channel.close(), "closed no channel")


def _target(exchange: str) -> str:
    return f"the exchange {exchange!r}" if exchange else "the default exchange"
