"""Every sentence that head and factories say to each other: one frozen struct each, and no code."""

from __future__ import annotations

from msgspec import Struct, field

from qalipsis.plan.model import ScenarioDescriptor
from qalipsis.plan.portion import Takeover
from qalipsis.plan.profile_override import ProfileOverride

PROTOCOL = 1
"""Version of the sentences; this one and the one before are understood."""

# From the factory: who it is


class Handshake(Struct, frozen=True, kw_only=True, tag="handshake"):
    """A factory offers its workers and the scenarios that it can run."""

    node: str
    protocol: int
    version: str
    workers: int
    """For each of its campaigns."""
    campaigns: int = 1
    """How many it works for at once."""
    scenarios: tuple[ScenarioDescriptor, ...]
    zone: str | None = None
    tenant: str | None = None
    tags: dict[str, str] = field(default_factory=dict)


class Heartbeat(Struct, frozen=True, kw_only=True, tag="heartbeat"):
    """The factory is there; `clock` are epoch seconds of its machine, `sequence` the last it has sent.

    Said to the reception, and to the head of each campaign that it works for.
    """

    state: str
    """`busy` when it can work for no further campaign, else `idle`."""
    sequence: int
    clock: float
    cpu: float = 0.0
    loop_lag_s: float = 0.0
    memory_bytes: int = 0
    campaigns: tuple[str, ...] = ()
    """Those that it works for."""
    rtt_s: float | None = None
    """How long the answer to the heartbeat before took; None when there was none."""


class Farewell(Struct, frozen=True, kw_only=True, tag="farewell"):
    """The factory ends in order, and works for nobody any more."""


# From the head: to a factory as a whole


class HandshakeAccepted(Struct, frozen=True, kw_only=True, tag="handshake_accepted"):
    """The factory belongs to the cluster. It sends a heartbeat every `heartbeat_s`.

    While it works for a campaign, it stops all traffic by itself when the head of that campaign does not
    renew its lease for `lease_s`; None when it lives and dies with its head anyway.
    """

    heartbeat_s: float
    lease_s: float | None


class HandshakeRefused(Struct, frozen=True, kw_only=True, tag="handshake_refused"):
    """The factory cannot be used; the reason says what to change."""

    reason: str


class HandshakeWanted(Struct, frozen=True, kw_only=True, tag="handshake_wanted"):
    """The head was sent a heartbeat of a factory that it does not know: it is to introduce itself again."""


class HeartbeatReply(Struct, frozen=True, kw_only=True, tag="heartbeat_reply"):
    """The answer to a heartbeat, which it knows by its `clock`.

    From the head of a campaign, among its directives, it renews the factory's lease: by `lease_s` from the
    moment the heartbeat was sent. What the factory said up to the sequence
    `committed` is in the store; the reception, which commits nothing of it, says 0.
    """

    lease_s: float | None
    committed: int
    clock: float


class CampaignOver(Struct, frozen=True, kw_only=True, tag="campaign_over"):
    """The campaign that the factory works for has ended without it: nobody waits for anything of it."""

    campaign: str


class Shutdown(Struct, frozen=True, kw_only=True, tag="shutdown"):
    """The factory is needed no more and ends in order."""

    reason: str


# From the head: directives of a campaign, each answered once


class AssignFactory(Struct, frozen=True, kw_only=True, tag="assign_factory"):
    """The fleet of the campaign, from which each worker derives which minions are its own.

    `zones` are the workers of each zone, one zone after the other; this factory's begin at `first_worker`.
    """

    campaign: str
    """Its key: groups of readers are named after it."""
    zones: tuple[int, ...]
    first_worker: int
    seed: int
    speed_factor: float


class DeclareMinions(Struct, frozen=True, kw_only=True, tag="declare_minions"):
    """The minions of each scenario in the whole fleet; the order of the scenarios is that of the ledger."""

    minions: dict[str, int]
    shares: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """A percentage for each zone of the fleet; scenarios that are not here run on all workers alike."""
    profiles: dict[str, ProfileOverride] = field(default_factory=dict)
    """What replaces the scenario's own profile."""


class WarmUp(Struct, frozen=True, kw_only=True, tag="warm_up"):
    """Connect what is to be connected before the start."""


class StartMinions(Struct, frozen=True, kw_only=True, tag="start_minions"):
    """Begin all scenarios at the instant `at`, epoch seconds of the factory's machine."""

    at: float


