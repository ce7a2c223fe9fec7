"""Notices that this head could hear nobody, so that nobody's silence is held against them."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from qalipsis.head.hearing import MOST_DEAF_SECONDS, Hearing
from qalipsis.head.office import Office

WATCH_SECONDS: Final = 0.25
"""Until deafness is noticed, and silence counted that is none: `cluster.redis.reader` adds it up."""

_log = logging.getLogger(__name__)


async def notice_deafness(office: Office, hearing: Hearing) -> None:
    """Have silence begin anew whenever this process stood still, or its broker was away, until cancelled."""
    if office.lease_s is None:
        return
    is_told = False
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        now = office.clock.now()
        hearing.awake(now)
        if not office.transport.is_connected and not hearing.restart(now) and not is_told:
            is_told = True
            _log.warning(
                "the broker was too slow for %g s: factories that it keeps waiting may be taken for lost",
                MOST_DEAF_SECONDS,
            )
