"""The seam behind which campaigns are kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from qalipsis.head.campaign_list import CampaignQuery, CampaignRecord, NewCampaign, Page
from qalipsis.head.memory_store import MemoryStore
from qalipsis.head.meter_series import Meter, MeterQuery
from qalipsis.head.ownership import Claim, Commit, Outgoing
from qalipsis.head.zones import Zone
from qalipsis.reports.model import Report, Second

__all__ = ["MemoryStore", "Store"]


class Store(Protocol):
    """Keeps what is to outlive a head's memory. What was saved is there for every later reader.

    Saving the same thing again changes nothing: after a failure, callers save again. A call that raises has
    changed nothing, except that ServiceUnavailable may also have cost the answer to a change that was made;
    the store is away then, and the same call may succeed later.

    All methods may be called at the same time. `check_store` of `qalipsis.testing.store` proves the promises.
    """

    # A campaign that this process alone drives

    async def save_state(self, campaign: str, state: str, at: float) -> None:
        """The campaign entered a state at this instant, in epoch seconds; the first state creates it."""

    async def save_seconds(self, campaign: str, seconds: Sequence[Second]) -> None:
        """Seconds of the timeline, each complete, in their order."""

    async def save_report(self, report: Report) -> None:
        """The end of a campaign; its first report stays."""

    # What is known of campaigns

    async def create_campaign(self, new: NewCampaign) -> CampaignRecord:
        """Keep a campaign in state SCHEDULED; raises CampaignRefused when its key is taken."""

    async def save_outcome(
        self, campaign: str, *, failure_reason: str | None = None, aborter: str | None = None
    ) -> None:
        """Why a campaign failed, or who stopped it; the first of each stays, None says nothing."""

    async def reschedule(self, new: NewCampaign) -> CampaignRecord:
        """Replace what was asked for; raises CampaignRefused unless it is SCHEDULED and unclaimed."""

    async def campaign(self, key: str) -> CampaignRecord | None: ...

    async def campaigns(self, query: CampaignQuery) -> Page[CampaignRecord]: ...

    async def seconds(self, campaign: str) -> tuple[Second, ...]:
        """The timeline so far, in the order of time."""

    async def report(self, campaign: str) -> Report | None:
        """The report as it was saved; None as long as there is none."""

    # Who drives a campaign, when there are several heads

    async def claim(self, campaign: str, head: str, lease_seconds: float) -> Claim | None:
        """Make the campaign this head's, with the next epoch; exactly one of several callers succeeds.

        None when another head's lease has not ended (by the store's own clock, never a head's), when the
        campaign is over, or when there is none.

        With it, messages of campaigns that are over are forgotten whose owner's lease has ended: nobody sends
        them any more, and factories that were to hear them are told by the reception.
        """

    async def renew(self, claim: Claim) -> None:
        """Let the lease begin again; raises Fenced when the campaign was claimed or released since.

        A lease that has ended is renewed as long as nobody else claimed the campaign.
        """

    async def release(self, claim: Claim) -> None:
        """Let go at once, so that the next claim need not wait; nothing happens when it is lost already."""

    async def claimable(self) -> tuple[str, ...]:
        """Campaigns that are due, not over and owned by nobody: first those that a head had begun, each the
        oldest first.
        """

    async def commit(self, claim: Claim, commit: Commit) -> Claim:
        """Write all of the commit, or raise Fenced and write nothing; returns the claim for the next one.

        Fenced: the campaign was claimed, released or committed to since `claim` was given. Repeating the last
        commit gives the same answer again. Watermarks only rise; with a state that is the last they are
        forgotten, and so is the checkpoint; seconds and reports as `save_seconds` and
        `save_report`.
        """

    async def checkpoint(self, campaign: str) -> bytes | None:
        """The last committed checkpoint."""

    async def watermarks(self, campaign: str) -> dict[tuple[str, int], int]:
        """The highest committed sequence of each source and incarnation."""

    async def outgoing(self, campaign: str, limit: int) -> tuple[Outgoing, ...]:
        """Its committed messages that wait for being sent, in their order; only its owner sends them."""

    async def sent(self, ids: Sequence[int]) -> None:
        """Forget these messages. Whoever dies before has them sent again."""

    # Zones

    async def zones(self) -> tuple[Zone, ...]:
        """All of them by their key, those that are disabled included."""

    async def add_zone(self, zone: Zone) -> None:
        """Raises ConfigurationError when the key is taken, empty or longer than 50 characters."""

    async def enable_zone(self, key: str, *, enabled: bool) -> Zone:
        """Let new campaigns ask for the zone, or no more; raises ConfigurationError when there is none."""

    # Meters

    async def save_meters(self, campaign: str, meters: Sequence[Meter]) -> None:
        """Keep meters of whole seconds; figures that are not finite are left out."""

    async def meters(self, query: MeterQuery) -> tuple[Meter, ...]:
        """The meters that match, in the order of time, the first `query.limit` of them."""

    async def meter_samples(self, campaigns: Sequence[str], limit: int) -> tuple[Meter, ...]:
        """One meter, of the whole fleet, of each series that these campaigns have measured: what there is to
        ask for.
        """

    async def aclose(self) -> None: ...
