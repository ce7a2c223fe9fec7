"""Who may drive a campaign, and what an owner writes in one piece."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from uuid import uuid4

from qalipsis.errors import QalipsisError
from qalipsis.head.meter_series import Meter
from qalipsis.reports.model import Report, Second


class Fenced(QalipsisError):
    """Another head owns the campaign by now, so nothing of this one's was written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A campaign is this head's, until its lease ends and another head claims it.

    Each owner has a higher `epoch` than the one before; `version` changes with every commit.
    """

    campaign: str
    head: str
    epoch: int
    version: datetime
    lease_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """One step of a campaign: all of it is written or nothing, and once however often it is tried.

    `at` is in epoch seconds. `watermarks` are the highest sequences taken into account, by source and
    incarnation; `outgoing` are messages as (topic, body), in the order in which they are to leave.
    """

    state: str
    at: float
    checkpoint: bytes | None = None
    """What another head needs to go on from here; None keeps the one before."""
    seconds: tuple[Second, ...] = ()
    meters: tuple[Meter, ...] = ()
    watermarks: Mapping[tuple[str, int], int] = field(default_factory=dict)
    outgoing: tuple[tuple[str, bytes], ...] = ()
    report: Report | None = None
    """With the last state, so that a campaign has exactly one report, by its owner."""
    failure_reason: str | None = None
    aborter: str | None = None
    id: str = field(default_factory=lambda: uuid4().hex)
    """Tells a repetition of this commit from another one."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A committed message that is not known to have been sent."""

    id: int
    topic: str
    body: bytes


def fenced(claim: Claim, epoch: int | None, owner: str | None) -> Fenced:
    """Why this claim is good no more: the campaign's epoch and owner by now, None when there is none."""
    if epoch is None:
        return Fenced(f"there is no campaign {claim.campaign}, so {claim.head} cannot own it")
    return Fenced(
        f"the claim of {claim.head} on campaign {claim.campaign}, epoch {claim.epoch}, is outdated: "
        f"the campaign is owned by {owner or 'nobody'} now, epoch {epoch}"
    )
