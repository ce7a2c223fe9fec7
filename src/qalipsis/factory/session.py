"""A factory's conversation with the head: introduces itself, stays in touch, answers directives."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, assert_never

from qalipsis.clock import Clock
from qalipsis.cluster import topics
from qalipsis.cluster.accompanied import accompanied
from qalipsis.cluster.codec import Received, Sender
from qalipsis.cluster.inbox import Inbox
from qalipsis.cluster.messages import (
    PROTOCOL,
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
    Final,
    Handshake,
    HandshakeAccepted,
    HandshakeRefused,
    Heartbeat,
    HeartbeatReply,
    Message,
    RestartMinions,
    StartMinions,
    StopScenario,
    WarmUp,
)
from qalipsis.cluster.publisher import Publisher
from qalipsis.cluster.transport import Transport
from qalipsis.errors import CampaignRefused, FactoryError, ServiceUnavailable
from qalipsis.factory.orders import Loaded
from qalipsis.factory.supervisor import MakeBody, Supervisor

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
    """One factory at its head. Open it, load the scenarios, then serve; close it in any case."""

    def __init__(
        self,
        transport: Transport,
        clock: Clock,
        identity: Identity,
        workers: int,
        make_body: MakeBody,
    ) -> None:
        self._clock = clock
        self._identity = identity
        self._supervisor = Supervisor(clock, workers, make_body, self.tell)
        sender = Sender(identity.node, identity.incarnation, identity.tenant or "")
        self._publisher = Publisher(transport, sender)
        self._inbox = Inbox(transport, topics.node(identity.node))
        self._outgoing: asyncio.Queue[tuple[str, str, Message]] = asyncio.Queue()
        self._accepted: asyncio.Future[HandshakeAccepted] = asyncio.get_running_loop().create_future()
        self._scenarios: Loaded | None = None
        self._campaign = ""
        self._assignment: AssignFactory | None = None
        self._following: set[asyncio.Task[None]] = set()

    def tell(self, feedback: Feedback) -> None:
        """Report what happens in the campaign; sent in the order of the calls."""
        self._say(topics.feedback(self._campaign), feedback)

    async def load(
        self,
        paths: Sequence[Path | str],
        properties: Mapping[str, Any],
        event_levels: Mapping[str, str] | None = None,
    ) -> Loaded:
        """Start the workers and have them load the scenarios; raises ScenarioErrors."""
        await self._supervisor.open()
        self._scenarios = await self._supervisor.load(paths, properties, event_levels)
        return self._scenarios

    async def serve(self, timeout_seconds: float) -> None:
        """Introduce the factory and do what the head says, until this is cancelled.

        Raises FactoryError when the head refuses the factory, or does not answer in time.
        """
        try:
            await accompanied(self._attend(timeout_seconds), self._listen(), self._publish())
        finally:
            for task in self._following:
                task.cancel()
            await asyncio.gather(*self._following, return_exceptions=True)

    async def aclose(self) -> None:
        """End the workers."""
        await self._supervisor.aclose()

    async def _attend(self, timeout_seconds: float) -> None:
        self._say(topics.HANDSHAKE, self._handshake())
        done, _ = await asyncio.wait([self._accepted], timeout=timeout_seconds)
        if not done:
            raise FactoryError(f"no head has answered the handshake within {timeout_seconds:g} s")
        await self._beat(self._accepted.result().heartbeat_s)

    def _handshake(self) -> Handshake:
        assert self._scenarios is not None, "load the scenarios before the handshake"
        return Handshake(
            node=self._identity.node,
            protocol=PROTOCOL,
            version=version("qalipsis"),
            workers=self._supervisor.workers,
            scenarios=self._scenarios.scenarios,
            property_keys=self._scenarios.property_keys,
            zone=self._identity.zone,
            tenant=self._identity.tenant,
            tags=dict(self._identity.tags),
        )

    def _say(self, topic: str, message: Message) -> None:
        self._outgoing.put_nowait((topic, self._campaign, message))

    async def _publish(self) -> None:
        while True:
            topic, campaign, message = await self._outgoing.get()
            await self._publisher.say(topic, message, campaign)

    async def _beat(self, period: float) -> None:
        cpu, wall = self._clock.cpu(), self._clock.now()
        while True:
            await asyncio.sleep(period)
            cpu_before, wall_before = cpu, wall
            cpu, wall = self._clock.cpu(), self._clock.now()
            self._say(
                topics.HANDSHAKE,
                Heartbeat(
                    state="busy" if self._campaign else "idle",
                    sequence=self._publisher.sequence,
                    clock=self._clock.epoch(wall),
                    cpu=(cpu - cpu_before) / (wall - wall_before),
                    loop_lag_s=max(0.0, wall - wall_before - period),
                    memory_bytes=_resident_bytes(),
                ),
            )

    async def _listen(self) -> None:
        async for received in self._inbox.messages():
            message = received.message
            match message:
                case HandshakeAccepted():
                    if not self._accepted.done():
                        self._accepted.set_result(message)
                case HandshakeRefused():
                    raise FactoryError(message.reason)
                case HeartbeatReply():
                    continue  # the lease of a factory that lives in its head's process never ends
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
                    # A task each, so that an abort can overtake a long preparation.
                    task = asyncio.create_task(self._follow(received, message))
                    self._following.add(task)
                    task.add_done_callback(self._following.discard)
                case _:
                    _log.warning("a factory was sent %s, which only heads read", type(message).__name__)

    async def _follow(self, received: Received, directive: Directive) -> None:
        answer: Answer
        try:
            ignored = await self._carry_out(received, directive)
        except CampaignRefused as error:
            answer = DirectiveFailed(directive=received.id, cause="refused", reason=str(error))
        except ServiceUnavailable as error:
            answer = DirectiveFailed(directive=received.id, cause="unavailable", reason=str(error))
        except Exception as error:
            if not isinstance(error, FactoryError):
                _log.exception("a directive failed")
            answer = DirectiveFailed(directive=received.id, cause="failed", reason=str(error))
        else:
            if ignored is None:
                answer = DirectiveDone(directive=received.id)
            else:
                answer = DirectiveIgnored(directive=received.id, reason=ignored)
        self._say(topics.feedback(received.campaign), answer)

    async def _carry_out(self, received: Received, directive: Directive) -> str | None:
        """Do it; returns why it was ignored, None when it was not."""
        if not isinstance(directive, AssignFactory) and received.campaign != self._campaign:
            return f"this factory does not work for campaign {received.campaign}"
        match directive:
            case AssignFactory():
                if self._campaign and self._campaign != received.campaign:
                    raise CampaignRefused(f"the factory works for campaign {self._campaign}")
                self._campaign, self._assignment = received.campaign, directive
            case DeclareMinions():
                if self._assignment is None:
                    raise FactoryError("minions were declared before the factory was assigned")
                await self._supervisor.prepare(self._assignment, directive)
            case WarmUp():
                await self._supervisor.warm_up(directive)
            case StartMinions():
                await self._supervisor.start(directive)
            case RestartMinions():
                return await self._supervisor.restart(directive)
            case StopScenario():
                await self._supervisor.stop(directive)
            case AbortCampaign():
                await self._supervisor.abort(directive)
            case CloseCampaign():
                ledgers = await self._supervisor.close(directive)
                self.tell(Final(last_sequence=self._publisher.sequence, ledgers=ledgers))
                self._campaign, self._assignment = "", None
            case _:
                assert_never(directive)
        return None


def _resident_bytes() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