class RestartMinions(Struct, frozen=True, kw_only=True, tag="restart_minions"):
    """Start again what lost workers of the same zone have not brought to an end.

    Rounds count the restarts of a campaign, from 1 on; one that was heard of before changes nothing.
    """

    round: int
    takeovers: dict[int, dict[str, Takeover]]
    """By worker of this factory, under its number in the whole fleet, and by scenario."""


class StopScenario(Struct, frozen=True, kw_only=True, tag="stop_scenario"):
    """No new starts and passes; running passes go on."""

    scenario: str


class AbortCampaign(Struct, frozen=True, kw_only=True, tag="abort_campaign"):
    """Interrupt everything now; minions that walk are counted as aborted."""


class CloseCampaign(Struct, frozen=True, kw_only=True, tag="close_campaign"):
    """Send what is left and the final accounts, then forget the campaign."""

    begins_anew: bool = False
    """Whether it is prepared again from the start, so that who is to end with it stays."""


# From the factory: answers


class DirectiveDone(Struct, frozen=True, kw_only=True, tag="directive_done"):
    """The directive with this message id was carried out."""

    directive: str


class DirectiveIgnored(Struct, frozen=True, kw_only=True, tag="directive_ignored"):
    """The directive asks for what is so already, or for what is over."""

    directive: str
    reason: str


class DirectiveFailed(Struct, frozen=True, kw_only=True, tag="directive_failed"):
    """The directive could not be carried out; `cause` is refused, unavailable or failed."""

    directive: str
    cause: str
    reason: str


# From the factory: what happens


class WorkerState(Struct, frozen=True, kw_only=True, tag="worker_state"):
    """A worker is ready for the campaign under this process id."""

    worker: int
    pid: int
    planned_s: float | None
    """How long its scenarios take by their profiles; None when only the minions decide."""
    last_start_s: float = 0.0
    """When the last minion starts by their profiles: a campaign takes longer than that."""


class SnapshotTaken(Struct, frozen=True, kw_only=True, tag="snapshot_taken"):
    """A piece of a worker's snapshot of one second; the pieces together are `metrics.snapshot.Snapshot`."""

    worker: int
    piece: int
    pieces: int
    data: bytes


class WorkerSilent(Struct, frozen=True, kw_only=True, tag="worker_silent"):
    """A worker has not reported for so long: something blocks its event loop."""

    worker: int
    seconds: float


class Fault(Struct, frozen=True, kw_only=True, tag="fault"):
    """A worker died; its counters were read from the memory it shared with its supervisor."""

    worker: int
    pid: int
    reason: str
    at: float
    """Epoch seconds."""
    ledgers: dict[str, tuple[int, ...]]


class ScenarioEnded(Struct, frozen=True, kw_only=True, tag="scenario_ended"):
    """No minion of the scenario walks on this factory, and none will start; `at` in epoch seconds.

    It is said again after each `RestartMinions` with the scenario: `round` is the last one that was heard of
    when the scenario ended, 0 when there was none.
    """

    scenario: str
    at: float
    round: int = 0


class LeaseEnded(Struct, frozen=True, kw_only=True, tag="lease_ended"):
    """No head renewed the factory's lease, so it interrupted everything by itself; `at` in epoch seconds.

    The counters of every worker, by worker and scenario, come with it: a head that has no factory left ends
    the campaign without waiting for the last word.
    """

    at: float
    ledgers: dict[int, dict[str, tuple[int, ...]]] = field(default_factory=dict)


class Final(Struct, frozen=True, kw_only=True, tag="final"):
    """The last word on a campaign: the counters of every worker, by worker and scenario."""

    last_sequence: int
    ledgers: dict[int, dict[str, tuple[int, ...]]]


# From a head: to the one that drives the campaign


class StopWanted(Struct, frozen=True, kw_only=True, tag="stop_wanted"):
    """The campaign is to be stopped; `by` says in whose name, as in `stopped softly by anna`."""

    is_hard: bool
    by: str
    aborter: str | None = None
    """The user who asked for it."""


Presence = Handshake | Heartbeat | Farewell
Reply = HandshakeAccepted | HandshakeRefused | HandshakeWanted | HeartbeatReply | CampaignOver | Shutdown
Directive = (
    AssignFactory
    | DeclareMinions
    | WarmUp
    | StartMinions
    | RestartMinions
    | StopScenario
    | AbortCampaign
    | CloseCampaign
)
Answer = DirectiveDone | DirectiveIgnored | DirectiveFailed
Feedback = (
    Answer
    | Heartbeat
    | WorkerState
    | SnapshotTaken
    | WorkerSilent
    | Fault
    | ScenarioEnded
    | LeaseEnded
    | Final
)
Message = Presence | Reply | Directive | Feedback | StopWanted
