"""A worker in the supervisor's own process, so that a debugger reaches user code (`--workers 0`)."""

from __future__ import annotations

import asyncio
import os
import socket

from qalipsis.factory.kit import Kit
from qalipsis.factory.orders import Order
from qalipsis.factory.pipes import open_pipe
from qalipsis.factory.worker import KIT, Worker


class WorkerTask:
    """The same worker behind the same kind of pipe, as a task. `exited` tells how it ended."""

    def __init__(self, pipe_end: socket.socket, ledger_descriptor: int, kit: Kit = KIT) -> None:
        self.pid = os.getpid()
        self.exited: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._run(pipe_end, ledger_descriptor, kit))
        self._task.add_done_callback(self._on_done)

    def kill(self) -> None:
        """Interrupt the worker; `exited` follows."""
        self._task.cancel()

    async def _run(self, pipe_end: socket.socket, ledger_descriptor: int, kit: Kit) -> None:
        await Worker(await open_pipe(pipe_end, Order), ledger_descriptor, kit).run()

    def _on_done(self, task: asyncio.Task[None]) -> None:
        if self.exited.done():
            return
        if task.cancelled():
            self.exited.set_result("was interrupted")
        elif (error := task.exception()) is not None:
            self.exited.set_result(f"ended with an error, {type(error).__name__}: {error}")
        else:
            self.exited.set_result("ended")
