"""What every campaign of a head works with."""

from __future__ import annotations

from dataclasses import dataclass

from qalipsis.clock import Clock
from qalipsis.cluster.transport import Transport
from qalipsis.head.directory import Directory
from qalipsis.head.roster import Roster
from qalipsis.head.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """`lease_s` is how long factories go on without an answer of the head; None when they live and die with
    it, and their silence means nothing.
    """

    head: str
    transport: Transport
    store: Store
    directory: Directory
    roster: Roster
    clock: Clock
    heartbeat_s: float
    lease_s: float | None
    claim_lease_s: float
