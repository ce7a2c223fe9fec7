"""Looks now and then whether what is read is still there, and what has come to be read."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection

from aiokafka import TopicPartition

from qalipsis.engine.step import StepError
from qalipsis.plugins.kafka.closing import cut
from qalipsis.plugins.kafka.failures import UNAVAILABLE
from qalipsis.plugins.kafka.link import Link, Metadata
from qalipsis.plugins.kafka.outage import Outage
from qalipsis.plugins.kafka.settings import shown


class Watch:
    """Of one reader. `wanted` is set when a reader without group has other partitions to read."""

    def __init__(
        self, link: Link, topics: tuple[str, ...], pattern: re.Pattern[str] | None, refresh: float
    ) -> None:
        self.wanted: frozenset[TopicPartition] | None = None
        self.what = f"topics like {pattern.pattern!r}" if pattern else ", ".join(map(repr, topics))
        self.brokers = ""
        """What they call themselves: what was given may be another name, from outside."""
        self._link = link
        self._topics = topics
        self._pattern = pattern
        self._refresh = refresh
        self._task: asyncio.Task[None] | None = None

    async def look(self) -> frozenset[TopicPartition]:
        """What there is to read, now. Raises StepError when the cluster or a topic cannot be used."""
        if self._pattern is not None:
            metadata = await self._link.metadata(None)
        else:
            metadata = await self._link.require(self._topics)
        self.brokers = ", ".join(shown(host, port) for host, port in metadata.brokers)
        lost = leaderless(metadata, self._topics)
        if lost:
            raise StepError(UNAVAILABLE, f"no broker of Kafka at {self.brokers} leads {lost}")
        return partitions_of(metadata, self._pattern)

    def start(self, read: frozenset[TopicPartition] | None, outage: Outage) -> None:
        """Look again and again; `read` is what is read, None when a group sees to it."""
        self._task = asyncio.create_task(self._run(read, outage))

    async def aclose(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            await cut([task])
        self._link.close()

    async def _run(self, read: frozenset[TopicPartition] | None, outage: Outage) -> None:
        while self._task is not None:
            await asyncio.sleep(self._refresh)
            try:
                there = await self.look()
            except StepError as error:
                outage.failed(error)
                continue
            outage.over()
            if read is not None and there != read:
                read = self.wanted = there


def partitions_of(metadata: Metadata, pattern: re.Pattern[str] | None) -> frozenset[TopicPartition]:
    """The partitions of all topics, or of those that match."""
    return frozenset(
        TopicPartition(name, number)
        for name, topic in metadata.topics.items()
        if pattern is None or pattern.match(name)
        for number in topic.partitions
    )


def leaderless(metadata: Metadata, topics: Collection[str]) -> str:
    """The first partition that nobody can read, as words; empty when there is none."""
    for name in topics:
        topic = metadata.topics[name]
        if topic.without_leader or not topic.partitions:
            return f"{name!r}, partition {min(topic.without_leader, default=0)}"
    return ""
