"""Who runs where: servers on one core, the injector on another."""

from __future__ import annotations

import os

USABLE = sorted(os.sched_getaffinity(0))
SERVER = USABLE[0]
INJECTOR = USABLE[1] if len(USABLE) > 1 else USABLE[0]
