"""Where factories introduce themselves and stay in touch: at one head of the cluster at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Final

from qalipsis.cluster import topics
from qalipsis.cluster.accompanied import accompanied
from qalipsis.cluster.codec import Received, Sender
from qalipsis.cluster.inbox import Inbox
from qalipsis.cluster.messages import (
    PROTOCOL,
    CampaignOver,
    Farewell,
    Handshake,
    HandshakeAccepted,
    HandshakeRefused,
    HandshakeWanted,
    Heartbeat,
    HeartbeatReply,
    Reply,
)
from qalipsis.cluster.publisher import Publisher
from qalipsis.errors import ConfigurationError, ReaderReplaced, ServiceUnavailable
from qalipsis.head.campaign_list import is_terminal
from qalipsis.head.clock_offsets import ClockOffsets
from qalipsis.head.deafness import notice_deafness
from qalipsis.head.directory import Beat
from qalipsis.head.hearing import Hearing
from qalipsis.head.office import Office
from qalipsis.head.patience import patiently
from qalipsis.head.vigil import LOST_BEATS

ROUND_SECONDS: Final = 0.25
"""How often heartbeats are written down, and doubtful handshakes decided."""

MOST_REPLACED: Final = 10
"""Times in a row that another head may take over the reading while the store says that this one has it."""

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Doubt:
    """A factory whose node is in use by another one, as far as anybody knows."""

    handshake: Handshake
    incarnation: int
    since: float


class Reception:
    """Accepts factories into the directory, in the name of all heads, whenever this head is the one to do so.

    A node that is there already is not taken over: the newcomer waits until the other one has been silent for
    too long, and is refused when it is not.
    """

    def __init__(self, office: Office, incarnation: int) -> None:
        self._office = office
        self._clock = office.clock
        self._publisher = Publisher(office.transport, Sender(f"{office.head}/reception", incarnation))
        self._too_long = LOST_BEATS * office.heartbeat_s
        self._known: dict[str, tuple[int, float]] = {}
        """The incarnation of each node, and when it was heard last."""
        self._doubts: dict[str, _Doubt] = {}
        self._beats: dict[str, Beat] = {}
        self._leaving: dict[str, frozenset[str]] = {}
        """By node, those of the campaigns that it works for that were over when it was heard last."""
        self._offsets = ClockOffsets()
        self._listens_since = 0.0
        self._hearing = Hearing(self._too_long)
        self._is_undecided = asyncio.Event()

    async def serve(self) -> None:
        """Receive factories until the transport closes; raises TransportClosed when it fails."""
        replaced = 0
        while True:
            if not await self._hold():
                await asyncio.sleep(self._office.claim_lease_s / 3)
                continue
            inbox = Inbox(self._office.transport, topics.HANDSHAKE)
            try:
                await self._meet_known()
                await accompanied(
                    self._until_replaced(),
                    self._receive(inbox),
                    self._decide(),
                    notice_deafness(self._office, self._hearing),
                )
                replaced = 0
                _log.debug("another head receives the factories now")
            except _Ended:
                return
            except ReaderReplaced:
                # A head whose lease here has ended just now; who never gives way has another store.
                replaced += 1
                if replaced > MOST_REPLACED:
                    raise ConfigurationError(
                        "another head reads what factories say at this broker, and is not known in the store "
                        "of this head: give the heads of a cluster one datasource, and each cluster a Redis "
                        "database of its own"
                    ) from None
                await asyncio.sleep(self._office.claim_lease_s / 3)
            finally:
                await inbox.aclose()

    async def _hold(self) -> bool:
        office = self._office
        try:
            return await office.directory.hold_reception(office.head, office.claim_lease_s)
        except ServiceUnavailable as error:
            _log.warning("who receives the factories cannot be told: %s", error)
            return False

    async def _until_replaced(self) -> None:
        while True:
            await asyncio.sleep(self._office.claim_lease_s / 3)
            try:
                office = self._office
                if not await office.directory.hold_reception(office.head, office.claim_lease_s):
                    return
            except ServiceUnavailable as error:
                # While the store is away nobody else can take over.
                _log.warning("the reception was not renewed: %s", error)

    async def _meet_known(self) -> None:
        now = self._clock.now()
        self._known = {
            each.node: (each.incarnation, now - each.silence_s)
            for each in await patiently(self._office.directory.factories)
        }
        self._listens_since = now
        self._hearing = Hearing(self._too_long)

    async def _receive(self, inbox: Inbox) -> None:
        async for received in inbox.messages():
            match received.message:
                case Handshake():
                    await self._welcome(received.message, received.incarnation)
                case Heartbeat():
                    await self._hear(received, received.message)
                case Farewell():
                    await self._see_off(received.source, received.incarnation)
                case other:
                    _log.warning("%s was sent to the reception of the heads", type(other).__name__)
        raise _Ended

    async def _welcome(self, factory: Handshake, incarnation: int) -> None:
        refusal = _refusal(factory)
        if refusal is not None:
            await self._refuse(factory.node, incarnation, refusal)
            return
        known, heard_at = self._known.get(factory.node, (incarnation, 0.0))
        if known == incarnation or self._is_silent(heard_at):
            await self._accept(factory, incarnation)
            return
        doubt = self._doubts.get(factory.node)
        if doubt is None or doubt.incarnation != incarnation:  # else it only says so again
            self._doubts[factory.node] = _Doubt(factory, incarnation, self._clock.now())
            self._is_undecided.set()

    async def _accept(self, factory: Handshake, incarnation: int) -> None:
        office = self._office
        await patiently(lambda: office.directory.register(factory, incarnation))
        self._known[factory.node] = incarnation, self._clock.now()
        self._offsets.forget(factory.node)
        await self._check_zone(factory)
        await self._say(
            factory.node,
            incarnation,
            HandshakeAccepted(heartbeat_s=office.heartbeat_s, lease_s=office.lease_s),
        )

    async def _check_zone(self, factory: Handshake) -> None:
        """Its zone may be written wrong, and nobody would notice before a campaign asks for the right one."""
        if factory.zone is None:
            return
        zones = await patiently(self._office.store.zones)
        if factory.zone not in {zone.key for zone in zones}:
            listed = ", ".join(zone.key for zone in zones) or "none"
            _log.warning(
                "factory %s is in the zone %s, which is not among the zones (%s): "
                "correct its factory.zone, or run `qalipsis zones add %s`",
                factory.node,
                factory.zone,
                listed,
                factory.zone,
            )

    async def _refuse(self, node: str, incarnation: int, reason: str) -> None:
        _log.warning("factory %s was refused: %s", node, reason)
        await self._say(node, incarnation, HandshakeRefused(reason=reason))

    async def _hear(self, received: Received, heartbeat: Heartbeat) -> None:
        node, incarnation = received.source, received.incarnation
        known, _ = self._known.get(node, (None, 0.0))
        if known != incarnation:
            await self._say(node, incarnation, HandshakeWanted())
            return
        now = self._clock.now()
        if now - self._listens_since < self._office.heartbeat_s / 2:
            return  # it may have waited here for long: whoever lives says the next one soon
        self._known[node] = incarnation, now
        # Here, for it is written down later.
        self._offsets.add(node, heartbeat.clock, self._clock.epoch(now), heartbeat.rtt_s)
        self._beats[node] = Beat(node, incarnation, heartbeat, self._offsets.offset(node))
        self._is_undecided.set()
        doubt = self._doubts.pop(node, None)
        if doubt is not None and doubt.incarnation != incarnation:
            reason = (
                f"another factory works as node {node} already; "
                "give each factory a factory.node-id of its own"
            )
            await self._refuse(node, doubt.incarnation, reason)
        reply = HeartbeatReply(lease_s=self._office.lease_s, committed=0, clock=heartbeat.clock)
        await self._say(node, incarnation, reply)

    async def _see_off(self, node: str, incarnation: int) -> None:
        if self._known.get(node, (None,))[0] == incarnation:
            del self._known[node]
            self._beats.pop(node, None)
        if node in self._doubts and self._doubts[node].incarnation == incarnation:
            del self._doubts[node]
        await patiently(lambda: self._office.directory.leave(node, incarnation))
        await self._office.transport.remove(topics.node(node, incarnation))

    async def _decide(self) -> None:
        """Now and then: write heartbeats down, and accept whoever waited for the end of another."""
        while True:
            await self._is_undecided.wait()
            await asyncio.sleep(ROUND_SECONDS)
            beats, self._beats = tuple(self._beats.values()), {}
            try:
                for node, incarnation in await self._office.directory.hear(beats) if beats else ():
                    await self._say(node, incarnation, HandshakeWanted())
                await self._free(beats)
                for doubt in [each for each in self._doubts.values() if self._is_silent(each.since)]:
                    # Accepting the one before took its time: this one may have been decided meanwhile.
                    if self._doubts.get(doubt.handshake.node) is doubt:
                        del self._doubts[doubt.handshake.node]
                        await self._accept(doubt.handshake, doubt.incarnation)
            except ServiceUnavailable as error:
                _log.warning("heartbeats were not written down: %s", error)
            if not self._doubts and not self._beats:
                self._is_undecided.clear()

    def _is_silent(self, since: float) -> bool:
        now = self._clock.now()
        self._hearing.awake(now)  # when this process was frozen, this may be the first that it does
        return self._hearing.silence(since, now) >= self._too_long

    async def _free(self, beats: Sequence[Beat]) -> None:
        """Tell factories whose campaigns have ended without them, as when they were frozen then, to forget
        these.

        What they report of them nobody reads: it is removed once they have left. Those that are about to end
        one by themselves get a heartbeat's time.
        """
        is_over: dict[str, bool] = {}
        for beat in beats:
            campaigns = frozenset(beat.heartbeat.campaigns)
            for campaign in campaigns - is_over.keys():
                record = await self._office.store.campaign(campaign)
                is_over[campaign] = record is None or is_terminal(record.state)
            before = self._leaving.pop(beat.node, frozenset())
            leaving = frozenset(campaign for campaign in campaigns if is_over[campaign])
            if leaving:
                self._leaving[beat.node] = leaving
            for campaign in leaving & before:
                await self._say(beat.node, beat.incarnation, CampaignOver(campaign=campaign))
            for campaign in before - campaigns:
                await self._office.transport.remove(topics.feedback(campaign))

    async def _say(self, node: str, incarnation: int, reply: Reply) -> None:
        await self._publisher.say(topics.node(node, incarnation), reply)


class _Ended(Exception):
    """The transport was closed in order."""


def _refusal(factory: Handshake) -> str | None:
    if factory.protocol in (PROTOCOL, PROTOCOL - 1):
        return None
    return (
        f"factory {factory.node} speaks protocol {factory.protocol} (version {factory.version}), "
        f"this head {PROTOCOL} (version {version('qalipsis')}): install the same version"
    )
