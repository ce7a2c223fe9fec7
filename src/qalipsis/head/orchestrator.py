"""Drives one campaign: performs what its state machine decides, merges what factories tell, reports."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Final, assert_never

from qalipsis.cluster import messages, topics
from qalipsis.cluster.accompanied import accompanied
from qalipsis.cluster.codec import Received
from qalipsis.cluster.inbox import Inbox, Letter
from qalipsis.cluster.messages import (
    AbortCampaign,
    CloseCampaign,
    Directive,
    DirectiveDone,
    DirectiveFailed,
    DirectiveIgnored,
    Fault,
    Heartbeat,
    HeartbeatReply,
    LeaseEnded,
    ScenarioEnded,
    SnapshotTaken,
    StartMinions,
    StopScenario,
    StopWanted,
    WorkerSilent,
    WorkerState,
)
from qalipsis.errors import CampaignRefused, FactoryError, QalipsisError, ServiceUnavailable
from qalipsis.head import campaign as life
from qalipsis.head import checkpoint, limits
from qalipsis.head.campaign import Campaign, Phase
from qalipsis.head.campaign_request import CampaignRequest
from qalipsis.head.checkpoint import Checkpoint
from qalipsis.head.clock_offsets import ClockOffsets
from qalipsis.head.conclusion import Conclusion, name_of
from qalipsis.head.deafness import notice_deafness
from qalipsis.head.directives import assign_factory, declare_minions
from qalipsis.head.fleet import NOBODY, Fleet
from qalipsis.head.letters import Letters
from qalipsis.head.muster import Left, tried_muster
from qalipsis.head.office import Office
from qalipsis.head.patience import patiently
from qalipsis.head.progress import Progress
from qalipsis.head.restarts import Restarts
from qalipsis.head.tally import Place
from qalipsis.head.tenure import Tenure
from qalipsis.head.ticks import Ticks
from qalipsis.head.vigil import Vigil
from qalipsis.reports.live import Live
from qalipsis.reports.model import Message, Report

_ERRORS: Final = {"refused": CampaignRefused, "unavailable": ServiceUnavailable}

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Chosen:
    """The factories were found and reserved, or cannot be."""

    fleet: Fleet | QalipsisError


@dataclass(frozen=True, slots=True)
class _Tick:
    """A moment to look for silent factories and deadlines; each second also to close seconds and commit."""

    is_full: bool


@dataclass(frozen=True, slots=True)
class _Stop:
    is_hard: bool
    reason: str
    aborter: str | None = None


class Orchestrator:
    """One campaign from request, or from where another head left it, to its report.

    `stop` may be called at any time. Everything decided is committed before it is said, and everything heard
    is acknowledged after it was committed, so that any other head can go on from the last commit.
    """

    def __init__(
        self, office: Office, tenure: Tenure, request: CampaignRequest, watch: Callable[[Live], None]
    ) -> None:
        self._office = office
        self._clock = office.clock
        self._tenure = tenure
        self._request = request
        self._watch = watch
        self._inbox = Inbox(office.transport, topics.feedback(request.key))
        self._events: asyncio.Queue[Letter | _Chosen | _Tick | _Stop] = asyncio.Queue()
        self._campaign = Campaign(
            key=request.key,
            start_offset=request.start_offset,
            grace=request.grace,
            on_factory_loss=request.on_factory_loss,
        )
        self._fleet = NOBODY
        self._progress = Progress(request.name or request.key, self._epoch())
        self._awaited: frozenset[str] = frozenset()
        self._void: frozenset[str] = frozenset()
        """Directives that were interrupted: who is told to forget them may still say that they failed."""
        self._restarts = Restarts()
        self._error: QalipsisError | None = None
        self._aborter: str | None = None
        self._letters = Letters()
        self._vigil = Vigil(office.heartbeat_s)
        self._offsets = ClockOffsets()
        self._assigned_at: float | None = None
        self._leases: dict[str, float] = {}
        self._ticks = Ticks(
            self._clock, office.lease_s is not None, lambda full: self._events.put_nowait(_Tick(full))
        )
        self._finding: asyncio.Task[None] | None = None
        self._knows_its_factories = asyncio.Event()

    async def run(self, found: bytes | None = None) -> Report:
        """Run the campaign to its end, from the checkpoint that was found, if there was one.

        Raises ScenarioErrors, CampaignRefused, ServiceUnavailable or FactoryError when it cannot start, and
        Fenced when another head claimed it.
        """
        try:
            return await accompanied(
                self._drive(found),
                self._listen(),
                notice_deafness(self._office, self._vigil),
                self._tenure.keep(),
            )
        finally:
            self._ticks.stop()
            await self._stop_finding()
            await self._inbox.aclose()

    def stop(self, is_hard: bool, reason: str = "by the user", aborter: str | None = None) -> None:
        """Stop softly, so that running passes end, or hard, so that everything is interrupted.

        The aborter is who asked for it, as the campaign is listed.
        """
        self._events.put_nowait(_Stop(is_hard, reason, aborter))

    async def _listen(self) -> None:
        # Who goes on with a campaign would take the heartbeats that wait for those of strangers, and answer
        # none: factories would live a second less without a head than their lease says.
        await self._knows_its_factories.wait()
        async for letter in self._inbox.letters():
            received = letter.received
            self._vigil.heard(received.source, self._clock.now())
            if isinstance(received.message, Heartbeat):
                # At once, also while a commit waits for the store: factories live on these answers.
                await self._answer(received, received.message)
                letter.acknowledge()
            else:
                self._events.put_nowait(letter)

    async def _drive(self, found: bytes | None) -> Report:
        if found is None:
            await self._step(life.Requested())
            await self._commit()  # that it is being prepared is seen while it waits for its factories
        else:
            await self._resume(checkpoint.thaw(found))
        self._knows_its_factories.set()
        self._ticks.schedule(self._campaign.started_at)
        while not self._campaign.is_over:
            await self._handle(await self._events.get())
            # A queue with something in it makes nobody wait, and all workers report in the same moment: the
            # merge of 240 snapshots held up the loop for 65 ms, with turns for others between them for 20.
            await asyncio.sleep(0)
        return await self._conclude()

    async def _handle(self, event: Letter | _Chosen | _Tick | _Stop) -> None:
        phase = self._campaign.phase
        is_due = False
        match event:
            case Letter():
                await self._open(event)
            case _Chosen():
                await self._begin(event.fleet)
            case _Tick():
                is_due = event.is_full
                await self._tick(event.is_full)
            case _Stop():
                await self._stop(event)
        if self._campaign.is_over:
            return  # the last commit comes with the report
        if is_due or self._campaign.phase is not phase or self._tenure.has_to_say:
            await self._commit(is_due)

    # From one head to the next

    async def _resume(self, found: Checkpoint) -> None:
        # Before anything is said in the new epoch: after it factories drop what the head before committed.
        await self._tenure.relay()
        self._letters = Letters(await patiently(partial(self._office.store.watermarks, found.campaign.key)))
        now = self._clock.now()
        self._request = found.request
        self._campaign = found.campaign.shifted(-self._clock.epoch(0.0))
        self._fleet, self._restarts = found.fleet, found.restarts
        self._awaited, self._void = found.awaited, found.void
        self._progress = Progress.thaw(found.progress, found.live)
        self._watch_factories(now)
        _log.info("campaign %s goes on here, %s", self._campaign.key, self._campaign.phase)
        if self._campaign.phase is Phase.PREPARING and not self._campaign.is_closing:
            self._find_factories()
        self._show()

    def _freeze(self) -> bytes:
        return checkpoint.freeze(
            Checkpoint(
                request=self._request,
                campaign=self._campaign.shifted(self._clock.epoch(0.0)),
                fleet=self._fleet,
                awaited=self._awaited,
                void=self._void,
                restarts=self._restarts,
                progress=self._progress.freeze(),
                live=self._live(),
            )
        )

    async def _commit(self, is_full: bool = False) -> None:
        elapsed = None if self._campaign.started_at is None else self._clock.now() - self._campaign.started_at
        seconds = () if elapsed is None else self._progress.close_seconds(elapsed)
        if is_full:
            self._show()  # with these seconds, as the checkpoint that other heads show
        await self._tenure.commit(
            self._campaign.phase,
            self._moment(),
            seconds=seconds,
            meters=self._progress.take_meters(),
            checkpoint=self._freeze(),
            watermarks=self._letters.watermarks,
            aborter=self._aborter,
        )
        self._letters.commit()

    # The state machine

    async def _step(self, event: life.Event) -> None:
        before = self._campaign
        self._campaign, actions = life.step(before, event, self._clock.now())
        for action in actions:
            await self._perform(action)
        if self._campaign.phase is not before.phase:
            self._show()

    async def _perform(self, action: life.Action) -> None:
        match action:
            case life.FindFactories():
                self._find_factories()
            case life.Assign():
                self._assign()
            case life.WarmUp():
                self._awaited = self._direct(messages.WarmUp())
            case life.Start():
                self._start(action.at)
            case life.Redistribute():
                await self._redistribute(
                    [place for place in self._progress.tally.workers if place[0] in action.factories]
                )
            case life.Stop():
                for scenario in self._campaign.scenarios:
                    self._direct(StopScenario(scenario=scenario))
            case life.Interrupt():
                self._void |= self._awaited | self._direct(AbortCampaign())
                self._awaited = frozenset()
            case life.Close():
                self._direct(CloseCampaign(begins_anew=self._campaign.phase is Phase.PREPARING))
            case life.Conclude():
                return  # `_drive` sees that it is over
            case _:
                assert_never(action)

    def _find_factories(self) -> None:
        self._fleet = NOBODY
        self._progress.forget_factories()
        self._watch_factories(self._clock.now())
        left = Left(lost=self._campaign.lost, heard=dict(self._letters.watermarks))

        async def find() -> None:
            self._events.put_nowait(_Chosen(await tried_muster(self._office, self._request, left)))

        self._finding = asyncio.create_task(find())

    async def _stop_finding(self) -> None:
        if self._finding is not None:
            self._finding.cancel()
            await asyncio.wait([self._finding])

    async def _begin(self, fleet: Fleet | QalipsisError) -> None:
        if isinstance(fleet, QalipsisError):
            self._error = fleet
            await self._step(life.CouldNot("", life.Failure("refused", str(fleet))))
            return
        self._fleet = fleet
        names = tuple(scenario.name for scenario in fleet.scenarios)
        self._progress.begin(name_of(self._request, fleet), sum(fleet.assignment.minions.values()))
        nodes = tuple(each.node for each in fleet.factories)
        await self._step(life.FactoriesFound(nodes, names))
        self._watch_factories(self._clock.now())

    def _assign(self) -> None:
        self._assigned_at = self._clock.now()
        for factory in self._fleet.factories:
            topic = topics.node(factory.node, factory.incarnation)
            self._tenure.say(topic, assign_factory(factory.node, self._fleet, self._request))
        self._awaited = self._direct(declare_minions(self._fleet, self._request))

    def _start(self, at: float) -> None:
        self._progress.started_at = self._clock.epoch(at)
        self._ticks.begin(at)
        for node in self._campaign.present:
            instant = self._clock.epoch(at) + self._offsets.offset(node)
            self._direct_one(node, StartMinions(at=instant))

    def _direct(self, directive: Directive) -> frozenset[str]:
        """Say it to all factories that are there; returns the ids of the messages."""
        return frozenset(self._direct_one(node, directive) for node in self._campaign.present)

    def _direct_one(self, node: str, directive: Directive) -> str:
        return self._tenure.say(topics.directives(self._campaign.key, node), directive)

    async def _stop(self, asked: _Stop) -> None:
        before = self._campaign
        await self._step(life.StopRequested(asked.is_hard))
        if self._campaign != before:
            self._aborter = self._aborter or asked.aborter
            how = "at once" if asked.is_hard else "softly"
            self._progress.messages.append(Message(severity="ABORT", text=f"stopped {how} {asked.reason}"))

    # What factories tell

    async def _open(self, letter: Letter) -> None:
        if not self._letters.open(letter):
            return
        received = letter.received
        members = {(each.node, each.incarnation) for each in self._fleet.factories}
        is_member = (received.source, received.incarnation) in members
        if is_member or isinstance(received.message, StopWanted):
            await self._hear(received)
        elif received.source not in self._campaign.former:
            _log.warning("%s is no factory of campaign %s", received.source, self._campaign.key)

    async def _hear(self, received: Received) -> None:
        node, message, progress = received.source, received.message, self._progress
        match message:
            case DirectiveDone():
                if message.directive in self._awaited:
                    await self._step(life.Answered(node))
            case DirectiveIgnored():
                _log.info("%s ignored a directive: %s", node, message.reason)
            case DirectiveFailed() if message.directive in self._restarts.orders:
                await self._could_not_restart(node, message)
            case DirectiveFailed() if node in self._campaign.lost or message.directive in self._void:
                _log.info("%s could not do what is not asked for any more: %s", node, message.reason)
            case DirectiveFailed():
                who = f"factory {node}: " if len(self._campaign.factories) > 1 else ""
                await self._step(life.CouldNot(node, life.Failure(message.cause, who + message.reason)))
            case WorkerState():
                await self._meet(node, message)
            case SnapshotTaken():
                progress.collect(node, message)
            case WorkerSilent():
                progress.silent(node, message)
            case Fault():
                progress.lose_worker(node, message, self._own_time(node, message.at))
                await self._make_up_for((node, message.worker))
            case ScenarioEnded():
                await self._end_scenario(node, message)
            case LeaseEnded():
                reason = "stopped by itself: no head had answered it until its lease ended"
                await self._lose(node, reason, has_told=True)
                progress.settle(node, message)
            case messages.Final():
                self._vigil.dismiss(node)
                if not self._campaign.is_closing:
                    await self._lose(node, "left before the campaign ended", has_told=True)
                # After the loss: what it says last is exact, and takes the place of every estimate.
                progress.settle(node, message)
                await self._step(life.Closed(node))
            case StopWanted():
                await self._stop(_Stop(message.is_hard, message.by, message.aborter))
            case _:
                _log.warning("%s sent %s, which only factories read", node, type(message).__name__)

    async def _answer(self, received: Received, heartbeat: Heartbeat) -> None:
        node, now, lease = received.source, self._clock.now(), self._office.lease_s
        if node not in self._campaign.present:
            return  # whoever is lost stays so, and stops by itself
        round_trip = heartbeat.rtt_s
        if round_trip is None and self._assigned_at is not None:
            # It has just come, and said this when it was assigned: that was a round trip as well.
            round_trip = now - self._assigned_at
        self._offsets.add(node, heartbeat.clock, self._clock.epoch(now), round_trip)
        if lease is not None:
            self._leases[node] = now + lease
        await self._tenure.pulse(
            topics.directives(self._campaign.key, node),
            HeartbeatReply(
                lease_s=lease,
                committed=self._letters.committed(node, received.incarnation),
                clock=heartbeat.clock,
            ),
        )

    async def _meet(self, node: str, message: WorkerState) -> None:
        self._progress.meet(node, message, self._fleet.zone_of(node))
        least = max(message.planned_s or 0.0, message.last_start_s)
        refusal = limits.refusal_of_duration(self._request.limits, least)
        if refusal is not None:
            await self._step(life.CouldNot(node, life.Failure("refused", refusal)))

    async def _end_scenario(self, node: str, message: ScenarioEnded) -> None:
        self._restarts.say_ended(node, message.scenario, message.round)
        self._progress.scenario_ended(self._own_time(node, message.at))
        await self._check_ended(node, message.scenario)

    async def _check_ended(self, node: str, scenario: str) -> None:
        """Whether the scenario has ended there with all that the factory was given of it."""
        if self._restarts.has_ended(node, self._fleet.workers_of(node), scenario):
            await self._step(life.Ended(node, scenario))

    # Factories and workers that are lost

    def _watch_factories(self, now: float) -> None:
        if self._office.lease_s is not None:
            campaign = self._campaign
            # Who has said its last word is not heard any more.
            there = campaign.waiting_for if campaign.is_closing else campaign.present
            self._vigil.watch(there, now)
            self._leases = dict.fromkeys(there, now + self._office.lease_s)

    async def _look_for_silence(self) -> None:
        now = self._clock.now()
        self._vigil.awake(now)  # when this process was frozen, this may be the first that it does
        for node in self._vigil.suspects(now):
            self._progress.notice(f"factory {node} is silent")
        for node in self._vigil.lost(now):
            reason = "was lost: nothing was heard of it any more"
            await self._lose(node, reason, has_told=False)

    async def _lose(self, node: str, reason: str, *, has_told: bool) -> None:
        """A factory is gone. When it has told so itself, it sends nothing more and has counted everything;
        otherwise it may go on until its lease ends, and of about a heartbeat nothing is known.
        """
        if node not in self._campaign.present:
            return
        now = self._clock.now()
        self._vigil.dismiss(node)
        silence = 0.0 if has_told else self._office.heartbeat_s
        self._progress.lose_factory(node, reason, self._clock.epoch(now), silence)
        if any(factory == node for factory, _ in self._campaign.walking):
            self._progress.cut_off(node)
        # It may only be cut off: then this stops it sooner than its lease, and its last word is exact.
        self._direct_one(node, AbortCampaign())
        self._direct_one(node, CloseCampaign())
        await self._step(life.Lost(node, now if has_told else self._leases.get(node, now)))
        if self._campaign.phase is Phase.PREPARING:
            text = f"factory {node} {reason}, before the start: the campaign began anew without it"
            self._progress.messages.append(Message(severity="INFO", text=text))
        if not self._campaign.present and self._campaign.started_at is not None:
            self._progress.warn("no factory is left: minions that had not ended were not started again")

    async def _make_up_for(self, place: Place) -> None:
        """A worker died, at a factory that goes on."""
        if (
            self._campaign.phase is not Phase.RUNNING
            or place[0] not in self._campaign.present
            or place not in self._progress.tally.workers
        ):
            return
        match self._request.on_factory_loss:
            case life.OnFactoryLoss.REDISTRIBUTE:
                await self._redistribute([place])
            case life.OnFactoryLoss.ABORT:
                self.stop(False, "because a worker was lost")
            case life.OnFactoryLoss.CONTINUE:
                pass

    async def _redistribute(self, lost: Iterable[Place]) -> None:
        """Have others of the same zone start the minions of these workers again."""
        assignment, workers = self._fleet.assignment, self._progress.tally.workers
        living = [
            assignment.worker(*place)
            for place, worker in workers.items()
            if not worker.is_lost and place[0] in self._campaign.present
        ]
        losses = {assignment.worker(*place): workers[place].ledgers for place in lost}
        dealt = self._restarts.deal(assignment, losses, living)
        for node, directive in dealt.directives.items():
            self._restarts.ordered(self._direct_one(node, directive), directive.round)
        self._progress.tell_restarts(dealt)
        await self._step(life.HandedOver(dealt.walking))

    async def _could_not_restart(self, node: str, message: DirectiveFailed) -> None:
        left = self._restarts.refuse(self._fleet.assignment, node, message.directive)
        self._progress.warn(
            f"{sum(left.values()):,} minions of lost workers were not started again by {node}: "
            f"{message.reason}"
        )
        for scenario in left:
            await self._check_ended(node, scenario)  # then it need not say so again

    # As time passes

    async def _tick(self, is_full: bool) -> None:
        now = self._clock.now()
        self._ticks.ticked(is_full, self._campaign.started_at)
        await self._look_for_silence()
        if is_full and self._campaign.started_at is not None:
            self._check_conditions()
            self._check_timeout(now - self._campaign.started_at)
        await self._step(life.TimePassed())

    def _check_conditions(self) -> None:
        for text in self._progress.violations(self._fleet.scenarios):
            if self._campaign.phase is Phase.RUNNING:
                self.stop(False, f"because a condition is violated, {text}")

    def _check_timeout(self, elapsed: float) -> None:
        timeout = self._request.timeout
        if timeout is not None and elapsed >= timeout and self._campaign.phase is Phase.RUNNING:
            self.stop(self._request.is_hard_timeout, "because of its timeout")

    def _show(self) -> None:
        self._watch(self._live())

    def _live(self) -> Live:
        return self._progress.show(self._campaign.phase, self._epoch())

    # The end

    async def _conclude(self) -> Report:
        await self._stop_finding()  # or it would reserve factories for what is over
        campaign, failure = self._campaign, self._campaign.failure
        conclusion = Conclusion(self._office, self._tenure, campaign, self._letters, self._aborter)
        if failure is not None and campaign.started_at is None:
            await conclusion.give_up(failure.reason, self._events.get)
            raise self._error or _ERRORS.get(failure.cause, FactoryError)(failure.reason)
        if failure is not None:
            self._progress.faults.append(failure.reason)
        return await conclusion.report(self._request, self._fleet, self._progress, self._offsets)

    def _own_time(self, node: str, at: float) -> float:
        """A moment of a factory's clock by this head's."""
        return at - self._offsets.offset(node)

    def _moment(self) -> float:
        """Of a commit: one that starts the load is of when it starts, which is after the start offset."""
        return max(self._epoch(), self._progress.started_at or 0.0)

    def _epoch(self) -> float:
        return self._clock.epoch(self._clock.now())
