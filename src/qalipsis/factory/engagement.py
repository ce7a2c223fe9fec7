"""One campaign at a factory, from the assignment to the final accounts."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from math import inf
from typing import Final, assert_never

from qalipsis.clock import Clock
from qalipsis.cluster import topics
from qalipsis.cluster.accompanied import accompanied
from qalipsis.cluster.codec import Received
from qalipsis.cluster.inbox import Inbox
from qalipsis.cluster.messages import (
    AbortCampaign,
    Answer,
    AssignFactory,
    CloseCampaign,
    DeclareMinions,
    Directive,
    DirectiveDone,
    DirectiveFailed,
    DirectiveIgnored,
    Feedback,
    HeartbeatReply,
    LeaseEnded,
    RestartMinions,
    ScenarioEnded,
    StartMinions,
    StopScenario,
    WarmUp,
)
from qalipsis.cluster.messages import Final as FinalAccounts
from qalipsis.cluster.transport import Transport
from qalipsis.errors import CampaignRefused, FactoryError, ServiceUnavailable, TransportClosed
from qalipsis.factory.admission import Admission
from qalipsis.factory.lease import granted
from qalipsis.factory.supervisor import Supervisor

CLOSE_SECONDS: Final = 30.0
"""How long a factory whose lease has ended waits for a head that asks for the final accounts."""

_Once = DeclareMinions | WarmUp | StartMinions
"""Directives that have their effect once, however many heads ask for it."""

_log = logging.getLogger(__name__)


class Engagement:
    """Does what the head of the campaign says, and stops everything when it says nothing any more.

    `tell` reports to the head, `sequence` is the one of the message sent last.
    """

    def __init__(
        self,
        transport: Transport,
        clock: Clock,
        supervisor: Supervisor,
        admission: Admission,
        tell: Callable[[Feedback], None],
        sequence: Callable[[], int],
        node: str,
        campaign: str,
        assignment: AssignFactory,
        lease_seconds: float | None,
    ) -> None:
        self.campaign = campaign
        self._transport = transport
        self._clock = clock
        self._supervisor = supervisor
        self._admission = admission
        self._tell = tell
        self._sequence = sequence
        self._topic = topics.directives(campaign, node)
        self._assignment = assignment
        self._lease = granted(clock.now(), lease_seconds)
        self._following: set[asyncio.Task[Answer]] = set()
        self._first: dict[type[_Once], tuple[_Once, asyncio.Task[Answer]]] = {}
        self._walking: set[str] = set()
        self._nobody_walks = asyncio.Event()
        self._settling = asyncio.Lock()
        self._ledgers: dict[int, dict[str, tuple[int, ...]]] | None = None
        self.is_settled = False
        """Whether the last word was said."""
        self._over = asyncio.Event()
        self._begins_anew = False
        self._is_leaving = False
        supervisor.limit(self._lease.until)

    async def run(self) -> None:
        """Until the campaign is closed, here or by its head; then its directives are gone from the broker.

        When the transport is lost everything is interrupted, and the last reports wait for another one.
        """
        inbox = Inbox(self._transport, self._topic)
        try:
            await accompanied(self._over.wait(), self._listen(inbox), self._watch_lease())
        except Exception as error:  # also a mistake of ours must not leave anybody sending
            is_foreseen = isinstance(error, TransportClosed | ServiceUnavailable)
            _log.warning(
                "campaign %s is interrupted, for its head cannot be heard: %s",
                self.campaign,
                error,
                exc_info=None if is_foreseen else error,
            )
            await self._interrupt()
            await self._settle()
        finally:
            for task in self._following:
                task.cancel()
            await asyncio.gather(*self._following, return_exceptions=True)
            await inbox.aclose()
        with suppress(TransportClosed, ServiceUnavailable):
            await self._transport.remove(self._topic)

    @property
    def is_to_return(self) -> bool:
        """Whether its head closed the campaign to prepare it again, and counts on this factory."""
        return self._begins_anew and not self.is_interrupted

    @property
    def may_send(self) -> bool:
        """Whether its minions walk, or may at any moment."""
        return StartMinions in self._first and not self.is_settled and not self.is_interrupted

    async def leave(self, grace_seconds: float, urgent: asyncio.Event) -> None:
        """End the campaign here: softly, until the grace is over or it is urgent, then at once."""
        self._is_leaving = True
        if StartMinions in self._first and not self.is_interrupted:
            for scenario in tuple(self._walking):
                await self._supervisor.stop(StopScenario(scenario=scenario))
            with suppress(TimeoutError):
                async with asyncio.timeout(grace_seconds):
                    await _either(self._nobody_walks, urgent, self._over)
        await self._supervisor.abort(AbortCampaign())
        await self._settle()
        self._over.set()

    async def forget(self) -> None:
        """End the campaign here without a word: nobody waits for it."""
        async with self._settling:
            self.is_settled = True
            if self._ledgers is None:
                await self._supervisor.abort(AbortCampaign())
                self._ledgers = await self._supervisor.close(CloseCampaign())
        self._over.set()

    def report(self, feedback: Feedback) -> None:
        """Tell the head what happens."""
        if isinstance(feedback, ScenarioEnded):
            self._walking.discard(feedback.scenario)
            if not self._walking:
                self._nobody_walks.set()
            if self._is_leaving or self.is_interrupted:
                return  # it did not end, this factory did: what is left of it is for others
        self._tell(feedback)

    def follow(self, received: Received, directive: Directive) -> None:
        """Do what was said and answer it; in a task, so that an abort can overtake a long preparation."""
        task = asyncio.create_task(self._follow(received.id, directive))
        if isinstance(directive, DeclareMinions | WarmUp | StartMinions):
            self._first.setdefault(type(directive), (directive, task))
        self._following.add(task)
        task.add_done_callback(self._following.discard)

    async def _listen(self, inbox: Inbox) -> None:
        async for received in inbox.messages():
            message = received.message
            refusal = self._admission.refusal(received)
            if received.campaign != self.campaign:
                refusal = f"it is for campaign {received.campaign}"
            if refusal is not None:
                level = logging.DEBUG if isinstance(message, HeartbeatReply) else logging.WARNING
                _log.log(level, "%s on %s is dropped: %s", type(message).__name__, inbox.topic, refusal)
                continue
            match message:
                case HeartbeatReply():
                    self._renew(message)
                case (
                    AssignFactory()
                    | DeclareMinions()
                    | WarmUp()
                    | StartMinions()
                    | RestartMinions()
                    | StopScenario()
                    | AbortCampaign()
                    | CloseCampaign()
                ):
                    self.follow(received, message)
                case _:
                    _log.warning("%s is no directive of a campaign", type(message).__name__)

    # The lease

    def _renew(self, reply: HeartbeatReply) -> None:
        now = self._clock.now()
        heard_at = reply.clock - self._clock.epoch(0.0)
        self._lease = self._lease.renewed(heard_at, reply.lease_s, now)
        self._supervisor.limit(self._lease.until)

    async def _watch_lease(self) -> None:
        while not self.is_interrupted:
            if self._lease.until == inf:
                return
            reached = asyncio.Event()
            timer = self._clock.call_at(self._lease.until, reached.set)
            try:
                await reached.wait()
            finally:
                timer.cancel()
        _log.warning("campaign %s is interrupted, for its head does not renew the lease", self.campaign)
        await self._interrupt()
        with suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._over.wait()
        await self._settle()
        self._over.set()

    @property
    def is_interrupted(self) -> bool:
        """Whether its lease has ended, so that nothing of it goes on any more."""
        return self._lease.has_ended(self._clock.now())

    def _why_interrupted(self) -> str:
        return f"the lease of campaign {self.campaign} has ended: this factory stopped its part"

    async def _interrupt(self) -> None:
        """Stop everything by ourselves, sources included, and keep the accounts for whoever asks."""
        now = self._clock.now()
        self._lease = granted(min(now, self._lease.until), 0.0)
        self._supervisor.limit(self._lease.until)
        await self._supervisor.abort(AbortCampaign())
        async with self._settling:
            if self._ledgers is None:
                self._ledgers = await self._supervisor.close(CloseCampaign())
                self._tell(LeaseEnded(at=self._clock.epoch(now), ledgers=self._ledgers))

    async def _settle(self, directive: str | None = None) -> str | None:
        """Close the campaign and say the last word on it, once; returns why not, when it was said before.

        The answer to the directive comes before it: who hears the last word may remove the topic.
        """
        async with self._settling:
            if self._ledgers is None:
                self._ledgers = await self._supervisor.close(CloseCampaign())
            if self.is_settled:
                return "the campaign is over at this factory"
            if directive is not None:
                self._tell(DirectiveDone(directive=directive))
            self.is_settled = True
            self._tell(FinalAccounts(last_sequence=self._sequence(), ledgers=self._ledgers))
            return None

    # Directives

    async def _follow(self, id: str, directive: Directive) -> Answer:
        answer: Answer
        try:
            ignored = await self._carry_out(id, directive)
        except CampaignRefused as error:
            answer = DirectiveFailed(directive=id, cause="refused", reason=str(error))
        except ServiceUnavailable as error:
            answer = DirectiveFailed(directive=id, cause="unavailable", reason=str(error))
        except Exception as error:
            if not isinstance(error, FactoryError):
                _log.exception("a directive failed")
            reason = self._why_interrupted() if self.is_interrupted else str(error)
            is_preparing = isinstance(directive, DeclareMinions | WarmUp | StartMinions)
            if is_preparing and (self._is_leaving or self.is_interrupted):
                # Its last word, or the one on its lease, tells the head that this factory is gone. A failure
                # would end a campaign that has not started, and that others can run.
                answer = DirectiveIgnored(directive=id, reason=reason)
            else:
                answer = DirectiveFailed(directive=id, cause="failed", reason=reason)
        else:
            if ignored is None:
                answer = DirectiveDone(directive=id)
            else:
                answer = DirectiveIgnored(directive=id, reason=ignored)
        is_said = isinstance(directive, CloseCampaign) and isinstance(answer, DirectiveDone)
        if not is_said:
            self._tell(answer)
        if isinstance(directive, CloseCampaign):
            self._over.set()
        return answer

    async def _carry_out(self, id: str, directive: Directive) -> str | None:
        """Do it; returns why it was ignored, None when it was not."""
        if self.is_settled:
            return "the campaign is over at this factory"
        if self.is_interrupted and not isinstance(directive, CloseCampaign):
            if isinstance(directive, StopScenario | AbortCampaign):
                return "everything was interrupted when the lease ended"
            raise FactoryError(self._why_interrupted())
        if self._settling.locked() and not isinstance(directive, CloseCampaign):
            return "the campaign is being closed at this factory"
        match directive:
            case AssignFactory():
                return self._assign(directive)
            case DeclareMinions() | WarmUp() | StartMinions():
                return await self._once(directive)
            case RestartMinions():
                self._walking |= {name for each in directive.takeovers.values() for name in each}
                self._nobody_walks.clear()
                return await self._supervisor.restart(directive)
            case StopScenario():
                await self._supervisor.stop(directive)
            case AbortCampaign():
                await self._supervisor.abort(directive)
            case CloseCampaign():
                self._begins_anew = directive.begins_anew
                return await self._settle(id)
            case _:
                assert_never(directive)
        return None

    def _assign(self, directive: AssignFactory) -> str | None:
        if directive == self._assignment:
            return None
        if DeclareMinions in self._first:
            raise FactoryError("minions were declared already, for another assignment")
        self._assignment = directive
        return None

    async def _once(self, directive: _Once) -> str | None:
        first, task = self._first[type(directive)]
        if task is not asyncio.current_task():
            return await _as_before(first, task, directive)
        match directive:
            case DeclareMinions():
                self._walking = set(directive.minions)
                await self._supervisor.prepare(self._assignment, directive)
            case WarmUp():
                await self._supervisor.warm_up(directive)
            case StartMinions():
                await self._supervisor.start(directive)
            case _:
                assert_never(directive)
        return None


async def _as_before(first: _Once, task: asyncio.Task[Answer], directive: _Once) -> str:
    """A new head cannot know what was done already: it is answered as the one before."""
    await asyncio.wait([task])
    answer = task.result()
    if isinstance(answer, DirectiveFailed):
        raise {"refused": CampaignRefused, "unavailable": ServiceUnavailable}.get(answer.cause, FactoryError)(
            answer.reason
        )
    if isinstance(first, DeclareMinions) and directive != first:
        raise FactoryError("other minions were declared before")
    return "it was carried out before"


async def _either(*events: asyncio.Event) -> None:
    """Until one of them is set."""
    tasks = [asyncio.create_task(event.wait()) for event in events]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
