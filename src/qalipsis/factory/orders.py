"""What a supervisor and its workers say to each other; directives of the head are passed on as they are."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from qalipsis.cluster.messages import AbortCampaign, CloseCampaign, StartMinions, StopScenario, WarmUp
from qalipsis.plan.model import ScenarioDescriptor
from qalipsis.plan.portion import Takeover
from qalipsis.plan.profile_override import ProfileOverride

# To the worker, each answered in order


class Load(Struct, frozen=True, kw_only=True, tag="load"):
    """Import the author's files and compile the scenarios."""

    paths: tuple[str, ...]
    properties: dict[str, Any]
    event_levels: dict[str, str] | None = None
    """The least level of events by prefix of their names, "" for the others; None when none are wanted."""


class Prepare(Struct, frozen=True, kw_only=True, tag="prepare"):
    """Open the scenarios of a campaign: fleet-wide minions, in the order of the ledger.

    `zones`, `shares` and `profiles` are as in `AssignFactory` and `DeclareMinions`, the graces those of
    `WorkerEngine`.
    """

    campaign: str
    minions: dict[str, int]
    zones: tuple[int, ...]
    worker: int
    seed: int
    speed_factor: float
    epoch_offset: float
    """Epoch seconds less monotonic seconds, the same for all processes of the factory."""
    minion_grace: float
    scenario_grace: float
    shares: dict[str, tuple[int, ...]] = field(default_factory=dict)
    profiles: dict[str, ProfileOverride] = field(default_factory=dict)


class Reckon(Struct, frozen=True, kw_only=True, tag="reckon"):
    """Say how many connections there may be once this is taken over as well; nothing else happens."""

    takeovers: dict[str, Takeover]


class Restart(Struct, frozen=True, kw_only=True, tag="restart"):
    """Start again what lost workers have not brought to an end, as in `RestartMinions`."""

    round: int
    takeovers: dict[str, Takeover]


Order = (
    Load | Prepare | WarmUp | StartMinions | Reckon | Restart | StopScenario | AbortCampaign | CloseCampaign
)

# From the worker: answers


class Loaded(Struct, frozen=True, kw_only=True, tag="loaded"):
    scenarios: tuple[ScenarioDescriptor, ...]
    property_keys: tuple[str, ...]


class Mistaken(Struct, frozen=True, kw_only=True, tag="mistaken"):
    """The author's mistakes: (file, line, message, hint)."""

    mistakes: tuple[tuple[str, int, str, str], ...]


class Prepared(Struct, frozen=True, kw_only=True, tag="prepared"):
    """`connections` are (host, port, how many the worker may hold); the other two count descriptors."""

    planned_s: float | None
    last_start_s: float
    connections: tuple[tuple[str, int, int], ...]
    descriptors_allowed: int
    descriptors_open: int


class Reckoned(Struct, frozen=True, kw_only=True, tag="reckoned"):
    """`connections` as in `Prepared`."""

    connections: tuple[tuple[str, int, int], ...]


class Done(Struct, frozen=True, kw_only=True, tag="done"):
    pass


class Closed(Struct, frozen=True, kw_only=True, tag="closed"):
    """The campaign is over in this worker; so much of it did not end in time, and is left in its process."""

    left: int


class Failed(Struct, frozen=True, kw_only=True, tag="failed"):
    """`cause` as in `DirectiveFailed`."""

    cause: str
    reason: str


WorkerAnswer = Loaded | Mistaken | Prepared | Reckoned | Done | Closed | Failed

# From the worker: what happens


class Frozen(Struct, frozen=True, kw_only=True, tag="frozen"):
    """The snapshot of a second, encoded."""

    data: bytes


class Ended(Struct, frozen=True, kw_only=True, tag="ended"):
    """The scenario has ended in this worker; `at` are epoch seconds.

    `round` is the last one in which it was given something of the scenario, 0 when there was none.
    """

    scenario: str
    at: float
    round: int = 0


WorkerWord = WorkerAnswer | Frozen | Ended
