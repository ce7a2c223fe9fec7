"""How a reader comes back to a broker that was gone for a moment."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from qalipsis.engine.step import StepError

Opened = TypeVar("Opened")

RECOVERY_SECONDS = 30.0
"""How long a broker may be gone: it restarts in less, and after more a test is not worth going on."""
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 2.0
HOPELESS = frozenset({"auth", "denied", "no-vhost", "no-exchange"})
"""Failures that the next attempt would only repeat."""

_log = logging.getLogger(__name__)


async def recovered(open: Callable[[], Awaitable[Opened]], why: StepError) -> Opened:
    """What `open` opens, after as many attempts as fit. Raises the last StepError when none succeeds."""
    _log.warning("%s; trying again for %g s", why, RECOVERY_SECONDS)
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + RECOVERY_SECONDS
    pause = FIRST_PAUSE
    while True:
        left = give_up_at - loop.time()
        try:
            async with asyncio.timeout(left):
                return await open()
        except TimeoutError:
            failure = why
        except StepError as error:
            failure = error
            if error.kind in HOPELESS:
                raise
        if loop.time() + pause >= give_up_at:
            raise StepError(failure.kind, f"{failure}; no success within {RECOVERY_SECONDS:g} s") from failure
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
