"""Opens the sources of a scenario in one worker: feeds for its minions, right sides for its joins."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from qalipsis.engine import builtin, feed, join
from qalipsis.engine.collect import Collect
from qalipsis.engine.pump import NOBODY, Pump, Shard, Sink
from qalipsis.engine.scene import Background, Scene
from qalipsis.engine.source import Reader, ReaderRuntime
from qalipsis.language import steps
from qalipsis.language.durations import seconds
from qalipsis.language.joins import CACHE_SIZE, Join, LeftJoin, Meeting, Zip, ZipLast
from qalipsis.language.source import BROADCAST, LOOP, SEQUENTIAL, UNICAST, Feed, Source
from qalipsis.metrics.meters import StepMeters
from qalipsis.plan.ownership import Ownership
from qalipsis.plan.portion import Portion

SourceFactory = Callable[[Any], Reader]
Taking = feed.Unicast | feed.Broadcast | feed.Sequential
Met = join.Join | join.Zip


@dataclass(frozen=True, slots=True)
class Place:
    """Which of the campaign's workers this is."""

    campaign: str = ""
    owner: Callable[[int], int] = lambda row: 0
    worker: int = 0
    is_alone: bool = True
    is_idle: bool = False
    """True without minions of the scenario: what is read here, nobody would come for."""
    is_everywhere: bool = False
    """True for a root that each worker walks: its records are not shared out."""

    @property
    def is_first(self) -> bool:
        """One worker of the fleet counts what all of them read."""
        return self.owner(0) == self.worker


@dataclass(frozen=True, slots=True)
class Dealing:
    """A source whose records are shared out among the workers, row by row."""

    source: Source[Any]
    meters: StepMeters
    sink: feed.Unicast | join.Zip
    shard: Shard


