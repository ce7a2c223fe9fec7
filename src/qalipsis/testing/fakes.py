"""What stands in for the world in one run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

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
from qalipsis.testing.virtual_loop import NoNetwork

SERVICES: Final = "qalipsis.plugins."
FILES: Final = "qalipsis.plugins.files."

FakeSource = Records | Callable[[Any], Records]


class Fakes:
    """Finds steps and sources as the registry does, the fake ones first."""

    def __init__(
        self,
        target: FakeHttp | None,
        steps: Mapping[str, Callable[[FakeCall], Any]],
        sources: Mapping[Any, FakeSource],
        stage: Stage,
        is_virtual: bool,
    ) -> None:
        self._service = None if target is None else FakeService(target, stage)
        self._steps = steps
        self._sources = sources
        self._stage = stage
        self._is_virtual = is_virtual
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
        step = runner.find_step(kind)
        give = "target=…" if kind == RequestSpec.kind else f'fakes={{"{kind}": …}}'
        self._refuse_network(step, kind, give)
        return step

    def find_source(self, kind: str) -> SourceFactory:
        def open_source(source: Any) -> Reader:
            records = self._of(source, kind)
            if records is not None:
                return FakeReader(source, records, self._stage)
            reader = runner.find_source(kind)
            self._refuse_network(reader, kind, f'sources={{"{kind}": …}}')
            return reader(source)

        return open_source

    def _refuse_network(self, found: Any, kind: str, give: str) -> None:
        """On virtual time, what is known to need a network is refused before it tries: it would only hang."""
        module = getattr(found, "__module__", "")
        if self._is_virtual and module.startswith(SERVICES) and not module.startswith(FILES):
            refusal = NoNetwork(
                f'{kind} needs a network, and there is none in virtual time: give {give}, or clock="real"'
            )
            self._stage.broke(refusal)
            raise refusal

    def _of(self, source: Any, kind: str) -> FakeSource | None:
        """By the source itself first: a scenario may read several of one kind."""
        for known, records in self._by_source:
            if known is source:
                return records
        return self._sources.get(kind)
