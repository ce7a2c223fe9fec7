"""Notices that this head could hear nobody, so that nobody's silence is held against them."""

from __future__ import annotations

import asyncio
from typing import Final

from qalipsis.head.hearing import Hearing
from qalipsis.head.office import Office

WATCH_SECONDS: Final = 0.25
"""Until deafness is noticed, and silence counted that is none: `cluster.redis.reader` adds it up."""


async def notice_deafness(office: Office, hearing: Hearing) -> None:
    """Have silence begin anew whenever this process stood still, or its broker was away, until cancelled."""
    if office.lease_s is None:
        return
    while True:
        await asyncio.sleep(WATCH_SECONDS)
        now = office.clock.now()
        hearing.awake(now)
        if not office.transport.is_connected:
            hearing.restart(now)
