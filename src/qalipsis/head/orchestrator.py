"""Drives one campaign: performs what its state machine decides, merges what factories tell, reports."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Final, assert_never

from qalipsis.clock import TimerHandle
from qalipsis.cluster import messages, topics
from qalipsis.cluster.accompanied import accompanied
from qalipsis.cluster.codec import Received
from qalipsis.cluster.inbox import Inbox, Letter
from qalipsis.cluster.messages import (
    AbortCampaign,
    AssignFactory,
    CloseCampaign,
    DeclareMinions,
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
from qalipsis.head.assignment import Assignment
from qalipsis.head.campaign import Campaign, Phase
from qalipsis.head.campaign_request import CampaignRequest
from qalipsis.head.checkpoint import Checkpoint
from qalipsis.head.clock_offsets import ClockOffsets
from qalipsis.head.fleet import Fleet
from qalipsis.head.muster import muster
from qalipsis.head.office import Office
from qalipsis.head.patience import patiently
from qalipsis.head.progress import Progress
from qalipsis.head.redistribution import Book, Redistribution, redistribute, refused
from qalipsis.head.report_builder import Ending, build
from qalipsis.head.tally import Place
from qalipsis.head.tenure import Tenure
from qalipsis.head.vigil import Vigil
from qalipsis.reports.live import Live
from qalipsis.reports.model import Message, Report

SNAPSHOTS_ARRIVE: Final = 0.2
"""Seconds after a full second until the workers' snapshots of it have been merged."""

IDLE_TICK: Final = 0.5

WATCH_SECONDS: Final = 0.1
"""How often silent factories are looked for, so that they are named 3 s after their end at the latest."""

