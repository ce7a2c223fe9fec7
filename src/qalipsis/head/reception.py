"""Where factories introduce themselves and stay in touch."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version

from qalipsis.clock import Clock
from qalipsis.cluster import topics
from qalipsis.cluster.inbox import Inbox
from qalipsis.cluster.messages import (
    PROTOCOL,
    Handshake,
    HandshakeAccepted,
    HandshakeRefused,
    Heartbeat,
    HeartbeatReply,
)
from qalipsis.cluster.publisher import Publisher
from qalipsis.cluster.transport import Transport
from qalipsis.errors import FactoryError
from qalipsis.head.campaign_list import moment
from qalipsis.system_clock import SystemClock

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Sighting:
    """When a factory came, and what it said last."""

    arrived_at: datetime
    heard_at: datetime
    heartbeat: Heartbeat | None = None


class Reception:
    """Knows the factories that the head has accepted, by node."""

    def __init__(
        self,
        transport: Transport,
        publisher: Publisher,
        heartbeat_seconds: float,
        lease_seconds: float | None,
        clock: Clock | None = None,
    ) -> None:
        self._publisher = publisher
        self._inbox = Inbox(transport, topics.HANDSHAKE)
        self._lease_seconds = lease_seconds
        self._arrived = asyncio.Condition()
        self._clock = clock or SystemClock()
        self.heartbeat_seconds = heartbeat_seconds
        self.factories: dict[str, Handshake] = {}
        self.seen: dict[str, Sighting] = {}

    async def serve(self) -> None:
        """Answer handshakes and heartbeats until the transport closes."""
        async for received in self._inbox.messages():
            match received.message:
                case Handshake():
                    await self._welcome(received.message)
                case Heartbeat():
                    if (seen := self.seen.get(received.source)) is not None:
                        seen.heard_at, seen.heartbeat = self._now(), received.message
                    reply = HeartbeatReply(
                        lease_s=self._lease_seconds,
                        committed=received.message.sequence,
                        clock=received.message.clock,
                    )
                    await self._publisher.say(topics.node(received.source), reply)
                case other:
                    _log.warning("%s was sent to the reception of the head", type(other).__name__)

    async def wait_for(self, count: int, timeout_seconds: float) -> dict[str, Handshake]:
        """The accepted factories, once there are so many; raises FactoryError when they do not come."""
        async with self._arrived:
            try:
                async with asyncio.timeout(timeout_seconds):
                    await self._arrived.wait_for(lambda: len(self.factories) >= count)
            except TimeoutError:
                raise FactoryError(
                    f"{len(self.factories)} of the {count} required factories came within "
                    f"{timeout_seconds:g} s: start the others, or lower campaign.required-factories"
                ) from None
        return dict(self.factories)

    async def _welcome(self, factory: Handshake) -> None:
        if factory.protocol not in (PROTOCOL, PROTOCOL - 1):
            reason = (
                f"factory {factory.node} speaks protocol {factory.protocol} (version {factory.version}), "
                f"this head {PROTOCOL} (version {version('qalipsis')}): install the same version"
            )
            await self._publisher.say(topics.node(factory.node), HandshakeRefused(reason=reason))
            return
        await self._publisher.say(
            topics.node(factory.node),
            HandshakeAccepted(heartbeat_s=self.heartbeat_seconds, lease_s=self._lease_seconds),
        )
        async with self._arrived:
            self.factories[factory.node] = factory
            self.seen[factory.node] = Sighting(self._now(), self._now())
            self._arrived.notify_all()

    def _now(self) -> datetime:
        return moment(self._clock.epoch(self._clock.now()))
