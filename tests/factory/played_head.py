"""A head that the test plays, and the process of a factory, at a real Redis."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import TypeVar
from uuid import uuid4

from qalipsis.cluster import topics
from qalipsis.cluster.codec import Received, Sender
from qalipsis.cluster.inbox import Inbox
from qalipsis.cluster.messages import Handshake, HandshakeAccepted, Heartbeat, HeartbeatReply, Message
from qalipsis.cluster.publisher import Publisher
from qalipsis.cluster.redis.address import from_settings
from qalipsis.cluster.redis.transport import RedisTransport
from qalipsis.config.secret import Secret
from qalipsis.config.settings import Redis as RedisSettings
from tests.services.redis import Redis

SECONDS = 30.0
LAST_WORDS_SECONDS = 3.0

Said = TypeVar("Said")


def command(*words: str) -> list[str]:
    return [sys.executable, "-m", "qalipsis", "factory", *words]


@dataclass
class PlayedHead:
    """Hears one factory, which it was made for."""

    transport: RedisTransport
    process: asyncio.subprocess.Process
    node: str
    lease: float = 15.0
    heard: list[Received] = field(default_factory=list)
    is_silent: bool = False
    """Whether it answers no heartbeat of a campaign."""

    def __post_init__(self) -> None:
        self.campaign = f"c-{self.node}"
        self._news = asyncio.Event()
        self._publisher = Publisher(self.transport, Sender("head", 1, epoch=1))

    async def listen(self, topic: str) -> None:
        async for received in Inbox(self.transport, topic).messages():
            if received.source != self.node:
                continue
            self.heard.append(received)
            self._news.set()
            message = received.message
            if isinstance(message, Heartbeat) and received.campaign and not self.is_silent:
                await self.direct(HeartbeatReply(lease_s=self.lease, committed=0, clock=message.clock))

    async def hears(self, kind: type[Said]) -> Said:
        while True:
            for received in self.heard:
                if isinstance(received.message, kind):
                    return received.message
            self._news.clear()
            news = asyncio.create_task(self._news.wait())
            end = asyncio.create_task(self.process.wait())
            await asyncio.wait([news, end], return_when=asyncio.FIRST_COMPLETED)
            # What it said last may still be on its way.
            await asyncio.wait([news], timeout=LAST_WORDS_SECONDS)
            end.cancel()
            if not news.done():
                news.cancel()
                raise AssertionError(f"the factory has ended: {await self.output()}")

    async def say(self, message: Message, campaign: str = "") -> None:
        """To the factory."""
        await self._publisher.say(topics.node(self.node, self.heard[0].incarnation), message, campaign)

    async def direct(self, message: Message) -> None:
        """Among the directives of the campaign."""
        await self._publisher.say(topics.directives(self.campaign, self.node), message, self.campaign)

    async def accepts(self) -> None:
        await self.hears(Handshake)
        await self.say(HandshakeAccepted(heartbeat_s=0.05, lease_s=self.lease))
        await self.hears(Heartbeat)

    async def output(self) -> tuple[str, str]:
        out, err = await self.process.communicate()
        return out.decode(), err.decode()

    def signal_all(self, number: int) -> None:
        """To the factory and its workers."""
        os.killpg(self.process.pid, number)


@asynccontextmanager
async def factory_at(
    redis: Redis, folder: Path, scenario: str, *words: str, lease: float = 15.0, workers: int = 1
) -> AsyncIterator[PlayedHead]:
    """A factory with this scenario, and its head."""
    node = f"eu-{uuid4().hex[:6]}"
    (folder / "shop.py").write_text(dedent(scenario))
    lines = (f"redis.uri: {redis.url}", f"factory.node-id: {node}", "factory.zone: west")
    (folder / "qalipsis.yml").write_text("\n".join(lines) + "\n")
    transport = RedisTransport(from_settings(RedisSettings(uri=Secret(redis.url))))
    await transport.open()
    process = await asyncio.create_subprocess_exec(
        *command("shop.py", "--workers", f"{workers}", *words),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    head = PlayedHead(transport, process, node, lease)
    reading = [
        asyncio.create_task(head.listen(topic))
        for topic in (topics.HANDSHAKE, topics.feedback(head.campaign))
    ]
    try:
        async with asyncio.timeout(SECONDS):
            yield head
    finally:
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)
        with suppress(ProcessLookupError):
            head.signal_all(signal.SIGKILL)
        await process.wait()
        for topic in (topics.HANDSHAKE, topics.feedback(head.campaign)):
            await transport.remove(topic)
        await transport.aclose()
