"""Who runs where: servers on one core, the injector on another."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

USABLE = sorted(os.sched_getaffinity(0))
SERVER = USABLE[0]
INJECTOR = USABLE[1] if len(USABLE) > 1 else USABLE[0]


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """What is started in the block runs on this core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
