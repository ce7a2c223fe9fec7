"""One producer of a worker, shared by the steps that say the same about how records are sent."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaProducer

from qalipsis.engine.step import StepError
from qalipsis.language.durations import seconds
from qalipsis.plugins.kafka.closing import close_producer
from qalipsis.plugins.kafka.failures import DRIVER_ERRORS, NO_TOPIC, failure
from qalipsis.plugins.kafka.link import Link, bootstrap_servers, driver_options
from qalipsis.plugins.kafka.settings import Connection
from qalipsis.plugins.kafka.spec import ProduceSpec

DRIVER_SHARE = 0.8
"""Of a record's time: what the driver may use, so that its reason comes before our deadline."""

LONGEST_BACKOFF = 0.1
GRACE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Sending:
    """Everything that makes two producers different; the key under which they are shared."""

    connection: Connection
    acks: Any
    linger: float
    compression: str | None
    timeout: float
    options: tuple[tuple[str, str], ...]


def producer_for(spec: ProduceSpec[Any], shared: MutableMapping[Any, Any]) -> Producer:
    """The worker's producer for this step, made when it is the first; nothing connects."""
    options = dict(spec.options or {})
    sending = Sending(
        connection=spec.cluster.connection(),
        acks=spec.acks,
        linger=seconds(spec.linger),
        compression=spec.compression,
        timeout=spec.timeout_seconds(),
        options=tuple(sorted((name, repr(option)) for name, option in options.items())),
    )
    producer = shared.get(sending)
    if producer is None:
        producer = shared[sending] = Producer(sending, options)
    return producer


class Producer:
    """Connects when it is first needed; `driver` is there from then on."""

    def __init__(self, sending: Sending, options: dict[str, Any]) -> None:
        self.address = sending.connection.address
        self.timeout = sending.timeout
        self.driver: AIOKafkaProducer | None = None
        self._sending = sending
        self._options = options
        self._link: Link | None = None
        self._starting = asyncio.Lock()
        self._known: set[str] = set()
        self._is_closed = False

    def knows(self, topic: str) -> bool:
        """True when records for the topic can be sent at once."""
        return topic in self._known

    async def prepare(self, topic: str | None) -> float:
        """Connect, and see that the topic is there, bounded in time; the seconds that connecting took.

        Raises StepError. No topic is created by it.
        """
        try:
            # Its parts have limits that say more; this one is for a minion that waits behind others.
            async with asyncio.timeout(self.timeout + GRACE_SECONDS), self._starting:
                return await self._prepare(topic)
        except TimeoutError as error:
            raise failure(error, f"Kafka at {self.address} cannot be connected to") from error

    async def aclose(self) -> None:
        """What is still on its way gets a moment to arrive; safe to call twice."""
        self._is_closed = True
        driver, self.driver = self.driver, None
        self._known.clear()
        if driver is not None:
            await close_producer(driver)

    async def _prepare(self, topic: str | None) -> float:
        if self._is_closed:
            raise StepError("closed", f"the producer for Kafka at {self.address} is closed")
        if self.driver is not None and (topic is None or self.knows(topic)):
            return 0.0
        if self._link is None:
            self._link = Link(self._sending.connection, self.timeout)
        try:
            metadata = await self._link.require([] if topic is None else [topic])
        finally:
            self._link.close()
        took = 0.0
        if self.driver is None:
            loop = asyncio.get_running_loop()
            began = loop.time()
            self.driver = await self._start()
            took = loop.time() - began
        if topic is not None:
            if not metadata.topics[topic].partitions:
                raise StepError(NO_TOPIC, f"the topic {topic!r} of Kafka at {self.address} is not ready")
            await self._learn(topic)
        return took

    async def _start(self) -> AIOKafkaProducer:
        sending = self._sending
        try:
            driver = AIOKafkaProducer(
                bootstrap_servers=bootstrap_servers(sending.connection),
                acks=sending.acks,
                linger_ms=sending.linger * 1000,
                compression_type=sending.compression,
                request_timeout_ms=max(1, round(self.timeout * DRIVER_SHARE * 1000)),
                **{
                    "retry_backoff_ms": round(min(LONGEST_BACKOFF, self.timeout / 20) * 1000),
                    **self._options,
                },
                **driver_options(sending.connection),
            )
        except (TypeError, ValueError, AssertionError) as error:
            raise StepError("options", f"the producer's options cannot be used: {error}") from error
        except RuntimeError as error:
            raise failure(error, f"cannot compress with {sending.compression}") from error
        try:
            async with asyncio.timeout(self.timeout):
                await driver.start()
        except BaseException as error:
            await close_producer(driver)
            if isinstance(error, DRIVER_ERRORS):
                raise failure(error, f"cannot start a producer for Kafka at {self.address}") from error
            raise
        return driver

    async def _learn(self, topic: str) -> None:
        """Let the driver know the topic, so that `send` never waits for it."""
        assert self.driver is not None
        try:
            async with asyncio.timeout(self.timeout):
                await self.driver.partitions_for(topic)
        except DRIVER_ERRORS as error:
            raise failure(error, f"cannot find the topic {topic!r} of Kafka at {self.address}") from error
        self._known.add(topic)
