"""A step of any kind whose service is a function."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from qalipsis.engine.step import StepContext, StepError, StepRuntime
from qalipsis.engine.traffic import Traffic
from qalipsis.language.durations import Duration, duration_problems, seconds
from qalipsis.testing.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeCall:
    """One execution: the step as its author described it, and the value that came to it.

    `minion` is the index of the minion, `at` are seconds since the minions started, `number` counts the
    executions of this step from 0.
    """

    spec: Any
    value: Any
    minion: int
    at: float
    number: int


@dataclass(frozen=True, slots=True)
class FakeAnswer:
    """An output that takes time; made by `fake_answer`."""

    output: Any
    after: float


def fake_answer(output: Any = None, *, after: Duration = 0) -> FakeAnswer:
    """What a step puts out `after` so long; a StepError is raised then."""
    for problem in duration_problems("after", after):
        raise ValueError(problem)
    return FakeAnswer(output, seconds(after))


class FakeStep:
    """Every execution is one request in the books, answered by `answer(FakeCall(…))`."""

    def __init__(self, spec: Any, answer: Callable[[FakeCall], Any], stage: Stage) -> None:
        self._spec = spec
        self._answer = answer
        self._stage = stage
        self._number = 0

    async def open(self, runtime: StepRuntime) -> None:
        self._traffic = Traffic(runtime)

    async def execute(self, context: StepContext) -> Any:
        call = FakeCall(
            spec=self._spec,
            value=context.value,
            minion=context.minion.index,
            at=self._stage.seconds,
            number=self._number,
        )
        self._number += 1
        return await self._traffic.request(lambda: self._serve(call))

    async def _serve(self, call: FakeCall) -> Any:
        try:
            answer = self._answer(call)
        except StepError:
            raise
        except Exception as error:
            raise self._stage.broke(error) from error
        if isinstance(answer, FakeAnswer):
            if answer.after:
                await asyncio.sleep(answer.after)
            answer = answer.output
        if isinstance(answer, StepError):
            raise answer
        return answer

    async def aclose(self) -> None: ...
