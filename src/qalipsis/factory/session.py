"""A factory as a member of a cluster: introduces itself, stays in touch, works for its campaigns."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from qalipsis.clock import Clock
from qalipsis.cluster import topics
from qalipsis.cluster.accompanied import accompanied
from qalipsis.cluster.codec import Received, Sender
from qalipsis.cluster.inbox import Inbox
from qalipsis.cluster.messages import (
    PROTOCOL,
    AssignFactory,
    CampaignOver,
    DirectiveDone,
    DirectiveFailed,
    Farewell,
    Handshake,
    HandshakeAccepted,
    HandshakeRefused,
    HandshakeWanted,
    Heartbeat,
    HeartbeatReply,
    Message,
    Shutdown,
)
from qalipsis.cluster.messages import Final as FinalAccounts
from qalipsis.cluster.publisher import Publisher
from qalipsis.cluster.transport import Transport
from qalipsis.config.settings import GracefulShutdown
from qalipsis.errors import FactoryRefused, ServiceUnavailable, TransportClosed
from qalipsis.factory.admission import Admission
from qalipsis.factory.engagement import Engagement
from qalipsis.factory.orders import Loaded
from qalipsis.factory.outbox import Outbox
from qalipsis.factory.seat import Seat
from qalipsis.factory.supervisor import USUAL_GRACE, MakeBody, Supervisor

LAST_WORDS_SECONDS: Final = 5.0
"""How long the last reports and the farewell may take, when the broker is slow or away."""

INTRODUCED_AGAIN_SECONDS: Final = 5.0
"""How long a handshake goes unanswered before it is said again."""

USUAL_LEASE_SECONDS: Final = 15.0
"""For a campaign that one head assigns before another's acceptance was read."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who the factory is. `incarnation` differs each time it starts."""

    node: str
    incarnation: int
    zone: str | None = None
    tenant: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)


