"""Commands of ours as real processes, each in a session of its own, by which nothing of it is missed."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

LOOK_SECONDS = 0.02


async def until(question: Callable[[], Any], what: str, seconds: float = 30.0) -> Any:
    """Ask until the answer is true; AssertionError with the last answer when that takes too long."""
    deadline = time.monotonic() + seconds
    last: Any = None
    while time.monotonic() < deadline:
        try:
            answer = question()
            last = await answer if isinstance(answer, Awaitable) else answer
            if last:
                return last
        except OSError as error:  # not there yet, or not there any more
            last = error
        await asyncio.sleep(LOOK_SECONDS)
    raise AssertionError(f"{what} within {seconds:g} s: {last!r}")


class Process:
    """`qalipsis` with these words, and every process that it starts."""

    def __init__(self, name: str, words: Sequence[str], folder: Path, prefix: Sequence[str] = ()) -> None:
        self.name = name
        self._log = folder / f"{name}.log"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*prefix, sys.executable, "-m", "qalipsis", *words],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace")

    @property
    def code(self) -> int | None:
        """How the command ended; None while it runs."""
        return self._process.poll()

    @property
    def family(self) -> list[int]:
        """The process ids of the command and of all that it started, the command's first."""
        own = []
        for each in Path("/proc").iterdir():
            with suppress(ValueError, OSError):
                pid = int(each.name)
                fields = (each / "stat").read_text().rpartition(")")[2].split()
                if int(fields[3]) == self._process.pid and fields[0] != "Z":
                    own.append(pid)
        return sorted(own, key=lambda pid: (pid != self._process.pid, pid))

    def signal(self, number: int) -> float:
        """To the command and everything it started; returns the moment, by the monotonic clock."""
        at = time.monotonic()
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)
        return at

    def kill(self) -> float:
        """The command alone, as when memory is short: what it started is to end by itself."""
        at = time.monotonic()
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        return at

    async def ended(self, seconds: float = 20.0) -> int:
        """Its exit code, once it and everything it started is gone."""
        await until(lambda: self.code is not None and not self.family, f"{self.name} should end", seconds)
        assert self.code is not None
        return self.code

    def close(self) -> None:
        for pid in self.family:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()
