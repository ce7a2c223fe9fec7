"""Ctrl-C: once to stop softly, twice to stop at once."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def interruption(stop: Callable[[bool], None]) -> Iterator[None]:
    """Calls `stop(False)` at the first SIGINT or SIGTERM and `stop(True)`, a hard stop, at the second.

    Afterwards both are ignored: what is left is the report, and a user who is impatient with the campaign
    must not lose that.
    """
    loop = asyncio.get_running_loop()
    received = 0

    def on_signal() -> None:
        nonlocal received
        received += 1
        if received == 1:
            print("stopping: running passes may end; Ctrl-C again stops at once", file=sys.stderr)
            stop(False)
        elif received == 2:
            print("stopping at once: what runs is interrupted and counted as aborted", file=sys.stderr)
            stop(True)

    for each in SIGNALS:
        loop.add_signal_handler(each, on_signal)
    try:
        yield
    finally:
        for each in SIGNALS:
            loop.remove_signal_handler(each)
            signal.signal(each, signal.SIG_IGN)