class Session:
    """One factory in its cluster. Load the scenarios, then serve; close it in any case.

    It works for so many `campaigns` at once, with `workers` for each. `grace` says how
    long a campaign may take to end, and its parts. A transient factory ends with its first campaign, or with
    those that run beside it. `broker` says where heads are looked for, for people.
    """

    def __init__(
        self,
        transport: Transport,
        clock: Clock,
        identity: Identity,
        workers: int,
        make_body: MakeBody,
        *,
        campaigns: int = 1,
        grace: GracefulShutdown = USUAL_GRACE,
        is_transient: bool = False,
        broker: str = "this process",
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._identity = identity
        self._grace = grace
        self._is_transient = is_transient
        self._broker = broker
        self._workers = workers
        self._seats = [
            Seat(lambda tell: Supervisor(clock, workers, make_body, tell, self._neighbours, grace))
            for _ in range(campaigns)
        ]
        self._sender = Sender(identity.node, identity.incarnation, identity.tenant or "")
        # Apart, so that a campaign whose head does not read keeps nobody from seeing that the factory lives.
        self._presence = Outbox()
        self._refusals = Outbox()
        self._admission = Admission()
        self._scenarios: Loaded | None = None
        self._terms: asyncio.Future[HandshakeAccepted] = asyncio.get_running_loop().create_future()
        self._is_waiting = True
        """For the answer to a handshake, of which several may have been said."""
        self._ending = asyncio.Event()
        self._urgent = asyncio.Event()
        self._has_left = False
        self._round_trip: float | None = None
        self._cpu = 0.0
        self._loop_lag = 0.0

    @property
    def is_ending(self) -> bool:
        """Whether the factory was told to end, by whomever."""
        return self._ending.is_set()

    async def wait_ending(self, timeout_seconds: float) -> bool:
        """Until it is told to end; False when it was not in that time."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._ending.wait()
        except TimeoutError:
            return False
        return True

    async def load(
        self,
        paths: Sequence[Path | str],
        properties: Mapping[str, Any],
        event_levels: Mapping[str, str] | None = None,
    ) -> Loaded:
        """Start the workers and have them load the scenarios; raises ScenarioErrors.

        Those for further campaigns at once are started when such a campaign comes.
        """
        first, *others = [seat.supervisor for seat in self._seats]
        await first.open()
        self._scenarios = await first.load(paths, properties, event_levels)
        for supervisor in others:
            supervisor.load_later(first)
        return self._scenarios

    async def serve(self, timeout_seconds: float) -> None:
        """Introduce the factory and do what heads say, until it is told to end, or this is cancelled.

        Raises FactoryRefused when the head refuses the factory, ServiceUnavailable when none answers in time.
        On TransportClosed it may be called again after `move_to`.
        """
        self._presence.clear()  # an old heartbeat would only be asked who it is
        publisher = Publisher(self._transport, self._sender)
        try:
            await accompanied(
                self._until_over(),
                self._attend(timeout_seconds),
                self._listen(Inbox(self._transport, self._topic)),
                self._presence.publish(publisher),
                self._refusals.publish(publisher),
                *(seat.reports.publish(publisher) for seat in self._seats),
            )
        except FactoryRefused:
            with suppress(TransportClosed, ServiceUnavailable):
                await self._transport.remove(self._topic)
            raise
        except (TransportClosed, ServiceUnavailable):
            await _all_over(self._work)  # they notice as well, and interrupt their campaigns
            raise
        finally:
            for work in self._work:
                work.cancel()
            await _all_over(self._work)

    def move_to(self, transport: Transport) -> None:
        """Serve through this one from now on; what could not be said is said there."""
        self._transport = transport

    def stop(self, is_hard: bool) -> None:
        """End in order: campaigns softly first, or hard; may be called again, at any time."""
        self._ending.set()
        if is_hard:
            self._urgent.set()

    async def aclose(self) -> None:
        """End the workers."""
        await asyncio.gather(*(seat.supervisor.aclose() for seat in self._seats))

    @property
    def _topic(self) -> str:
        return topics.node(self._identity.node, self._identity.incarnation)

    @property
    def _work(self) -> list[asyncio.Task[None]]:
        """For the campaigns that the factory works for now."""
        return [seat.work for seat in self._seats if seat.work is not None]

    def _neighbours(self) -> list[Supervisor]:
        return [seat.supervisor for seat in self._seats]

    # Presence

    async def _attend(self, timeout_seconds: float) -> None:
        until = self._clock.now() + timeout_seconds
        self._introduce()
        while not self._terms.done() and (left := until - self._clock.now()) > 0:
            await asyncio.wait([self._terms], timeout=min(left, INTRODUCED_AGAIN_SECONDS))
            if not self._terms.done() and await self._presence.wait_empty(0.0):
                self._introduce()  # whoever read it may have died since, and told nobody
        if not self._terms.done():
            # A head that comes later must not count on who has given up.
            self._presence.say(topics.HANDSHAKE, Farewell())
            await self._presence.wait_empty(LAST_WORDS_SECONDS)
            raise ServiceUnavailable(
                f"no head has answered the handshake within {timeout_seconds:g} s: it waits in the topic "
                f"`{topics.HANDSHAKE}` of {self._broker}; start a head there, or correct the address"
            )
        await self._beat()

    def _introduce(self) -> None:
        if self._has_left:
            return
        assert self._scenarios is not None, "load the scenarios before the handshake"
        self._is_waiting = True
        self._presence.say(
            topics.HANDSHAKE,
            Handshake(
                node=self._identity.node,
                protocol=PROTOCOL,
                version=version("qalipsis"),
                workers=self._workers,
                campaigns=len(self._seats),
                scenarios=self._scenarios.scenarios,
                zone=self._identity.zone,
                tenant=self._identity.tenant,
                tags=dict(self._identity.tags),
            ),
        )

    async def _beat(self) -> None:
        cpu, wall = self._clock.cpu(), self._clock.now()
        while True:
            period = self._terms.result().heartbeat_s
            await asyncio.sleep(period)
            if self._has_left:
                return
            cpu_before, wall_before = cpu, wall
            cpu, wall = self._clock.cpu(), self._clock.now()
            self._cpu = (cpu - cpu_before) / (wall - wall_before)
            self._loop_lag = max(0.0, wall - wall_before - period)
            heartbeat = self._heartbeat()
            self._presence.say(topics.HANDSHAKE, heartbeat)
            for seat in self._seats:
                seat.report(heartbeat)

    def _heartbeat(self) -> Heartbeat:
        return Heartbeat(
            state="busy" if all(seat.engagement for seat in self._seats) else "idle",
            campaigns=tuple(seat.engagement.campaign for seat in self._seats if seat.engagement is not None),
            sequence=self._sender.sequence,
            clock=self._clock.epoch(self._clock.now()),
            cpu=self._cpu,
            loop_lag_s=self._loop_lag,
            memory_bytes=_resident_bytes(),
            rtt_s=self._round_trip,
        )

    async def _until_over(self) -> None:
        """Wait until the factory is told to end, and end: the campaigns first, then the membership."""
        await self._ending.wait()
        work = self._work
        engagements = [seat.engagement for seat in self._seats if seat.engagement is not None]
        await asyncio.gather(*(each.leave(self._grace.campaign, self._urgent) for each in engagements))
        await _all_over(work)
        outboxes = (self._refusals, *(seat.reports for seat in self._seats))
        await asyncio.gather(*(each.wait_empty(LAST_WORDS_SECONDS) for each in outboxes))
        self._has_left = True
        self._presence.say(topics.HANDSHAKE, Farewell())
        _log.info("this factory leaves")
        if await self._presence.wait_empty(LAST_WORDS_SECONDS):
            with suppress(TransportClosed, ServiceUnavailable):
                await self._transport.remove(self._topic)

    # What heads say

    async def _listen(self, inbox: Inbox) -> None:
        async for received in inbox.messages():
            message = received.message
            match message:
                case HandshakeAccepted():
                    if self._terms.done():
                        self._terms = asyncio.get_running_loop().create_future()
                    self._terms.set_result(message)
                    if self._is_waiting:
                        _log.info("a head has accepted this factory, which waits for campaigns")
                    self._is_waiting = False
                case HandshakeRefused():
                    raise FactoryRefused(message.reason)
                case HandshakeWanted():
                    self._introduce()
                case HeartbeatReply():
                    # The lease is renewed elsewhere, by the head of a campaign among its directives.
                    self._round_trip = max(0.0, self._clock.epoch(self._clock.now()) - message.clock)
                case CampaignOver():
                    for seat in self._seats:
                        if seat.engagement is not None and seat.engagement.campaign == message.campaign:
                            await seat.engagement.forget()
                case Shutdown():
                    _log.info("the factory ends, as a head says: %s", message.reason)
                    self.stop(is_hard=False)
                case AssignFactory():
                    refusal = self._admission.refusal(received)
                    if refusal is None:
                        await self._make_free(received.campaign)
                        self._engage(received, message)
                    else:
                        _log.warning("AssignFactory of %s is dropped: %s", received.campaign, refusal)
                case _:
                    _log.warning("a factory was sent %s, which only heads read", type(message).__name__)

    async def _make_free(self, campaign: str) -> None:
        """Let another campaign go that sends nothing: for who assigns this one, the other is over.

        It has said its last word, or was assigned while this factory was cut off, and ended without it.
        """
        if any(seat.campaign in (None, campaign) for seat in self._seats):
            return
        for seat in self._seats:
            if seat.engagement is not None and seat.work is not None and not seat.engagement.may_send:
                if not seat.engagement.is_settled:
                    await seat.engagement.forget()
                await asyncio.wait([seat.work])
                return

    def _engage(self, received: Received, assignment: AssignFactory) -> None:
        campaign = received.campaign
        engaged = [seat.engagement for seat in self._seats if seat.engagement is not None]
        free = [seat for seat in self._seats if seat.engagement is None]
        known = [each for each in engaged if each.campaign == campaign]
        if known:
            known[0].follow(received, assignment)
        elif self._ending.is_set():
            # Its last word at once, so that the campaign goes on with others.
            last_word = FinalAccounts(last_sequence=self._sender.sequence, ledgers={})
            _say(self._refusals, campaign, last_word)
        elif not free:
            others = " and ".join(sorted(each.campaign for each in engaged))
            self._decline(received, f"the factory works for campaign {others}")
        else:
            seat = free[0]
            tell = partial(_say, seat.reports, campaign)
            engagement = Engagement(
                self._transport,
                self._clock,
                seat.supervisor,
                self._admission,
                tell,
                lambda: self._sender.sequence,
                self._identity.node,
                campaign,
                assignment,
                self._terms.result().lease_s if self._terms.done() else USUAL_LEASE_SECONDS,
            )
            _log.info("campaign %s begins here", campaign)
            seat.take(engagement, partial(self._disengaged, engagement))
            # At once: the head must know how far its clock is from this one before it says when to start.
            seat.report(self._heartbeat())
            tell(DirectiveDone(directive=received.id))

    def _decline(self, received: Received, reason: str) -> None:
        answer = DirectiveFailed(directive=received.id, cause="refused", reason=reason)
        _say(self._refusals, received.campaign, answer)

    def _disengaged(self, engagement: Engagement, work: asyncio.Task[None]) -> None:
        _log.info("campaign %s is over here", work.get_name())
        if self._terms.done() and not self._has_left:
            # At once: the next campaign waits for a factory that is free.
            self._presence.say(topics.HANDSHAKE, self._heartbeat())
        if not work.cancelled() and (error := work.exception()) is not None:
            _log.error("a campaign has ended by a failure of the factory", exc_info=error)
        if self._is_transient and not self._work and not engagement.is_to_return:
            self.stop(is_hard=False)


async def _all_over(work: Collection[asyncio.Task[None]]) -> None:
    if work:
        await asyncio.wait(work)


def _say(outbox: Outbox, campaign: str, message: Message) -> None:
    outbox.say(topics.feedback(campaign), message, campaign)


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
