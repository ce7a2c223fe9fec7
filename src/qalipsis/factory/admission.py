"""Which messages of heads a factory acts upon: those of the head that owns the campaign now, once each."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from qalipsis.cluster.codec import Received
from qalipsis.cluster.messages import HeartbeatReply

MOST_CAMPAIGNS: Final = 1_000
MOST_DIRECTIVES: Final = 10_000


class Admission:
    """Remembers the highest epoch of each campaign, and which directives were heard.

    A head that was suspended, or cut off, may speak after another took its campaign over; it does not know.
    """

    def __init__(self) -> None:
        self._epochs: OrderedDict[str, int] = OrderedDict()
        self._heard: OrderedDict[str, None] = OrderedDict()

    def refusal(self, received: Received) -> str | None:
        """Why nothing is to be done; None when it is to be done, and was not heard before."""
        highest = self._epochs.get(received.campaign, 0)
        if received.epoch < highest:
            return f"{received.source} speaks in epoch {received.epoch}, but the campaign is in {highest}"
        self._epochs[received.campaign] = received.epoch
        self._epochs.move_to_end(received.campaign)
        if len(self._epochs) > MOST_CAMPAIGNS:
            self._epochs.popitem(last=False)
        if isinstance(received.message, HeartbeatReply):
            return None
        if received.id in self._heard:
            return f"{received.source} has said it before"
        self._heard[received.id] = None
        if len(self._heard) > MOST_DIRECTIVES:
            self._heard.popitem(last=False)
        return None
