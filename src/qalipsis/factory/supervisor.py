"""Starts the workers of a factory, passes the head's directives on to them, and answers for them."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any, Final, TypeVar

from qalipsis.clock import Clock
from qalipsis.cluster.messages import (
    AbortCampaign,
    AssignFactory,
    CloseCampaign,
    DeclareMinions,
    Fault,
    Feedback,
    RestartMinions,
    ScenarioEnded,
    SnapshotTaken,
    StartMinions,
    StopScenario,
    WarmUp,
    WorkerSilent,
    WorkerState,
)
from qalipsis.config.settings import GracefulShutdown
from qalipsis.errors import CampaignRefused, FactoryError, Mistake, ScenarioErrors, ServiceUnavailable
from qalipsis.factory import limits
from qalipsis.factory.limits import Need, Target
from qalipsis.factory.orders import (
    Closed,
    Ended,
    Failed,
    Frozen,
    Load,
    Loaded,
    Mistaken,
    Order,
    Prepare,
    Prepared,
    Reckon,
    Reckoned,
    Restart,
    WorkerAnswer,
)
from qalipsis.factory.worker_handle import Body, WorkerHandle, WorkerLost
from qalipsis.plan.portion import Takeover

LOAD_SECONDS: Final = 120.0
PREPARE_SECONDS: Final = 60.0
WARM_UP_SECONDS: Final = 120.0
ORDER_SECONDS: Final = 10.0
"""For everything that a worker answers at once, unless user code blocks its loop."""

CLOSING_SECONDS: Final = 5.0
"""The same, for what a worker does beside that which has times of its own when a campaign is closed."""

SILENT_SECONDS: Final = 2.0
"""Two snapshots that did not come: the loop is blocked, and someone should know while it lasts."""

DEAF_SECONDS = 60.0
"""A worker that has not reported for so long is blocked for good, or stopped: it would hold the campaign."""

SILENCE_TICK: Final = 0.5

PIECE_BYTES: Final = 900 * 1024

USUAL_GRACE: Final = GracefulShutdown()

_CAUSES = {"refused": CampaignRefused, "unavailable": ServiceUnavailable}

MakeBody = Callable[[socket.socket, int], Body]
"""Starts a worker that has this end of a pipe, and this descriptor for its counters."""

_Result = TypeVar("_Result")


class Supervisor:
    """The workers of one factory that work for the same campaign, as one.

    `tell` is called with everything that happens during a campaign, in order. `neighbours` are the
    supervisors whose workers share the ports of this machine. `grace` is how long the parts of a campaign may
    take to end in a worker.
    """

    def __init__(
        self,
        clock: Clock,
        workers: int,
        make_body: MakeBody,
        tell: Callable[[Feedback], None],
        neighbours: Callable[[], Sequence[Supervisor]] = tuple,
        grace: GracefulShutdown = USUAL_GRACE,
    ) -> None:
        self._clock = clock
        self._make_body = make_body
        self._tell = tell
        self._neighbours = neighbours
        self._grace = grace
        self._handles = [self._make_handle(index) for index in range(workers)]
        self._loaded: set[WorkerHandle] = set()
        self._load: Load | None = None
        self._found: Loaded | None = None
        self._limit = inf
        self._walking: dict[str, set[int]] = {}
        self._ended_at: dict[str, float] = {}
        self._first_worker = 0
        self._needs: dict[int, Need] = {}
        self._rounds: dict[str, int] = {}
        """The last round of restarts that was heard of, by scenario."""
        self._given: dict[tuple[int, str], int] = {}
        """The last round in which a worker was given something of a scenario."""
        self._known: set[int] = set()
        """Rounds that were heard of."""
        self._restarting = asyncio.Lock()
        self._silence: asyncio.Task[None] | None = None

    @property
    def workers(self) -> int:
        return len(self._handles)

    async def open(self) -> None:
        """Start the workers."""
        for handle in self._handles:
            await handle.open(self._make_body)

    async def load(
        self,
        paths: Sequence[Path | str],
        properties: Mapping[str, Any],
        event_levels: Mapping[str, str] | None = None,
    ) -> Loaded:
        """Have every worker import the scenarios; raises ScenarioErrors with all mistakes.

        The first worker goes ahead, so that mistakes, and what files print, appear once.
        """
        order = Load(
            paths=tuple(map(str, paths)),
            properties=dict(properties),
            event_levels=None if event_levels is None else dict(event_levels),
        )
        self._load = order
        first, *others = self._handles
        try:
            loaded = _loaded(await first.ask(order, LOAD_SECONDS))
            answers = await _all([handle.ask(order, LOAD_SECONDS) for handle in others])
        except WorkerLost as error:
            raise _broken(
                order,
                f"the process that imports the scenarios {error.reason}",
                "what a file runs when it is imported must not end or block the process",
            ) from error
        for answer in answers:
            if _loaded(answer) != loaded:
                raise _broken(
                    order,
                    "the workers found different scenarios in the same files",
                    "what a file defines must not depend on the process, on chance or on the time",
                )
        self._found = loaded
        self._loaded.update(self._handles)
        return loaded

    def load_later(self, like: Supervisor) -> None:
        """Start the workers and load the same when the first campaign comes."""
        self._load, self._found = like._load, like._found

    def limit(self, until: float) -> None:
        """Let the workers send until then, in monotonic seconds: they look before each request."""
        self._limit = until
        for handle in self._handles:
            handle.ledger.limit(until)

    async def prepare(self, assignment: AssignFactory, declared: DeclareMinions) -> None:
        """Open the scenarios everywhere; raises CampaignRefused when this machine cannot hold them."""
        self._needs = {}
        await self._replace_dead()
        self._walking = {
            scenario: {handle.index for handle in self._handles} for scenario in declared.minions
        }
        self._first_worker = assignment.first_worker
        self._ended_at, self._rounds, self._given, self._known = {}, {}, {}, set()
        for handle in self._handles:
            handle.ledger.size_for(tuple(declared.minions))
        answers = await _all(
            [
                handle.ask(
                    Prepare(
                        campaign=assignment.campaign,
                        minions=declared.minions,
                        zones=assignment.zones,
                        worker=assignment.first_worker + handle.index,
                        seed=assignment.seed,
                        speed_factor=assignment.speed_factor,
                        epoch_offset=self._clock.epoch(0.0),
                        minion_grace=self._grace.minion,
                        scenario_grace=self._grace.scenario,
                        shares=declared.shares,
                        profiles=declared.profiles,
                    ),
                    PREPARE_SECONDS,
                )
                for handle in self._handles
            ]
        )
        needs: dict[int, Need] = {}
        for handle, answer in zip(self._handles, answers, strict=True):
            if not isinstance(answer, Prepared):
                raise _failure(handle, answer)
            needs[handle.index] = Need(
                {(host, port): count for host, port, count in answer.connections},
                answer.descriptors_allowed,
                answer.descriptors_open,
            )
            self._tell(
                WorkerState(
                    worker=handle.index,
                    pid=handle.pid,
                    planned_s=answer.planned_s,
                    last_start_s=answer.last_start_s,
                )
            )
        refusal = limits.refusal(needs, limits.local_ports(), self._held_by_others())
        if refusal is not None:
            raise CampaignRefused(refusal)
        self._needs = needs

    async def warm_up(self, directive: WarmUp) -> None:
        """Connect what is to be connected; raises ServiceUnavailable when no worker could."""
        answers = await _all([handle.ask(directive, WARM_UP_SECONDS) for handle in self._handles])
        failures = [
            (handle, answer)
            for handle, answer in zip(self._handles, answers, strict=True)
            if isinstance(answer, Failed)
        ]
        for handle, failed in failures:
            if failed.cause != "unavailable" or len(failures) == len(answers):
                raise _failure(handle, failed)

    async def start(self, directive: StartMinions) -> None:
        """Begin everywhere at the same instant."""
        for handle, answer in zip(self._handles, await self._ask_all(directive), strict=True):
            if isinstance(answer, Failed):
                raise _failure(handle, answer)
        self._silence = asyncio.create_task(self._watch_silence(directive.at - self._clock.epoch(0.0)))

    async def restart(self, directive: RestartMinions) -> str | None:
        """Have workers start again what others have lost; returns why it was ignored, None when it was not.

        Raises CampaignRefused when this machine cannot hold it: then nothing of it is started here. Of each
        scenario in it, the end is told once more, whatever came of it.
        """
        async with self._restarting:
            if directive.round in self._known:
                return f"the restarts of round {directive.round} were ordered before"
            self._known.add(directive.round)
            given = {
                handle: directive.takeovers[self._first_worker + handle.index]
                for handle in self._handles
                if self._first_worker + handle.index in directive.takeovers
            }
            refusal = await self._reckon(given)
            if not self._walking:
                return "the campaign is over"
            scenarios = {scenario for takeovers in given.values() for scenario in takeovers}
            self._rounds.update(dict.fromkeys(scenarios, directive.round))
            living = [handle for handle in given if handle.is_alive and refusal is None]
            for handle in living:
                for scenario in given[handle]:
                    self._walking[scenario].add(handle.index)
                    self._given[handle.index, scenario] = directive.round
            for scenario in scenarios:
                self._check_end(scenario)
            if refusal is not None:
                raise CampaignRefused(refusal)
            orders = [Restart(round=directive.round, takeovers=given[handle]) for handle in living]
            answers = await asyncio.gather(*map(self._ask, living, orders))
        for handle, answer in zip(living, answers, strict=True):
            if isinstance(answer, Failed):
                raise _failure(handle, answer)
        return None

    async def _reckon(self, given: Mapping[WorkerHandle, dict[str, Takeover]]) -> str | None:
        """Why this machine cannot hold what the workers are to take over, None when it can."""
        asked = [self._ask(handle, Reckon(takeovers=takeovers)) for handle, takeovers in given.items()]
        needs = {handle.index: self._needs[handle.index] for handle in self._handles if handle.is_alive}
        for handle, answer in zip(given, await asyncio.gather(*asked), strict=True):
            if isinstance(answer, Failed):
                return f"the minions of lost workers are not started again here: {answer.reason}"
            if isinstance(answer, Reckoned):
                connections = {(host, port): count for host, port, count in answer.connections}
                needs[handle.index] = replace(self._needs[handle.index], connections=connections)
        refusal = limits.refusal(needs, limits.local_ports(), self._held_by_others())
        if refusal is None:
            self._needs |= needs
            return None
        return f"the minions of lost workers are not started again here: {refusal}"

    async def stop(self, directive: StopScenario) -> None:
        """No new starts and passes."""
        await self._ask_all(directive)

    async def abort(self, directive: AbortCampaign) -> None:
        """Interrupt everything."""
        await self._ask_all(directive)

    async def close(self, directive: CloseCampaign) -> dict[int, dict[str, tuple[int, ...]]]:
        """End the campaign everywhere; returns the counters of all workers, dead ones included."""
        await self._end_silence()
        seconds = self._grace.minion + self._grace.scenario + CLOSING_SECONDS
        answers = await self._ask_all(directive, seconds)
        self._walking = {}
        ledgers = {handle.index: handle.ledger.read() for handle in self._handles}
        for handle, answer in zip(self._handles, answers, strict=True):
            if isinstance(answer, Closed) and answer.left:
                # Whatever it still does, the next campaign is not to meet it, and nothing else is lost.
                handle.kill(f"did not end all that a campaign had begun ({answer.left} left) and was killed")
        return ledgers

    async def aclose(self) -> None:
        """End the workers and wait until their processes are gone."""
        await self._end_silence()
        await asyncio.gather(*(handle.aclose() for handle in self._handles))

    def _make_handle(self, index: int) -> WorkerHandle:
        return WorkerHandle(index, self._clock, self._on_word, self._on_lost)

    def _held_by_others(self) -> Counter[Target]:
        """The connections that other campaigns of this machine may hold now."""
        held: Counter[Target] = Counter()
        for each in self._neighbours():
            if each is not self and each._walking:
                for need in each._needs.values():
                    held.update(need.connections)
        return held

    async def _replace_dead(self) -> None:
        """Start workers for those that died in a campaign before, or were not needed until now."""
        missing = [handle for handle in self._handles if not handle.is_alive or handle not in self._loaded]
        if self._load is not None:
            await _all([self._replace(handle, self._load) for handle in missing])

    async def _replace(self, handle: WorkerHandle, load: Load) -> None:
        """A worker that has what was offered to the heads; raises FactoryError."""
        self._loaded.discard(handle)
        await handle.aclose()
        replacement = self._make_handle(handle.index)
        self._handles[handle.index] = replacement
        replacement.ledger.limit(self._limit)
        await replacement.open(self._make_body)
        if await replacement.ask(load, LOAD_SECONDS) != self._found:
            replacement.kill("found other scenarios than the factory has offered")
            raise FactoryError(
                f"worker {handle.index} was started later than others, and found other scenarios in the "
                "files than they did: restart the factory after changing them"
            )
        self._loaded.add(replacement)

    async def _ask_all(self, order: Order, seconds: float = ORDER_SECONDS) -> list[WorkerAnswer | None]:
        """The answers of all workers, None of those that are dead: that is told elsewhere."""
        return await asyncio.gather(*(self._ask(handle, order, seconds) for handle in self._handles))

    async def _ask(
        self, handle: WorkerHandle, order: Order, seconds: float = ORDER_SECONDS
    ) -> WorkerAnswer | None:
        try:
            return await handle.ask(order, seconds)
        except WorkerLost:
            return None

    def _on_word(self, handle: WorkerHandle, word: Frozen | Ended) -> None:
        match word:
            case Frozen():
                self._tell_snapshot(handle.index, word.data)
            case Ended():
                if word.round >= self._given.get((handle.index, word.scenario), 0):
                    self._ended(handle.index, word.scenario, word.at)

    def _tell_snapshot(self, worker: int, data: bytes) -> None:
        pieces = [data[first : first + PIECE_BYTES] for first in range(0, len(data), PIECE_BYTES)]
        for number, piece in enumerate(pieces):
            self._tell(SnapshotTaken(worker=worker, piece=number, pieces=len(pieces), data=piece))

    def _ended(self, worker: int, scenario: str, at: float) -> None:
        walking = self._walking.get(scenario)
        if walking is None or worker not in walking:
            return
        walking.discard(worker)
        self._ended_at[scenario] = max(at, self._ended_at.get(scenario, at))
        self._check_end(scenario)

    def _check_end(self, scenario: str) -> None:
        if self._walking.get(scenario) == set():
            at, number = self._ended_at[scenario], self._rounds.get(scenario, 0)
            self._tell(ScenarioEnded(scenario=scenario, at=at, round=number))

    def _on_lost(self, handle: WorkerHandle) -> None:
        at = self._clock.epoch(self._clock.now())
        if self._walking:
            self._tell(
                Fault(
                    worker=handle.index,
                    pid=handle.pid,
                    reason=str(handle.lost),
                    at=at,
                    ledgers=handle.ledger.read(),
                )
            )
        for scenario in self._walking:
            self._ended(handle.index, scenario, at)

    async def _watch_silence(self, start: float) -> None:
        """Tell of workers that do not report while they should, and give up those that never will."""
        told: dict[int, float] = {}
        await asyncio.sleep(max(0.0, start - self._clock.now()))
        while True:
            before = self._clock.now()
            await asyncio.sleep(SILENCE_TICK)
            now = self._clock.now()
            if now - before > 2 * SILENCE_TICK:
                continue  # this process itself stood still: what workers said is still to be read
            for handle in self._handles:
                silence = now - max(handle.heard_at, start)
                is_walking = any(handle.index in walking for walking in self._walking.values())
                if silence < SILENT_SECONDS or not is_walking or now - told.get(handle.index, 0.0) < 1.0:
                    continue
                told[handle.index] = now
                self._tell(WorkerSilent(worker=handle.index, seconds=silence))
                if silence > DEAF_SECONDS:
                    handle.kill(f"did not report for {DEAF_SECONDS:g} s and was killed")

    async def _end_silence(self) -> None:
        task, self._silence = self._silence, None
        if task is not None:
            task.cancel()
            await asyncio.wait([task])


async def _all(asked: list[Coroutine[Any, Any, _Result]]) -> list[_Result]:
    """Everyone's answer; raises only when all have answered, so that no question stays open behind it."""
    answers = await asyncio.gather(*asked, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return [answer for answer in answers if not isinstance(answer, BaseException)]


def _broken(order: Load, message: str, hint: str) -> ScenarioErrors:
    return ScenarioErrors((Mistake(", ".join(order.paths), 0, message, hint),))


def _loaded(answer: WorkerAnswer) -> Loaded:
    match answer:
        case Loaded():
            return answer
        case Mistaken():
            raise ScenarioErrors(tuple(Mistake(*mistake) for mistake in answer.mistakes))
        case _:
            raise FactoryError(f"a worker answered {answer!r} when it was to load the scenarios")


def _failure(handle: WorkerHandle, answer: WorkerAnswer) -> Exception:
    if not isinstance(answer, Failed):
        return FactoryError(f"worker {handle.index} gave an answer to another question: {answer!r}")
    return _CAUSES.get(answer.cause, FactoryError)(answer.reason)
