"""Reads topics: the kind of source that `kafka.consume` names."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncIterator, Collection, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import CommitFailedError, ConsumerStoppedError, IllegalStateError, KafkaError

from qalipsis.engine.source import MOST_IN_BATCH, Reader, ReaderRuntime
from qalipsis.engine.step import StepError
from qalipsis.errors import ServiceUnavailable
from qalipsis.language.durations import seconds
from qalipsis.plugins.kafka.closing import close_consumer
from qalipsis.plugins.kafka.codec import decoder
from qalipsis.plugins.kafka.failures import DRIVER_ERRORS, LASTING, failure
from qalipsis.plugins.kafka.link import Link, bootstrap_servers, driver_options
from qalipsis.plugins.kafka.outage import Outage
from qalipsis.plugins.kafka.record import Record
from qalipsis.plugins.kafka.spec import ConsumeSpec
from qalipsis.plugins.kafka.watch import Watch

POLL_SECONDS = 0.5
"""How long a poll waits for records before it asks whether the cluster is still there."""

REFRESH_SECONDS = 2.0
"""How soon a new partition or topic is noticed; `metadata_max_age_ms` among the options says otherwise."""

JOIN_SECONDS = 20.0
"""What joining a group may take beside: members hear of it one heartbeat later, a lost one is waited for."""

COMMIT_SECONDS = 1.0
HEARTBEAT_SECONDS = 1.0
RETRY_SECONDS = 0.2
FORGET_SECONDS = 2.0
LONGEST_POLL_PAUSE = 2**31 - 1
"""Milliseconds. A reader whose records nobody takes keeps its partitions: another one would not be faster."""

_log = logging.getLogger(__name__)


def open_consume(spec: ConsumeSpec[Any, Any]) -> Reader:
    """What the registry calls for each `kafka.consume` of a plan."""
    return KafkaReader(spec)


class KafkaReader:
    """One consumer: a member of a group, or by itself with every partition."""

    def __init__(self, spec: ConsumeSpec[Any, Any]) -> None:
        self._spec = spec
        self._connection = spec.cluster.connection()
        self._timeout = seconds(spec.timeout)
        self._options = dict(spec.options or {})
        self._refresh = self._options.pop("metadata_max_age_ms", REFRESH_SECONDS * 1000) / 1000
        self._key = decoder(spec.key)
        self._value = decoder(spec.value)
        self._consumer: AIOKafkaConsumer | None = None
        self._link: Link | None = None
        self._watch: Watch | None = None
        self._bad = 0

    _runtime: ReaderRuntime
    _reading: Outage
    """Polls that the driver refuses."""
    _there: Outage
    """Looks at the cluster that fail: the driver itself waits for a lost broker without a word."""

    async def open(self, runtime: ReaderRuntime) -> None:
        self._runtime = runtime
        runtime.meters.counters.setdefault("bad-records", 0)
        try:
            await self._open(runtime)
        except StepError as error:
            location = self._spec.cluster.location
            raise ServiceUnavailable(
                f"{location.file}:{location.line}: {error}\n"
                "    start the broker, create the topic, or correct what the scenario says"
            ) from error

    async def batches(self) -> AsyncIterator[Sequence[Record[Any, Any]]]:
        consumer, watch = self._consumer, self._watch
        assert consumer is not None
        assert watch is not None
        reading, there = self._reading, self._there
        while True:
            if watch.wanted is not None:
                await self._reassign(consumer, watch.wanted)
                watch.wanted = None
            try:
                found = await consumer.getmany(
                    timeout_ms=round(POLL_SECONDS * 1000), max_records=MOST_IN_BATCH
                )
            except (KafkaError, ConsumerStoppedError) as error:
                trouble = failure(error, f"reading {watch.what} of Kafka at {self._connection.address}")
                if trouble.kind in LASTING:
                    raise trouble from error
                reading.failed(trouble)
                reading.give_up_in_time()
                await asyncio.sleep(RETRY_SECONDS)
                continue
            reading.over()
            if not found:
                there.give_up_in_time()
                continue
            records = self._records(found.values())
            if records:
                yield records

    async def aclose(self) -> None:
        watch, self._watch = self._watch, None
        if watch is not None:
            await watch.aclose()
        consumer, self._consumer = self._consumer, None
        link, self._link = self._link, None
        if consumer is not None:
            await close_consumer(consumer)
            if link is not None:
                await self._forget_group(link)
        if link is not None:
            link.close()

    async def _open(self, runtime: ReaderRuntime) -> None:
        spec = self._spec
        link = self._link = Link(self._connection, self._timeout)
        pattern = None if spec.pattern is None else re.compile(rf"(?:{spec.pattern})\Z")
        watch = self._watch = Watch(link, spec.names(), pattern, self._refresh)
        longest = seconds(spec.recovery_timeout)
        self._reading = Outage(longest, runtime.clock.now, runtime.meters)
        self._there = Outage(longest, runtime.clock.now, runtime.meters)
        there = await watch.look()
        is_alone = runtime.group is None
        consumer = self._consumer = self._make_consumer(runtime.group)
        try:
            async with asyncio.timeout(self._timeout if is_alone else self._timeout + JOIN_SECONDS):
                if is_alone:
                    await self._start_alone(consumer, there)
                else:
                    await self._start_in_group(consumer, there, pattern)
        except DRIVER_ERRORS as error:
            raise failure(
                error,
                f"cannot take a position in {watch.what} of Kafka at {self._connection.address}, "
                f"whose brokers call themselves {watch.brokers}",
            ) from error
        watch.start(there if is_alone else None, self._there)

    def _make_consumer(self, engine_group: str | None) -> AIOKafkaConsumer:
        options: dict[str, Any] = {
            "max_poll_interval_ms": LONGEST_POLL_PAUSE,
            "auto_commit_interval_ms": round(COMMIT_SECONDS * 1000),
            "heartbeat_interval_ms": round(HEARTBEAT_SECONDS * 1000),
            **self._options,
        }
        try:
            return AIOKafkaConsumer(
                bootstrap_servers=bootstrap_servers(self._connection),
                group_id=None if engine_group is None else self._spec.group or engine_group,
                enable_auto_commit=engine_group is not None,
                # Where there is no position, and none was fixed at the start, nothing is to be missed.
                auto_offset_reset="earliest",
                request_timeout_ms=max(1, round(self._timeout * 1000)),
                metadata_max_age_ms=round(self._refresh * 1000),
                **options,
                **driver_options(self._connection),
            )
        except (TypeError, ValueError, AssertionError) as error:
            raise StepError("options", f"the consumer's options cannot be used: {error}") from error

    async def _forget_group(self, link: Link) -> None:
        """The group of a campaign is not of use to anybody afterwards: the last reader deletes it."""
        group = self._runtime.group
        if group is None or self._spec.group is not None:
            return
        try:
            async with asyncio.timeout(FORGET_SECONDS):
                await link.delete_group(group)
        except (StepError, TimeoutError) as error:
            _log.debug("the group %s stays: %s", group, error)

    async def _start_alone(self, consumer: AIOKafkaConsumer, there: Collection[TopicPartition]) -> None:
        consumer.assign(list(there))
        await consumer.start()
        if not there:
            return
        if self._spec.offset == "latest":
            await consumer.seek_to_end(*there)
        for partition in there:
            await consumer.position(partition)

    async def _start_in_group(
        self,
        consumer: AIOKafkaConsumer,
        there: Collection[TopicPartition],
        pattern: re.Pattern[str] | None,
    ) -> None:
        positions = Positions(consumer, there, self._spec.offset)
        consumer.subscribe(
            topics=self._spec.names(),
            pattern=None if pattern is None else pattern.pattern,
            listener=positions,
        )
        await consumer.start()
        await positions.taken.wait()
        if positions.error is not None:
            raise positions.error

    async def _reassign(self, consumer: AIOKafkaConsumer, wanted: Collection[TopicPartition]) -> None:
        """Read other partitions as well, or some no longer; the others go on where they are."""
        kept = {
            partition: await consumer.position(partition) for partition in consumer.assignment() & set(wanted)
        }
        consumer.assign(list(wanted))
        for partition, offset in kept.items():
            consumer.seek(partition, offset)

    def _records(self, batches: Collection[list[ConsumerRecord]]) -> list[Record[Any, Any]]:
        clock = self._runtime.clock
        received_at = clock.epoch(clock.now())
        read_key, read_value = self._key, self._value
        records: list[Record[Any, Any]] = []
        add, size = records.append, 0
        for batch in batches:
            for raw in batch:
                key, value = raw.key, raw.value
                if key is not None:
                    size += len(key)
                if value is not None:
                    size += len(value)
                try:
                    if read_key is not None and key is not None:
                        key = read_key(key)
                    if read_value is not None and value is not None:
                        value = read_value(value)
                except Exception as error:
                    self._bad_record(raw, error)
                    continue
                add(
                    Record(
                        raw.topic, raw.partition, raw.offset, key, value, raw.headers,
                        raw.timestamp / 1000, received_at,
                    )
                )  # fmt: skip
        self._runtime.meters.bytes(0, size)
        return records

    def _bad_record(self, raw: ConsumerRecord, error: Exception) -> None:
        what = f"the record {raw.offset} of {raw.topic!r}, partition {raw.partition}, cannot be read"
        if self._runtime.is_counting:
            self._runtime.meters.count("bad-records")
        if self._spec.bad_records == "fail":
            raise StepError("bad-record", f"{what}: {type(error).__name__}: {error}") from error
        if not self._bad:
            _log.warning(
                "%s, nor perhaps others that are skipped too: %s: %s", what, type(error).__name__, error
            )
        self._bad += 1


class Positions(ConsumerRebalanceListener):  # type: ignore[misc]
    """Gives partitions that are new to a group the position from which on nothing is missed.

    The group keeps it, so that the next reader which gets the partition goes on there.
    """

    def __init__(self, consumer: AIOKafkaConsumer, there: Collection[TopicPartition], offset: str) -> None:
        self.taken = asyncio.Event()
        self.error: KafkaError | None = None
        self._consumer = consumer
        self._at_start = frozenset(there) if offset == "latest" else frozenset()
        """Partitions whose older records nobody wants; what appears later is read from its beginning."""

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        """The driver has committed how far it read."""

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        try:
            await self._take(assigned)
        except (CommitFailedError, IllegalStateError):
            return  # somebody came or left meanwhile: partitions are dealt again
        except KafkaError as error:
            self.error = error
        self.taken.set()

    async def _take(self, assigned: Collection[TopicPartition]) -> None:
        consumer = self._consumer
        new = [partition for partition in assigned if await consumer.committed(partition) is None]
        from_end = [partition for partition in new if partition in self._at_start]
        if from_end:
            await consumer.seek_to_end(*from_end)
        positions = {partition: await consumer.position(partition) for partition in assigned}
        if new:
            await consumer.commit({partition: positions[partition] for partition in new})