DEAF_SECONDS: Final = 1.0
"""When this head itself did nothing for so long, the silence of others means nothing."""

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
        self._fleet = Fleet(scenarios=(), factories=(), assignment=Assignment({}, {}, {}))
        self._progress = Progress(request.name or request.key, self._epoch())
        self._awaited: frozenset[str] = frozenset()
        self._book = Book()
        self._restarts: dict[str, int] = {}
        self._ended: dict[str, dict[str, int]] = {}
        """By factory and scenario: the last round of restarts after which it said that it had ended."""
        self._error: QalipsisError | None = None
        self._aborter: str | None = None
        self._letters: list[Letter] = []
        self._watermarks: dict[tuple[str, int], int] = {}
        self._committed: dict[tuple[str, int], int] = {}
        self._vigil = Vigil(office.heartbeat_s)
        self._offsets = ClockOffsets()
        self._assigned_at: float | None = None
        self._leases: dict[str, float] = {}
        self._full_at = self._clock.now()
        self._timer: TimerHandle | None = None
        self._finding: asyncio.Task[None] | None = None

    async def run(self, found: bytes | None = None) -> Report:
        """Run the campaign to its end, from the checkpoint that was found, if there was one.

        Raises ScenarioErrors, CampaignRefused, ServiceUnavailable or FactoryError when it cannot start, and
        Fenced when another head claimed it.
        """
        try:
            return await accompanied(
                self._drive(found), self._listen(), self._notice_deafness(), self._tenure.keep()
            )
        finally:
            if self._timer is not None:
                self._timer.cancel()
            await self._stop_finding()
            await self._inbox.aclose()

    def stop(self, is_hard: bool, reason: str = "by the user", aborter: str | None = None) -> None:
        """Stop softly, so that running passes end, or hard, so that everything is interrupted.

        The aborter is who asked for it, as the campaign is listed.
        """
        self._events.put_nowait(_Stop(is_hard, reason, aborter))

    async def _listen(self) -> None:
        async for letter in self._inbox.letters():
            received = letter.received
            self._vigil.heard(received.source, self._clock.now())
            if isinstance(received.message, Heartbeat):
                # At once, also while a commit waits for the store: factories live on these answers.
                await self._answer(received, received.message)
                letter.acknowledge()
            else:
                self._events.put_nowait(letter)

    async def _notice_deafness(self) -> None:
        """While this process stood still, or its broker was away, nobody could be heard."""
        if self._office.lease_s is None:
            return
        while True:
            before = self._clock.now()
            await asyncio.sleep(WATCH_SECONDS)
            now = self._clock.now()
            if not self._office.transport.is_connected or now - before > DEAF_SECONDS:
                self._vigil.restart(now)

    async def _drive(self, found: bytes | None) -> Report:
        if found is None:
            await self._step(life.Requested())
            await self._commit()  # that it is being prepared is seen while it waits for its factories
        else:
            await self._resume(checkpoint.thaw(found))
        self._schedule_tick()
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
            await self._commit()

    # From one head to the next

    async def _resume(self, found: Checkpoint) -> None:
        # Before anything is said in the new epoch: after it factories drop what the head before committed.
        await self._tenure.relay()
        self._watermarks = await patiently(partial(self._office.store.watermarks, found.campaign.key))
        self._committed = dict(self._watermarks)
        now = self._clock.now()
        self._request = found.request
        self._campaign = found.campaign.shifted(-self._clock.epoch(0.0))
        self._fleet = Fleet(scenarios=found.scenarios, factories=found.factories, assignment=found.assignment)
        self._awaited, self._book, self._restarts = found.awaited, found.book, dict(found.restarts)
        self._ended = {node: dict(rounds) for node, rounds in found.ended.items()}
        self._progress = Progress.thaw(found.progress, found.live)
        self._watch_factories(now)
        _log.info("campaign %s goes on here, %s", self._campaign.key, self._campaign.phase)
        if self._campaign.phase is Phase.PREPARING:
            self._find_factories()
        self._show()

    def _freeze(self) -> bytes:
        assignment = self._fleet.assignment
        return checkpoint.freeze(
            Checkpoint(
                request=self._request,
                campaign=self._campaign.shifted(self._clock.epoch(0.0)),
                scenarios=self._fleet.scenarios,
                factories=self._fleet.factories,
                minions=assignment.minions,
                zones=assignment.zones,
                first_worker=assignment.first_worker,
                shares=assignment.shares,
                awaited=self._awaited,
                book=self._book,
                restarts=self._restarts,
                ended=self._ended,
                progress=self._progress.freeze(),
                live=self._live(),
            )
        )

    async def _commit(self) -> None:
        elapsed = None if self._campaign.started_at is None else self._clock.now() - self._campaign.started_at
        letters, self._letters = self._letters, []
        await self._tenure.commit(
            self._campaign.phase,
            self._epoch(),
            seconds=() if elapsed is None else self._progress.close_seconds(elapsed),
            meters=self._progress.take_meters(),
            checkpoint=self._freeze(),
            watermarks=self._watermarks,
            aborter=self._aborter,
        )
        self._committed = dict(self._watermarks)
        for letter in letters:
            letter.acknowledge()

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
                self._direct(AbortCampaign())
            case life.Close():
                self._direct(CloseCampaign())
            case life.Conclude():
                return  # `_drive` sees that it is over
            case _:
                assert_never(action)

    def _find_factories(self) -> None:
        async def find() -> None:
            try:
                fleet: Fleet | QalipsisError = await muster(self._office, self._request)
            except QalipsisError as error:
                fleet = error
            except Exception as error:
                _log.exception("the factories of campaign %s could not be chosen", self._campaign.key)
                fleet = FactoryError(f"its factories could not be chosen: {error!r}")
            self._events.put_nowait(_Chosen(fleet))

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
        self._progress.begin(self._name, sum(fleet.assignment.minions.values()))
        nodes = tuple(each.node for each in fleet.factories)
        await self._step(life.FactoriesFound(nodes, names))
        self._watch_factories(self._clock.now())

    def _assign(self) -> None:
        assignment, requested = self._fleet.assignment, self._request.scenarios
        self._assigned_at = self._clock.now()
        for factory in self._fleet.factories:
            self._tenure.say(
                topics.node(factory.node, factory.incarnation),
                AssignFactory(
                    campaign=self._campaign.key,
                    zones=tuple(assignment.zones.values()),
                    first_worker=assignment.first_worker[factory.node],
                    seed=self._request.seed,
                    speed_factor=self._request.speed_factor,
                ),
            )
        self._awaited = self._direct(
            DeclareMinions(
                minions=assignment.minions,
                shares=assignment.shares,
                profiles={name: each.profile for name, each in requested.items() if each.profile is not None},
            )
        )

    def _start(self, at: float) -> None:
        self._progress.started_at = self._clock.epoch(at)
        self._full_at = at
        self._schedule_tick()
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
        received = letter.received
        source = received.source, received.incarnation
        if received.sequence <= self._watermarks.get(source, 0):
            letter.acknowledge()  # a head before this one has committed it
            return
        self._watermarks[source] = received.sequence
        self._letters.append(letter)
        members = {(each.node, each.incarnation) for each in self._fleet.factories}
        if source in members or isinstance(received.message, StopWanted):
            await self._hear(received)
        else:
            _log.warning("%s is no factory of campaign %s", received.source, self._campaign.key)

    async def _hear(self, received: Received) -> None:
        node, message, progress = received.source, received.message, self._progress
        match message:
            case DirectiveDone():
                if message.directive in self._awaited:
                    await self._step(life.Answered(node))
            case DirectiveIgnored():
                _log.info("%s ignored a directive: %s", node, message.reason)
            case DirectiveFailed() if message.directive in self._restarts:
                await self._could_not_restart(node, message)
            case DirectiveFailed() if node in self._campaign.lost:
                _log.info("%s, which is lost, could not do what it was asked for: %s", node, message.reason)
            case DirectiveFailed():
                await self._step(life.CouldNot(node, life.Failure(message.cause, message.reason)))
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
                committed=self._committed.get((node, received.incarnation), 0),
                clock=heartbeat.clock,
            ),
        )

    async def _meet(self, node: str, message: WorkerState) -> None:
        self._progress.meet(node, message)
        if message.planned_s is not None:
            refusal = limits.refusal_of_duration(self._request.limits, message.planned_s)
            if refusal is not None:
                await self._step(life.CouldNot(node, life.Failure("refused", refusal)))

    async def _end_scenario(self, node: str, message: ScenarioEnded) -> None:
        rounds = self._ended.setdefault(node, {})
        rounds[message.scenario] = max(message.round, rounds.get(message.scenario, 0))
        self._progress.scenario_ended(self._own_time(node, message.at))
        await self._check_ended(node, message.scenario)

    async def _check_ended(self, node: str, scenario: str) -> None:
        """Whether the scenario has ended there with all that the factory was given of it."""
        first = self._fleet.assignment.first_worker.get(node, 0)
        workers = sum(each.workers for each in self._fleet.factories if each.node == node)
        said = self._ended.get(node, {}).get(scenario, -1)
        # Below it, what was said crossed an order to start some again, whose end is told as well.
        if said >= self._book.round_of(range(first, first + workers), scenario):
            await self._step(life.Ended(node, scenario))

    # Factories and workers that are lost

    def _watch_factories(self, now: float) -> None:
        if self._office.lease_s is not None:
            self._vigil.watch(self._campaign.present, now)
            self._leases = dict.fromkeys(self._campaign.present, now + self._office.lease_s)

    async def _look_for_silence(self) -> None:
        now = self._clock.now()
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
        # It may only be cut off: then this stops it sooner than its lease, and its last word is exact.
        self._direct_one(node, AbortCampaign())
        self._direct_one(node, CloseCampaign())
        await self._step(life.Lost(node, now if has_told else self._leases.get(node, now)))
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
        dealt = redistribute(assignment, self._book, losses, living)
        self._book = dealt.book
        for node, directive in dealt.directives.items():
            self._restarts[self._direct_one(node, directive)] = directive.round
        self._tell_restarts(dealt)
        await self._step(
            life.HandedOver(
                frozenset(
                    (node, scenario)
                    for node, directive in dealt.directives.items()
                    for takeovers in directive.takeovers.values()
                    for scenario in takeovers
                )
            )
        )

    def _tell_restarts(self, dealt: Redistribution) -> None:
        restarted = sum(sum(each.values()) for each in dealt.restarted.values())
        if restarted:
            text = f"{restarted:,} minions of lost workers are started again by {', '.join(dealt.directives)}"
            self._progress.messages.append(Message(severity="WARN", text=text))
            self._progress.notice(text)
        stranded = sum(sum(each.values()) for each in dealt.stranded.values())
        if stranded:
            self._progress.warn(
                f"{stranded:,} minions of lost workers were not started again: "
                "no worker of their zone is left"
            )

    async def _could_not_restart(self, node: str, message: DirectiveFailed) -> None:
        number = self._restarts.pop(message.directive)
        self._book, left = refused(self._fleet.assignment, self._book, node, number)
        minions = sum(left.values())
        self._progress.warn(
            f"{minions:,} minions of lost workers were not started again by {node}: {message.reason}"
        )
        for scenario in left:
            await self._check_ended(node, scenario)  # then it need not say so again

    # As time passes

    def _schedule_tick(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        now, start = self._clock.now(), self._campaign.started_at
        if start is None:
            full_at = max(now, self._full_at + IDLE_TICK)
        else:
            # A little is added, or rounding would make the same second follow itself.
            past = (self._full_at - start - SNAPSHOTS_ARRIVE + 0.01) // 1.0
            full_at = start + max(0.0, past + 1.0) + SNAPSHOTS_ARRIVE
        is_watching = self._office.lease_s is not None and now + WATCH_SECONDS < full_at
        at = now + WATCH_SECONDS if is_watching else full_at
        self._timer = self._clock.call_at(at, lambda: self._events.put_nowait(_Tick(not is_watching)))

    async def _tick(self, is_full: bool) -> None:
        now = self._clock.now()
        if is_full:
            self._full_at = now
        self._schedule_tick()
        await self._look_for_silence()
        if is_full:
            if self._campaign.started_at is not None:
                self._check_conditions()
                self._check_timeout(now - self._campaign.started_at)
            self._show()
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
        failure = self._campaign.failure
        if failure is not None and self._campaign.started_at is None:
            await self._give_up(failure)
            raise self._error or _ERRORS.get(failure.cause, FactoryError)(failure.reason)
        if failure is not None:
            self._progress.faults.append(failure.reason)
        store, progress = self._office.store, self._progress
        letters, self._letters = self._letters, []
        progress.tell_estimates()
        seconds = progress.close_seconds(None)
        timeline = (*await patiently(partial(store.seconds, self._campaign.key)), *seconds)
        started_at = progress.started_at or progress.created_at
        report = build(
            Ending(
                key=self._campaign.key,
                name=self._name,
                seed=self._request.seed,
                speed_factor=self._request.speed_factor,
                started_at=started_at,
                ended_at=max(started_at, progress.ended_at or self._epoch()),
                scenarios=self._fleet.scenarios,
                factories=self._fleet.factories,
                assignment=self._fleet.assignment,
                tally=progress.tally,
                timeline=timeline,
                is_aborted=self._campaign.phase is Phase.ABORTED,
                messages=tuple(progress.messages),
                faults=tuple(progress.faults),
                accepts_redistribution=self._request.accept_redistribution,
                clock_offsets={each.node: self._offsets.offset(each.node) for each in self._fleet.factories},
                environment=self._request.environment,
            )
        )
        await self._tenure.commit(
            self._campaign.phase,
            self._epoch(),
            seconds=seconds,
            meters=progress.take_meters(),
            watermarks=self._watermarks,
            report=report,
            aborter=self._aborter,
        )
        for letter in letters:
            letter.acknowledge()
        await self._clear_up(self._campaign.waiting_for)
        return report

    async def _give_up(self, failure: life.Failure) -> None:
        """Nothing has started: have the factories forget it, so that they are free for the next one."""
        await self._tenure.commit(
            self._campaign.phase,
            self._epoch(),
            watermarks=self._watermarks,
            failure_reason=failure.reason,
            aborter=self._aborter,
        )
        waiting = set(self._campaign.present)
        with suppress(TimeoutError):
            async with asyncio.timeout(life.CLOSING_SECONDS):
                while waiting:
                    event = await self._events.get()
                    if isinstance(event, Letter):
                        event.acknowledge()
                        if isinstance(event.received.message, messages.Final | DirectiveIgnored):
                            waiting.discard(event.received.source)
        await self._clear_up(waiting)

    async def _clear_up(self, silent: Collection[str]) -> None:
        """Leave nothing behind but what is in the store, and what silent factories are still to read.

        A factory that has closed the campaign removed its directives, but a head that took over may have said
        some again.
        """
        key, transport = self._campaign.key, self._office.transport
        await self._stop_finding()  # or it would reserve factories for what is over
        try:
            await patiently(partial(self._office.directory.release, key))
            await transport.remove(topics.feedback(key))
            for node in self._campaign.factories:
                if node not in silent:
                    await transport.remove(topics.directives(key, node))
        except QalipsisError as error:
            # The campaign is over and its report is kept: nothing of this may cost it.
            _log.warning("what campaign %s has left at the broker was not removed: %s", key, error)

    @property
    def _name(self) -> str:
        return (
            self._request.name or ", ".join(each.name for each in self._fleet.scenarios) or self._request.key
        )

    def _own_time(self, node: str, at: float) -> float:
        """A moment of a factory's clock by this head's."""
        return at - self._offsets.offset(node)

    def _epoch(self) -> float:
        return self._clock.epoch(self._clock.now())
