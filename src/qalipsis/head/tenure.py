"""A head's time as the owner of one campaign: what it decides is committed first, and only then said."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from functools import partial
from typing import Final

from qalipsis.cluster.codec import Sender
from qalipsis.cluster.messages import Message
from qalipsis.cluster.transport import Transport
from qalipsis.errors import ServiceUnavailable
from qalipsis.head.meter_series import Meter
from qalipsis.head.ownership import Claim, Commit
from qalipsis.head.patience import patiently
from qalipsis.head.store import Store
from qalipsis.reports.model import Report, Second

MOST_AT_ONCE: Final = 1000

_log = logging.getLogger(__name__)


class Tenure:
    """Says messages in the name of a claim. Once another head has claimed the campaign, all raise Fenced."""

    def __init__(self, store: Store, transport: Transport, claim: Claim) -> None:
        self._store = store
        self._transport = transport
        self._claim = claim
        # Of their own, so that the sequences of what waits for a commit are never overtaken.
        name = f"{claim.head}/{claim.campaign}"
        self._directives = Sender(name, claim.epoch, epoch=claim.epoch)
        self._pulses = Sender(f"{name}/pulse", claim.epoch, epoch=claim.epoch)
        self._outgoing: list[tuple[str, bytes]] = []

    @property
    def campaign(self) -> str:
        return self._claim.campaign

    @property
    def has_to_say(self) -> bool:
        """Whether something waits for the next commit."""
        return bool(self._outgoing)

    def say(self, topic: str, message: Message) -> str:
        """Say it with the next commit; returns the message's id."""
        id, body = self._directives.encode(message, self.campaign)
        self._outgoing.append((topic, body))
        return id

    async def pulse(self, topic: str, message: Message) -> None:
        """Say at once what nothing depends on."""
        await self._transport.publish(topic, self._pulses.encode(message, self.campaign)[1])

    async def commit(
        self,
        state: str,
        at: float,
        *,
        checkpoint: bytes | None = None,
        seconds: tuple[Second, ...] = (),
        meters: tuple[Meter, ...] = (),
        watermarks: Mapping[tuple[str, int], int] | None = None,
        report: Report | None = None,
        failure_reason: str | None = None,
        aborter: str | None = None,
    ) -> None:
        """Write a step of the campaign together with what was to be said, then say it.

        Waits for a store that is away; raises ServiceUnavailable when it stays away.
        """
        step = Commit(
            state=state,
            at=at,
            checkpoint=checkpoint,
            seconds=seconds,
            meters=meters,
            watermarks=watermarks or {},
            outgoing=tuple(self._outgoing),
            report=report,
            failure_reason=failure_reason,
            aborter=aborter,
        )
        self._claim = await patiently(lambda: self._store.commit(self._claim, step))
        self._outgoing.clear()
        if step.outgoing:
            await self.relay()

    async def relay(self) -> None:
        """Send everything committed that is not known to be sent, also by a head before this one."""
        while True:
            waiting = await patiently(lambda: self._store.outgoing(self.campaign, MOST_AT_ONCE))
            if not waiting:
                return
            for each in waiting:
                await self._transport.publish(each.topic, each.body)
            await patiently(partial(self._store.sent, [each.id for each in waiting]))

    async def keep(self) -> None:
        """Renew the lease until this is cancelled; raises Fenced once the campaign is another head's."""
        while True:
            await asyncio.sleep(self._claim.lease_seconds / 3)
            try:
                await self._store.renew(self._claim)
            except ServiceUnavailable as error:
                # Nobody else can claim it either; the next commit tells whether somebody did before.
                _log.warning("the lease of campaign %s was not renewed: %s", self.campaign, error)

    async def release(self) -> None:
        """Let the campaign go at once."""
        await self._store.release(self._claim)
