"""What the factories of a campaign have told so far, and what there is to say about it."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import Struct

from qalipsis.cluster.messages import Fault, Final, LeaseEnded, SnapshotTaken, WorkerSilent, WorkerState
from qalipsis.head.accounts import worker_name
from qalipsis.head.conditions import check
from qalipsis.head.live_view import LiveView
from qalipsis.head.meter_series import Meter
from qalipsis.head.redistribution import Redistribution
from qalipsis.head.tally import Place, Tally, TallyState
from qalipsis.metrics.snapshot import Snapshot
from qalipsis.plan.model import ScenarioDescriptor
from qalipsis.reports.live import Live
from qalipsis.reports.model import Message, Second


class ProgressState(Struct, frozen=True, kw_only=True):
    """Everything that was told so far, as data."""

    tally: TallyState
    created_at: float
    started_at: float | None
    ended_at: float | None
    planned_s: float | None
    messages: tuple[Message, ...]
    faults: tuple[str, ...]
    pieces: tuple[tuple[str, int, tuple[bytes, ...]], ...]
    """Of snapshots that have come in part."""


class Progress:
    """One campaign. Moments are epoch seconds of the head."""

    def __init__(self, name: str, created_at: float) -> None:
        self.tally = Tally()
        self.created_at = created_at
        self.started_at: float | None = None
        self.ended_at: float | None = None
        self.planned_s: float | None = None
        self.messages: list[Message] = []
        self.faults: list[str] = []
        self._live = LiveView(name)
        self._pieces: dict[Place, list[bytes]] = {}

    @classmethod
    def thaw(cls, state: ProgressState, live: Live) -> Progress:
        """The progress that was frozen, and how it looked then."""
        progress = cls(live.campaign, state.created_at)
        progress.tally = Tally.thaw(state.tally)
        progress.started_at, progress.ended_at = state.started_at, state.ended_at
        progress.planned_s = state.planned_s
        progress.messages, progress.faults = list(state.messages), list(state.faults)
        progress._live = LiveView.thaw(live)
        progress._pieces = {(node, worker): list(parts) for node, worker, parts in state.pieces}
        return progress

    def freeze(self) -> ProgressState:
        """To be encoded before anything changes."""
        return ProgressState(
            tally=self.tally.freeze(),
            created_at=self.created_at,
            started_at=self.started_at,
            ended_at=self.ended_at,
            planned_s=self.planned_s,
            messages=tuple(self.messages),
            faults=tuple(self.faults),
            pieces=tuple((*place, tuple(parts)) for place, parts in self._pieces.items() if parts),
        )

    def begin(self, name: str, minions: int) -> None:
        """The campaign is called so, and has so many minions."""
        self._live.name, self._live.minions_scheduled = name, minions

    def forget_factories(self) -> None:
        """Nothing has started, and the campaign begins anew with others: what was told is of nobody."""
        self.tally, self._pieces = Tally(), {}
        self.planned_s = self._live.planned_s = None

    def notice(self, text: str) -> None:
        """Something that who watches should know now."""
        self._live.notice(text)

    def warn(self, text: str) -> None:
        """Something that is wrong with the figures, to be told now and in the verdict."""
        self.faults.append(text)
        self._live.notice(text)

    # What factories tell

    def meet(self, node: str, message: WorkerState, zone: str = "") -> None:
        self.tally.add_worker((node, message.worker), message.pid, zone)
        if message.planned_s is not None:
            self.planned_s = self._live.planned_s = max(message.planned_s, self.planned_s or 0.0)

    def collect(self, node: str, message: SnapshotTaken) -> None:
        place = (node, message.worker)
        pieces = self._pieces.setdefault(place, [])
        if message.piece == 0:
            pieces.clear()
        if message.piece != len(pieces):
            return  # said again, by a factory whose broker was away
        pieces.append(message.data)
        if len(pieces) < message.pieces:
            return
        data = b"".join(pieces)
        pieces.clear()
        try:
            self.tally.add(place, msgspec.msgpack.decode(data, type=Snapshot))
        except (msgspec.MsgspecError, ValueError) as error:
            self.warn(f"a snapshot of {worker_name(place)} could not be read and is missing here: {error}")

    def silent(self, node: str, message: WorkerSilent) -> None:
        place = (node, message.worker)
        self.tally.silent(place, message.seconds)
        self.notice(f"{worker_name(place)} does not report: user code blocks its event loop")

    def lose_worker(self, node: str, message: Fault, at: float) -> None:
        place = (node, message.worker)
        worker = self.tally.workers.get(place)
        if worker is not None and worker.is_lost:
            self.tally.settle(place, message.ledgers)  # with its factory, before this came
            return
        reason = f"{message.reason}, {self._when(at)}"
        if worker is not None:
            self.tally.lose(place, reason, at, message.ledgers)
        self.notice(f"{worker_name(place)} (process {message.pid}) {reason}")

    def lose_factory(self, node: str, reason: str, at: float, silence: float) -> None:
        """Nothing was heard of a factory for so many seconds; what it did meanwhile is estimated."""
        told = f"{reason}, {self._when(at)}"
        for place, worker in self.tally.workers.items():
            if place[0] == node and not worker.is_lost:
                self.tally.presume_lost(place, told, at, silence)
        self.notice(f"factory {node} {told}")

    def settle(self, node: str, message: Final | LeaseEnded) -> None:
        """The accounts of a factory that has ended everything."""
        for worker, ledgers in message.ledgers.items():
            self.tally.settle((node, worker), ledgers)

    def scenario_ended(self, at: float) -> None:
        self.ended_at = max(at, self.ended_at or at)

    def cut_off(self, node: str) -> None:
        """A factory is lost before its scenarios have ended: its load lasted as long as it has reported."""
        reported = self.tally.reported_until(node)
        if self.started_at is not None and reported:
            self.scenario_ended(self.started_at + reported)

    def tell_restarts(self, dealt: Redistribution) -> None:
        """Say which minions of lost workers are started again, and which are not."""
        restarted = sum(sum(each.values()) for each in dealt.restarted.values())
        if restarted:
            text = f"{restarted:,} minions of lost workers are started again by {', '.join(dealt.directives)}"
            self.messages.append(Message(severity="WARN", text=text))
            self.notice(text)
        stranded = sum(sum(each.values()) for each in dealt.stranded.values())
        if stranded:
            self.warn(
                f"{stranded:,} minions of lost workers were not started again: "
                "no worker of their zone is left"
            )

    def tell_estimates(self) -> None:
        """Say which requests no step has, how many nobody has counted, and which are not even estimated."""
        unreported = sum(each.unreported for each in self.tally.workers.values() if each.is_lost)
        if unreported:
            text = (
                f"{unreported:,} requests that lost workers had begun after their last report are in the "
                "books only: the figures of steps, latencies and seconds are without them"
            )
            self.messages.append(Message(severity="WARN", text=text))
        estimated = sum(sum(worker.estimates.values()) for worker in self.tally.workers.values())
        if estimated:
            text = (
                f"about {estimated:,} requests of lost factories are an estimate, counted as unknown: "
                "what they may have sent in the second after their last report. One that was only cut off "
                "may have sent for longer, until its lease ended"
            )
            self.messages.append(Message(severity="WARN", text=text))
        workers = self.tally.workers.items()
        for node in sorted({place[0] for place, worker in workers if worker.is_unheard}):
            self.faults.append(
                f"factory {node} was lost before its first report: what it sent until then is in no figure"
            )

    # Once a second

    def close_seconds(self, elapsed: float | None) -> tuple[Second, ...]:
        """The seconds that are complete; all that are left when nothing is to come any more (None)."""
        tally = self.tally
        seconds = tally.close_all_seconds() if elapsed is None else tally.close_seconds(elapsed)
        for second in seconds:
            self._live.add(second, tally)
        return seconds

    def take_meters(self) -> tuple[Meter, ...]:
        """The meters of the seconds closed since the last call."""
        return () if self.started_at is None else self.tally.take_meters(self.started_at)

    def violations(self, scenarios: Sequence[ScenarioDescriptor]) -> tuple[str, ...]:
        """The conditions that do not hold and are to stop the campaign; all that do not hold are noticed."""
        fatal = []
        for each in check(scenarios, self.tally.aggregate):
            if each.is_violated:
                text = f"{each.scenario}: expected {each.expectation.text}"
                self.notice(text)
                if each.abort:
                    fatal.append(text)
        return tuple(fatal)

    def show(self, state: str, now: float) -> Live:
        """The campaign at this moment."""
        return self._live.show(state, self._after(now), self.tally)

    def _when(self, at: float) -> str:
        if self.started_at is None or at < self.started_at:
            return "before the start"
        return f"{at - self.started_at:.1f} s after the start"

    def _after(self, at: float) -> float:
        return 0.0 if self.started_at is None else max(0.0, at - self.started_at)
