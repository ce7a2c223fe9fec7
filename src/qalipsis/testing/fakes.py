"""What stands in for the world in one run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from qalipsis.engine import runner
from qalipsis.engine.assembly import StepFactory
from qalipsis.engine.source import Reader
from qalipsis.engine.supply import SourceFactory
from qalipsis.plugins.http.spec import RequestSpec
from qalipsis.testing.fake_http import FakeHttp
from qalipsis.testing.fake_source import FakeReader, Records
from qalipsis.testing.fake_step import FakeCall, FakeStep
from qalipsis.testing.fake_wire import FakeHttpStep, FakeService
from qalipsis.testing.stage import Stage

FakeSource = Records | Callable[[Any], Records]


class Fakes:
    """Finds steps and sources as the registry does, the fake ones first."""

    def __init__(
        self,
        target: FakeHttp | None,
        steps: Mapping[str, Callable[[FakeCall], Any]],
        sources: Mapping[Any, FakeSource],
        stage: Stage,
    ) -> None:
        self._service = None if target is None else FakeService(target, stage)
        self._steps = steps
        self._sources = sources
        self._stage = stage
        self._by_source: list[tuple[Any, FakeSource]] = []

    def settle(self, resolve: Callable[[Any], Any]) -> None:
        """Know the sources by what the compiler makes of them: their placeholders filled."""
        self._by_source = [
            (resolve(key), records) for key, records in self._sources.items() if not isinstance(key, str)
        ]

    def find_step(self, kind: str) -> StepFactory:
        answer = self._steps.get(kind)
        if answer is not None:
            return lambda spec: FakeStep(spec, answer, self._stage)
        service = self._service
        if service is not None and kind == RequestSpec.kind:
            return lambda spec: FakeHttpStep(spec, service)
        return runner.find_step(kind)

    def find_source(self, kind: str) -> SourceFactory:
        def open_source(source: Any) -> Reader:
            records = self._of(source, kind)
            if records is not None:
                return FakeReader(source, records, self._stage)
            return runner.find_source(kind)(source)

        return open_source

    def _of(self, source: Any, kind: str) -> FakeSource | None:
        """By the source itself first: a scenario may read several of one kind."""
        for known, records in self._by_source:
            if known is source:
                return records
        return self._sources.get(kind)
