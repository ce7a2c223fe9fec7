"""Sends records: the kind of step that `kafka.produce` names."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from qalipsis.engine.builtin import on_value
from qalipsis.engine.step import ExecuteStep, StepError, StepRuntime
from qalipsis.engine.traffic import Traffic
from qalipsis.errors import ServiceUnavailable
from qalipsis.metrics.meters import StepMeters
from qalipsis.plugins.kafka.codec import Pairs, encoder, header_pairs
from qalipsis.plugins.kafka.failures import DRIVER_ERRORS, failure
from qalipsis.plugins.kafka.producer import Producer, producer_for
from qalipsis.plugins.kafka.record import Produced
from qalipsis.plugins.kafka.spec import ProduceSpec

Part = Callable[[Any], Any]


def open_produce(spec: ProduceSpec[Any]) -> ExecuteStep:
    """What the registry calls for each `kafka.produce` of a plan."""
    return ProduceStep(spec)


class ProduceStep:
    """Sends one record per execution, and waits until the broker has confirmed it."""

    def __init__(self, spec: ProduceSpec[Any]) -> None:
        self._spec = spec
        self._topic = part(spec.topic)
        self._key = part(spec.key, encoder(spec.key_serialiser))
        self._value = part(spec.value, encoder(spec.value_serialiser))
        self._headers = part(spec.headers, header_pairs)
        self._partition = part(spec.partition)
        self._timestamp = part(spec.timestamp)
        self._timeout = spec.timeout_seconds()

    _producer: Producer
    _traffic: Traffic
    _meters: StepMeters

    async def open(self, runtime: StepRuntime) -> None:
        self._producer = producer_for(self._spec, runtime.shared)
        self._traffic = Traffic(runtime)
        self._meters = runtime.meters
        self._clock = runtime.clock
        self._meters.counters.setdefault("records-produced", 0)

    async def reach(self) -> None:
        """See before the start that the brokers can be reached and that the topic is there."""
        topic = self._spec.topic
        try:
            await self._prepare(None if callable(topic) else topic)
        except StepError as error:
            location = self._spec.cluster.location
            raise ServiceUnavailable(
                f"{location.file}:{location.line}: {error}\n"
                "    start the broker, create the topic, or correct what the scenario says"
            ) from error

    def connections(self, minions: int) -> dict[tuple[str, int], int]:
        """One to each broker for all minions of a worker."""
        return dict.fromkeys(self._spec.cluster.connection().brokers, 1)

    async def execute(self, context: Any) -> Produced:
        topic = self._topic(context)
        key, value, headers = self._key(context), self._value(context), self._headers(context)
        partition, timestamp = self._partition(context), self._timestamp(context)
        if key is None and value is None:
            raise StepError("no-content", f"a record for {topic!r} has neither key nor value")
        if not self._producer.knows(topic):
            if not isinstance(topic, str):
                raise StepError("no-topic", f"the function for the topic returned {topic!r}, no name")
            await self._prepare(topic)
        if partition is not None:
            await self._check_partition(topic, partition)
        return await self._traffic.request(
            lambda: self._send(context.value, topic, key, value, headers, partition, timestamp)
        )

    async def aclose(self) -> None:
        await self._producer.aclose()

    async def _send(
        self,
        given: Any,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Pairs,
        partition: int | None,
        timestamp: float | None,
    ) -> Produced:
        driver = self._producer.driver
        if driver is None:
            raise StepError("closed", f"the producer for Kafka at {self._producer.address} is closed")
        clock = self._clock
        sent = clock.now()
        stamp = None if timestamp is None else round(timestamp * 1000)
        try:
            async with asyncio.timeout(self._timeout):
                written = await driver.send(topic, value, key, partition, stamp, headers)
                metadata = await written
        except DRIVER_ERRORS as error:
            raise failure(error, f"a record for {topic!r} of Kafka at {self._producer.address}") from error
        done = clock.now()
        self._meters.count("records-produced")
        self._meters.bytes(len(key or b"") + len(value or b""), 0)
        if metadata is None:  # acks=0: nobody says where it is
            return Produced(topic, -1, -1, clock.epoch(sent), clock.epoch(sent), clock.epoch(done), given)
        return Produced(
            topic,
            metadata.partition,
            metadata.offset,
            metadata.timestamp / 1000,
            clock.epoch(sent),
            clock.epoch(done),
            given,
        )

    async def _prepare(self, topic: str | None) -> None:
        took = await self._producer.prepare(topic)
        if took:
            self._meters.phase("connect", took)

    async def _check_partition(self, topic: str, partition: int) -> None:
        driver = self._producer.driver
        assert driver is not None
        # Known already, so that this asks nobody. The driver itself would fail with a bare assertion.
        partitions = await driver.partitions_for(topic)
        if partition not in partitions:
            raise StepError(
                "no-partition",
                f"{topic!r} of Kafka at {self._producer.address} has the partitions 0 to "
                f"{max(partitions)}, and no {partition!r}",
            )


def part(given: Any, make: Part | None = None) -> Part:
    """A part of a record as a function of the context; what depends on nothing is made once."""
    if callable(given):
        find = on_value(given)
        return find if make is None else lambda context: make(find(context))
    fixed = given if make is None else make(given)
    return lambda context: fixed
