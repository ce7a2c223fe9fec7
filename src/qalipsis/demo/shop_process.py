"""The demo shop as a process beside this one: started, waited for, always stopped."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from select import select

from qalipsis.errors import ServiceUnavailable

START_SECONDS = 15.0
STOP_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class RunningShop:
    url: str
    pid: int


@contextmanager
def running_shop(
    delay: str = "0ms", errors: float = 0.0, seed: int = 1, arguments: Sequence[str] = ()
) -> Iterator[RunningShop]:
    """A shop on a free loopback port, for the length of the `with` block.

    It has an interpreter of its own, so the only thing it takes from the injector is a core.
    """
    command = [sys.executable, "-m", "qalipsis.demo.shop", "--until-stdin-closes"]
    command += ["--delay", delay, "--errors", str(errors), "--seed", str(seed), *arguments]
    process = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        # A Ctrl-C in the terminal is for the campaign, which needs its target until the end.
        start_new_session=True,
    )
    try:
        yield RunningShop(wait_for_address(process, START_SECONDS), process.pid)
    finally:
        stop(process)


def wait_for_address(process: subprocess.Popen[str], timeout_seconds: float) -> str:
    """The first line that the process prints."""
    assert process.stdout is not None
    ready, _, _ = select([process.stdout], [], [], timeout_seconds)
    line = process.stdout.readline().strip() if ready else ""
    if line:
        return line
    if process.poll() is None and not ready:
        raise ServiceUnavailable(
            f"the demo shop said nothing for {timeout_seconds:g} s; try again on an idle machine"
        )
    raise ServiceUnavailable(
        f"the demo shop ended with code {process.wait()} before it listened; its message stands above"
    )


def stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()
