"""Starts what is scheduled when it is due, and keeps what recurs going.

Each start of a series is a campaign of its own. The next one is kept before this one begins, under a key
that follows from this one's: whoever does it again, after a crash or on another head, finds it there. It is
counted from now, so that starts that were missed do not pile up.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

from qalipsis.errors import CampaignRefused, QalipsisError
from qalipsis.head import schedule_request
from qalipsis.head.campaign import Phase
from qalipsis.head.campaign_list import CampaignQuery, CampaignRecord, NewCampaign
from qalipsis.head.ownership import Commit
from qalipsis.head.store import Store

LOOK_SECONDS: Final = 5.0
"""How often it looks for what other heads have scheduled."""

AGAIN_SECONDS: Final = 1.0
"""How soon it looks again after what is due and could not be taken, or when the store was away."""

PATIENCE_SECONDS: Final = 60.0
"""How long a campaign that is due may wait for factories that know its scenarios."""

LEASE_SECONDS: Final = 10.0

_ALL_BUT_SCHEDULED: Final = ("SUCCESSFUL", "WARNING", "FAILED", "ABORTED", "QUEUED", "IN_PROGRESS")
_NUMBER: Final = re.compile(r"(.*)-n([0-9]+)", re.DOTALL)

_log = logging.getLogger(__name__)


class Scheduler:
    """The scheduled campaigns of a store, as one head sees them; other heads may do the same at once.

    `now` is the wall clock, as it is set at that moment: a head lives for months, and its monotonic clock
    stands still while the machine is suspended.
    """

    def __init__(self, store: Store, head: str, now: Callable[[], datetime]) -> None:
        self._store = store
        self._head = head
        self.now = now
        self._changed = asyncio.Event()
        self._served_since: datetime | None = None

    async def add(self, new: NewCampaign) -> CampaignRecord:
        """Keep a campaign until it is due."""
        record = await self._store.create_campaign(new)
        self._changed.set()
        return record

    async def change(self, new: NewCampaign) -> CampaignRecord:
        """Replace what was asked for; raises CampaignRefused when it has begun."""
        record = await self._store.reschedule(new)
        self._changed.set()
        return record

    async def cancel(self, key: str, user: str) -> bool:
        """Abort a campaign that has not begun, and with it its series; False when it has, or just does.

        Its next one may be kept already, by a head that died just then.
        """
        found = await self._store.campaign(key)
        if found is None or found.state != Phase.SCHEDULED:
            return False
        claim = await self._store.claim(key, self._head, LEASE_SECONDS)
        if claim is None:
            return False
        try:
            record = await self._store.campaign(key)
            if record is None or record.state != Phase.SCHEDULED:
                return False
            if waits(record):
                await self.cancel(next_key(key), user)
            aborted = Commit(state=Phase.ABORTED, at=self.now().timestamp(), aborter=user)
            await self._store.commit(claim, aborted)
        finally:
            await self._store.release(claim)
        return True

    async def follow_up(self, record: CampaignRecord) -> None:
        """Keep the next campaign of its series, if it has one; to be called by its owner before it begins."""
        due = max(self.now(), record.scheduled_at or self.now())
        following = schedule_request.next_of(record.configuration, due)
        if following is None:
            return
        start, configuration = following
        asked = {name: getattr(record, name) for name in NewCampaign.__struct_fields__}
        changes = {"key": next_key(record.key), "configuration": configuration, "scheduled_at": start}
        with suppress(CampaignRefused):  # whoever owned it before has died after this
            await self._store.create_campaign(NewCampaign(**asked | changes))
        self._changed.set()

    def is_due(self, record: CampaignRecord) -> bool:
        """Whether it is scheduled, has not begun, and its moment has come."""
        return waits(record) and record.scheduled_at is not None and record.scheduled_at <= self.now()

    def is_patient(self, record: CampaignRecord) -> bool:
        """Whether a campaign that is due may still find the factories that it needs."""
        since = max(record.scheduled_at or record.creation, self._served_since or self.now())
        return (self.now() - since).total_seconds() < PATIENCE_SECONDS

    async def serve(self, take: Callable[[CampaignRecord], Awaitable[None]]) -> None:
        """Offer what is due, again and again until it is claimed."""
        self._served_since = self.now()
        while True:
            self._changed.clear()
            try:
                await self._offer(take)
                pause = await self._pause()
            except QalipsisError as error:
                _log.warning("what is scheduled could not be looked for: %s", error)
                pause = AGAIN_SECONDS
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._changed.wait()

    async def _offer(self, take: Callable[[CampaignRecord], Awaitable[None]]) -> None:
        for key in await self._store.claimable():
            record = await self._store.campaign(key)
            if record is None or not self.is_due(record):
                continue
            try:
                await take(record)
            except QalipsisError as error:  # the others must not wait for this one
                _log.warning("campaign %s is due and was not started: %s", key, error)

    async def _pause(self) -> float:
        """Until the next one is due, if it is known to be soon."""
        soonest = await self._store.campaigns(
            CampaignQuery(
                excluded_statuses=_ALL_BUT_SCHEDULED, sort="scheduled_at", descending=False, page=0, size=1
            )
        )
        for record in soonest.elements:
            if record.scheduled_at is not None:
                left = (record.scheduled_at - self.now()).total_seconds()
                return min(left, LOOK_SECONDS) if left > 0 else AGAIN_SECONDS
        return LOOK_SECONDS


def utc_now() -> datetime:
    return datetime.now(UTC)


def waits(record: CampaignRecord) -> bool:
    """Whether it is scheduled, and nobody has begun it, though it may be due and claimed."""
    return record.scheduled_at is not None and record.state == Phase.SCHEDULED


def next_key(key: str) -> str:
    """The key of the campaign after this one: `k`, `k-n2`, `k-n3`."""
    found = _NUMBER.fullmatch(key)
    return f"{key}-n2" if found is None else f"{found[1]}-n{int(found[2]) + 1}"
