"""A place for one campaign at a factory: workers of its own, and what is said of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from qalipsis.cluster.messages import Feedback
from qalipsis.factory.engagement import Engagement
from qalipsis.factory.outbox import Outbox
from qalipsis.factory.supervisor import Supervisor


class Seat:
    """Taken by one campaign after the other; the workers stay for the next one."""

    def __init__(self, make_supervisor: Callable[[Callable[[Feedback], None]], Supervisor]) -> None:
        self.supervisor = make_supervisor(self.report)
        # Each its own: a campaign whose head does not read keeps nothing of the others waiting.
        self.reports = Outbox()
        self.engagement: Engagement | None = None
        self.work: asyncio.Task[None] | None = None
        """Of the engagement, until it is over."""

    @property
    def campaign(self) -> str | None:
        """Who works here now."""
        return None if self.engagement is None else self.engagement.campaign

    def take(self, engagement: Engagement, when_over: Callable[[asyncio.Task[None]], None]) -> None:
        """Let a campaign work here to its end."""

        def leave(work: asyncio.Task[None]) -> None:
            self.engagement = self.work = None
            when_over(work)

        self.engagement = engagement
        self.work = asyncio.create_task(engagement.run(), name=engagement.campaign)
        self.work.add_done_callback(leave)

    def report(self, feedback: Feedback) -> None:
        """Tell the head of the campaign, as long as the last word was not said."""
        if self.engagement is not None and not self.engagement.is_settled:
            self.engagement.report(feedback)
