"""Ctrl-C: once to stop softly, twice to stop at once."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Final

from qalipsis.cli.streams import tell

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""SIGHUP comes when the terminal is closed: nobody watches any more, but the report is still wanted."""

BLOCKED_SECONDS: Final = 3.0
"""A signal that the loop has not acted upon for so long: user code in this process (no workers) blocks it."""


@contextmanager
def interruption(
    stop: Callable[[bool], None], softly: str = "running passes may end; Ctrl-C again stops at once"
) -> Iterator[None]:
    """Calls `stop(False)` at the first signal and `stop(True)`, a hard stop, at the second.

    `softly` says what the first one leads to.

    Code that blocks the event loop is interrupted by a KeyboardInterrupt at a later signal. Afterwards
    signals are ignored: what is left is the report, and a user who is impatient with the campaign must not
    lose that. What was ignored before (`nohup`) stays so.
    """
    loop = asyncio.get_running_loop()
    received = 0
    waiting_since: float | None = None

    def on_signal(number: int, frame: FrameType | None) -> None:
        nonlocal received, waiting_since
        if waiting_since is not None and time.monotonic() - waiting_since > BLOCKED_SECONDS:
            raise KeyboardInterrupt
        received += 1
        waiting_since = waiting_since or time.monotonic()
        loop.call_soon_threadsafe(act, received)

    def act(nth: int) -> None:
        nonlocal waiting_since
        waiting_since = None
        if nth == 1:
            stop(False)
            tell(f"stopping: {softly}")
        elif nth == 2:
            stop(True)
            tell("stopping at once: what runs is interrupted and counted as aborted")

    handled = [each for each in SIGNALS if signal.getsignal(each) is not signal.SIG_IGN]
    for each in handled:
        signal.signal(each, on_signal)
    try:
        yield
    finally:
        for each in handled:
            signal.signal(each, signal.SIG_IGN)