class Supply:
    """The sources of one scenario; what reads them runs in `readers`."""

    def __init__(
        self, scene: Scene, find_source: Callable[[str], SourceFactory], place: Place, readers: Background
    ) -> None:
        self._scene = scene
        self._readers = readers
        self._find_source = find_source
        self._place = place
        self._feeds: list[Taking] = []
        self._collects: list[Collect] = []
        self._asides: list[Supply] = []
        self._dealings: list[Dealing] = []
        self._asleep: list[tuple[Pump, Sink]] = []
        """What is not read, for nobody would come for it."""
        self._taken: list[Callable[[int], bool]] = []
        """Rows of lost workers that this one was given."""
        self._is_stopped = False
        self._by_name: dict[str, Taking] = {}
        self._branches: dict[str, join.Branch] = {}

    def of_aside(self, is_everywhere: bool) -> Supply:
        """The sources of a root beside the loaded one, read in full by each worker that walks it.

        Its feeds go on after a stop: the passes under way may still join with what it brings.
        """
        alone = replace(self._place, is_alone=not is_everywhere, is_everywhere=is_everywhere)
        aside = Supply(self._scene, self._find_source, alone, self._readers)
        aside._branches = self._branches
        aside._by_name = dict(self._by_name)
        self._asides.append(aside)
        return aside

    async def open_feed(self, spec: Feed[Any], step: str, meters: StepMeters) -> Taking:
        """The feed of a step, opened and read from now on. Raises ServiceUnavailable."""
        known = self._by_name.get(spec.name) if spec.name else None
        if known is not None:
            return known
        made = await self._make_feed(spec, step, meters)
        self._feeds.append(made)
        if self._is_stopped:
            made.stop()  # a journey named it late
        if spec.name:
            self._by_name[spec.name] = made
        return made

    async def open_join(self, spec: Meeting, step: str, meters: StepMeters) -> Met:
        """The join of a step, its right side being read from now on. Raises ServiceUnavailable."""
        made = self._make_join(spec, step, meters)
        right = spec.right
        if isinstance(right, str):
            self.branch(right).sinks.append(made)
        elif type(spec) is Zip:
            assert isinstance(made, join.Zip)
            await self._dealt(right, step, meters, made)
        else:
            await self._read(right, meters, made, None, None)
        return made

    def make_collect(self, spec: steps.Collect) -> Collect:
        made = Collect(seconds(spec.timeout), spec.batch_size, self._scene.wheel)
        self._collects.append(made)
        return made

    def take_over(self, records: Sequence[Portion], ownership: Ownership) -> None:
        """Read what minions need who came from lost workers, and these rows of what is dealt to workers.

        What ends by itself is read once more for their sake, so nothing of them is missed. Of what never
        ends, rows that were read already are gone with the worker they were dealt to. A source that cannot be
        opened now fails the minions that wait for it, as one does that breaks.
        """
        if self._is_stopped:
            return  # so nobody begins a pass any more
        for aside in self._asides:
            aside.take_over((), ownership)
        self._place = replace(self._place, is_idle=False)
        for pump, sink in self._asleep:
            if isinstance(sink, feed.Feed):
                sink.wake()  # its idle timeout may have passed meanwhile
            pump.start(self._readers)
        self._asleep.clear()
        if not records:
            return

        def is_taken(row: int) -> bool:
            owner = ownership.owner(row)
            return any(
                portion.worker == owner and portion.has(ownership.count(owner, 0, row)) for portion in records
            )

        self._taken.append(is_taken)
        for dealing in self._dealings:
            self._deal(dealing, is_taken)

    def stop(self) -> None:
        """Let go who waits for a record: no more passes are to begin."""
        self._is_stopped = True
        for each in (*self._feeds, *self._collects):
            each.stop()

    def branch(self, step: str) -> join.Branch:
        """The records of a named step."""
        return self._branches.setdefault(step, join.Branch())

    async def _make_feed(self, spec: Feed[Any], step: str, meters: StepMeters) -> Taking:
        wheel, idle = self._scene.wheel, seconds(spec.idle_timeout)
        if spec.mode == SEQUENTIAL:
            return await self._sequential(spec.source, meters)
        if spec.mode == UNICAST:
            is_counting = self._place.is_first or not self._place.is_everywhere
            made = feed.Unicast(meters, wheel, idle, spec.buffer or feed.BUFFER, is_counting)
            await self._dealt(spec.source, spec.name or step, meters, made)
            return made
        assert spec.mode in (BROADCAST, LOOP)
        buffer = feed.BUFFER if spec.mode == LOOP else spec.buffer
        to_all = feed.Broadcast(meters, wheel, idle, buffer, self._place.is_first)
        pump = await self._read(spec.source, meters, to_all, None, None, is_endless=spec.mode == LOOP)
        to_all.go_on = pump.go_on
        return to_all

    async def _sequential(self, source: Source[Any], meters: StepMeters) -> feed.Sequential:
        make_reader, runtime = self._reader_of(source), self._runtime(meters, None)
        # Opened once ahead of the start, so that a wrong address is one message.
        if not self._place.is_idle:
            reader = make_reader()
            try:
                await reader.open(runtime)
            finally:
                await reader.aclose()
        return feed.Sequential(
            lambda: feed.Unicast(meters, self._scene.wheel, buffer=feed.OWN_BUFFER, given="records-taken"),
            lambda sink: Pump(make_reader, runtime, sink),
            self._readers,
            source.is_finite,
        )

    async def _dealt(
        self, source: Source[Any], name: str, meters: StepMeters, sink: feed.Unicast | join.Zip
    ) -> None:
        """Read the part of a source that belongs to this worker."""
        place, group, shard = self._place, None, None
        if source.is_dealt_by_service and not place.is_everywhere:
            group = f"qalipsis-{place.campaign}-{self._scene.scenario}-{name}"
        elif not place.is_everywhere and (place.is_idle or not place.is_alone):
            shard = Shard(place.owner, place.worker)
        pump = await self._read(source, meters, sink, group, shard)
        sink.go_on = pump.go_on
        if shard is None:
            return
        dealing = Dealing(source, meters, sink, shard)
        self._dealings.append(dealing)
        for is_taken in self._taken:
            self._deal(dealing, is_taken)

    def _deal(self, dealing: Dealing, is_taken: Callable[[int], bool]) -> None:
        if not dealing.source.is_finite:
            dealing.shard.take_over(is_taken)
            return
        shard = Shard(self._place.owner, NOBODY)
        shard.take_over(is_taken)
        runtime = self._runtime(dealing.meters, None, is_counting=False)
        pump = Pump(self._reader_of(dealing.source), runtime, dealing.sink, shard)
        dealing.sink.reopen(pump.go_on)
        pump.start(self._readers)

    async def _read(
        self,
        source: Source[Any],
        meters: StepMeters,
        sink: Sink,
        group: str | None,
        shard: Shard | None,
        is_endless: bool = False,
    ) -> Pump:
        is_counting = group is not None or self._place.is_first
        runtime = self._runtime(meters, group, is_counting)
        pump = Pump(self._reader_of(source), runtime, sink, shard, is_endless)
        if self._place.is_idle:
            self._asleep.append((pump, sink))
            return pump
        await pump.open()
        pump.start(self._readers)
        await asyncio.sleep(0)  # once it runs it closes its reader, should the next source refuse the start
        return pump

    def _make_join(self, spec: Meeting, step: str, meters: StepMeters) -> Met:
        wheel, is_named = self._scene.wheel, isinstance(spec.right, str)
        if isinstance(spec, Zip):
            kind = join.ZipLast if isinstance(spec, ZipLast) else join.Zip
            is_counting = is_named or kind is join.Zip or self._place.is_first
            return kind(seconds(spec.timeout), CACHE_SIZE, meters, wheel, is_counting)
        assert isinstance(spec, Join)
        return join.Join(
            step,
            builtin.on_value(spec.on),
            spec.having,
            seconds(spec.timeout),
            seconds(spec.cache_timeout),
            spec.cache_size,
            is_left=isinstance(spec, LeftJoin),
            is_counting=is_named or self._place.is_first,
            meters=meters,
            wheel=wheel,
        )

    def _reader_of(self, source: Source[Any]) -> Callable[[], Reader]:
        make = self._find_source(source.kind)
        return lambda: make(source)

    def _runtime(self, meters: StepMeters, group: str | None, is_counting: bool = True) -> ReaderRuntime:
        return ReaderRuntime(self._scene.clock, meters, group, is_counting)
