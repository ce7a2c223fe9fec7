"""The supervisor's side of one worker: asks it, listens to it, notices its death."""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol

from qalipsis.clock import Clock
from qalipsis.errors import FactoryError
from qalipsis.factory.orders import Ended, Frozen, Order, WorkerAnswer, WorkerWord
from qalipsis.factory.pipes import Pipe, PipeBroken, open_pipe
from qalipsis.factory.shared_ledger import SharedLedger

LAST_WORDS_SECONDS: Final = 1.0
"""What a dead worker had sent before is read; its pipe may stay open when user code left a child behind."""

EXIT_SECONDS: Final = 3.0
"""Time to end in order once the pipe is closed; then it is killed."""


class Body(Protocol):
    """Where a worker runs."""

    pid: int
    exited: asyncio.Future[str]

    def kill(self) -> None: ...


class WorkerLost(FactoryError):
    """The worker died before it answered; `reason` says how, after the words `worker 1 `."""

    def __init__(self, worker: int, pid: int, reason: str) -> None:
        super().__init__(f"worker {worker} (process {pid}) {reason}")
        self.reason = reason


class WorkerHandle:
    """One worker, from its birth to its end.

    `on_word` is called for each snapshot and each end of a scenario, `on_lost` once when it dies before it
    was closed.
    """

    def __init__(
        self,
        index: int,
        clock: Clock,
        on_word: Callable[[WorkerHandle, Frozen | Ended], None],
        on_lost: Callable[[WorkerHandle], None],
    ) -> None:
        self.index = index
        self.ledger = SharedLedger()
        self.pid = 0
        self.lost: str | None = "was not started"
        """How it died, None while it lives."""
        self.heard_at = 0.0
        """When it said something last."""
        self._clock = clock
        self._on_word = on_word
        self._on_lost = on_lost
        self._is_closing = False
        self._killed: str | None = None
        self._asked: deque[asyncio.Future[WorkerAnswer]] = deque()

    @property
    def is_alive(self) -> bool:
        return self.lost is None

    async def open(self, make_body: Callable[[socket.socket, int], Body]) -> None:
        """Start the worker."""
        ours, theirs = socket.socketpair()
        self._pipe: Pipe[WorkerWord] = await open_pipe(ours, WorkerWord)
        self._body = make_body(theirs, self.ledger.descriptor)
        self.pid = self._body.pid
        self.heard_at = self._clock.now()
        self._reading = asyncio.create_task(self._read())
        self._watching = asyncio.create_task(self._watch())
        self.lost = None

    async def ask(self, order: Order, timeout_seconds: float) -> WorkerAnswer:
        """The worker's answer. One that dies or does not answer in time is lost: raises WorkerLost."""
        if self.lost is not None:
            raise WorkerLost(self.index, self.pid, self.lost)
        answer: asyncio.Future[WorkerAnswer] = asyncio.get_running_loop().create_future()
        self._asked.append(answer)
        self._pipe.send(order)
        try:
            done, _ = await asyncio.wait([answer], timeout=timeout_seconds)
            if not done:
                what = order.__struct_config__.tag
                self.kill(f"did not answer to `{what}` within {timeout_seconds:g} s and was killed")
            return await answer
        except asyncio.CancelledError:
            answer.cancel()
            raise

    def kill(self, reason: str) -> None:
        """End the process at once; `reason` is what its loss will be put down to."""
        if not self._body.exited.done():
            self._killed = self._killed or reason
            self._body.kill()

    async def aclose(self) -> None:
        """End the worker: in order by closing its pipe, by force when that takes too long."""
        if self.pid == 0:
            self.ledger.close()
            return
        self._is_closing = True
        await self._pipe.aclose()
        await asyncio.wait([self._body.exited], timeout=EXIT_SECONDS if self.is_alive else 0.0)
        if not self._body.exited.done():
            self._body.kill()
        await self._body.exited
        await asyncio.wait([self._watching])
        self.ledger.close()

    async def _read(self) -> None:
        try:
            async for word in self._pipe.messages():
                self.heard_at = self._clock.now()
                match word:
                    case Frozen() | Ended():
                        self._on_word(self, word)
                    case _:
                        self._answer(word)
        except PipeBroken as error:
            self.kill(f"wrote what is no message into its pipe ({error}) and was killed")
        # The pipe ends a moment before the exit is seen, and how the process ended is the better reason.
        await asyncio.wait([self._body.exited], timeout=LAST_WORDS_SECONDS)
        if not self._is_closing:
            self.kill("closed its pipe and was killed")

    def _answer(self, word: Any) -> None:
        if self._asked:
            answer = self._asked.popleft()
            if not answer.done():
                answer.set_result(word)

    async def _watch(self) -> None:
        reason = await asyncio.shield(self._body.exited)
        await asyncio.wait([self._reading], timeout=LAST_WORDS_SECONDS)
        self._reading.cancel()
        await asyncio.wait([self._reading])
        self._end(self._killed or reason)

    def _end(self, reason: str) -> None:
        self.lost = reason
        while self._asked:
            answer = self._asked.popleft()
            if not answer.done():
                answer.set_exception(WorkerLost(self.index, self.pid, reason))
        if not self._is_closing:
            self._on_lost(self)
