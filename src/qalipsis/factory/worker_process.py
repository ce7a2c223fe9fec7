"""The main program of a worker process, and its supervisor's hold on it."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from typing import Final

import uvloop

from qalipsis.config.logs import set_up_logging
from qalipsis.config.settings import Logging
from qalipsis.factory.orders import Order
from qalipsis.factory.pipes import open_pipe
from qalipsis.factory.worker import Worker

PARENT_DECIDES: Final = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
"""A terminal and a service manager send these to all processes; the supervisor alone answers them."""

ONE_CORE: Final = {"OPENBLAS_NUM_THREADS": "1"}
"""A worker has one core: threads of numpy's for each core of the machine would only spin at its start."""

_SET_DEATH_SIGNAL: Final = 1


class WorkerProcess:
    """A worker in a process of its own. `exited` tells how it ended, as soon as it did."""

    def __init__(self, logging: Logging, pipe_end: socket.socket, ledger_descriptor: int) -> None:
        descriptors = (pipe_end.fileno(), ledger_descriptor)
        with _blocked(PARENT_DECIDES):
            # -P: a file of the author named like a standard module must not take its place.
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-P", "-m", "qalipsis.factory.worker_process"),
                    *(*map(str, descriptors), str(os.getpid()), logging.level or "WARN", logging.format),
                ],
                pass_fds=descriptors,
                env={**ONE_CORE, **os.environ},
                stdin=subprocess.DEVNULL,
            )
        pipe_end.close()
        self.pid = self._process.pid
        self.exited: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._descriptor = os.pidfd_open(self.pid)
        asyncio.get_running_loop().add_reader(self._descriptor, self._on_exit)

    def kill(self) -> None:
        """End the process at once, whatever it does; `exited` follows."""
        if self._process.returncode is None:
            self._process.kill()

    def _on_exit(self) -> None:
        code = self._process.poll()
        if code is None:
            return
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)
        self.exited.set_result(describe_exit(code))


def describe_exit(code: int) -> str:
    """What a return code of `subprocess` says, after the words `worker 1 `."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = " (as the kernel does when memory runs out)" if -code == signal.SIGKILL else ""
    return f"was killed by {name}{hint}"


@contextmanager
def _blocked(signals: set[signal.Signals]) -> Iterator[None]:
    """Hold the signals back, so that they cannot end a child that does not ignore them yet."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _die_with(parent: int) -> None:
    """Have the kernel end this process when the parent ends, even while user code blocks the loop."""
    ctypes.CDLL(None).prctl(_SET_DEATH_SIGNAL, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit("the supervisor is gone")


async def _serve(pipe_descriptor: int, ledger_descriptor: int) -> None:
    pipe = await open_pipe(socket.socket(fileno=pipe_descriptor), Order)
    await Worker(pipe, ledger_descriptor).run()


def main(arguments: Sequence[str]) -> None:
    """Serve the supervisor whose descriptors and process id are given, until its pipe ends."""
    pipe_descriptor, ledger_descriptor, parent = map(int, arguments[:3])
    for each in PARENT_DECIDES:
        signal.signal(each, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, PARENT_DECIDES)
    _die_with(parent)
    for descriptor in (pipe_descriptor, ledger_descriptor):
        # What user code starts must not keep the pipe open after the worker died.
        os.set_inheritable(descriptor, False)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # What user code prints appears when it is printed, and is not lost when the worker is killed.
            stream.reconfigure(line_buffering=True, errors="replace")
    set_up_logging(Logging(level=arguments[3], format=arguments[4]), sys.stderr)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(pipe_descriptor, ledger_descriptor))


if __name__ == "__main__":
    main(sys.argv[1:])
