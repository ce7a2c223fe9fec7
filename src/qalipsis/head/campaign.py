"""The life of a campaign as a pure function: (campaign, event, now) to (campaign, actions)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from math import inf

ASSIGNING_SECONDS = 90.0
WARM_UP_SECONDS = 150.0
CLOSING_SECONDS = 20.0
INTERRUPTING_SECONDS = 15.0
"""Longer than factories give their workers, so that the reason comes from where it is known."""


class Phase(StrEnum):
    SCHEDULED = "SCHEDULED"
    PREPARING = "PREPARING"
    ASSIGNING = "ASSIGNING"
    WARMUP = "WARMUP"
    RUNNING = "RUNNING"
    DRAINING = "DRAINING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    ABORTING = "ABORTING"
    ABORTED = "ABORTED"


TERMINAL = frozenset({Phase.COMPLETED, Phase.FAILED, Phase.ABORTED})


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a campaign could not be run; `cause` is refused, unavailable or failed."""

    cause: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """Where a campaign stands. Times are seconds of the head's monotonic clock."""

    key: str
    start_offset: float
    grace: float
    """How long running passes may go on after a soft stop."""
    phase: Phase = Phase.SCHEDULED
    factories: tuple[str, ...] = ()
    scenarios: tuple[str, ...] = ()
    waiting_for: frozenset[str] = frozenset()
    """The factories whose answer is awaited."""
    walking: frozenset[tuple[str, str]] = frozenset()
    """The scenarios that have not ended, by factory."""
    deadline: float = inf
    started_at: float | None = None
    ended_at: float | None = None
    is_hard: bool = False
    """Everything is being interrupted; before, an abort lets running passes end."""
    is_closing: bool = False
    failure: Failure | None = None

    @property
    def is_over(self) -> bool:
        return self.phase in TERMINAL


# What happens


@dataclass(frozen=True, slots=True)
class Requested:
    """The campaign is to be run."""


@dataclass(frozen=True, slots=True)
class FactoriesFound:
    """These factories will run these scenarios."""

    factories: tuple[str, ...]
    scenarios: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Answered:
    """A factory has done the last thing it was asked for."""

    factory: str


@dataclass(frozen=True, slots=True)
class CouldNot:
    """A factory could not do what it was asked for."""

    factory: str
    failure: Failure


@dataclass(frozen=True, slots=True)
class Ended:
    """A scenario has ended at one factory."""

    factory: str
    scenario: str


@dataclass(frozen=True, slots=True)
class Closed:
    """A factory has sent its final accounts."""

    factory: str


@dataclass(frozen=True, slots=True)
class StopRequested:
    """By the user, a violated condition, or a timeout."""

    is_hard: bool


@dataclass(frozen=True, slots=True)
class TimePassed:
    """Nothing happened, but a deadline may have passed."""


Event = Requested | FactoriesFound | Answered | CouldNot | Ended | Closed | StopRequested | TimePassed

# What is to be done


@dataclass(frozen=True, slots=True)
class FindFactories:
    """Choose the scenarios and the factories that will run them."""


@dataclass(frozen=True, slots=True)
class Assign:
    """Tell all factories their part of the fleet and their minions."""


@dataclass(frozen=True, slots=True)
class WarmUp:
    """Have all factories connect ahead."""


@dataclass(frozen=True, slots=True)
class Start:
    """Begin everywhere at this instant."""

    at: float


@dataclass(frozen=True, slots=True)
class Stop:
    """No new starts and passes, anywhere."""


@dataclass(frozen=True, slots=True)
class Interrupt:
    """End everything now, everywhere."""


@dataclass(frozen=True, slots=True)
class Close:
    """Ask all factories for their final accounts."""


@dataclass(frozen=True, slots=True)
class Conclude:
    """The campaign is over: judge and report."""


Action = FindFactories | Assign | WarmUp | Start | Stop | Interrupt | Close | Conclude

Step = tuple[Campaign, tuple[Action, ...]]


def step(campaign: Campaign, event: Event, now: float) -> Step:
    """What the campaign becomes, and what is to be done. Events that come too late change nothing."""
    if campaign.is_over:
        return campaign, ()
    match event:
        case Requested():
            return _requested(campaign)
        case FactoriesFound():
            return _found(campaign, event, now)
        case Answered():
            return _answered(campaign, event.factory, now)
        case CouldNot():
            return _could_not(campaign, event, now)
        case Ended():
            return _ended(campaign, event, now)
        case Closed():
            return _closed(campaign, event.factory)
        case StopRequested():
            return _stop(campaign, event.is_hard, now)
        case TimePassed():
            return _time_passed(campaign, now) if now >= campaign.deadline else (campaign, ())


def _requested(campaign: Campaign) -> Step:
    if campaign.phase is not Phase.SCHEDULED:
        return campaign, ()
    return replace(campaign, phase=Phase.PREPARING), (FindFactories(),)


def _found(campaign: Campaign, event: FactoriesFound, now: float) -> Step:
    if campaign.phase is not Phase.PREPARING:
        return campaign, ()
    return (
        replace(
            campaign,
            phase=Phase.ASSIGNING,
            factories=event.factories,
            scenarios=event.scenarios,
            waiting_for=frozenset(event.factories),
            deadline=now + ASSIGNING_SECONDS,
        ),
        (Assign(),),
    )


def _answered(campaign: Campaign, factory: str, now: float) -> Step:
    if factory not in campaign.waiting_for or campaign.is_closing:
        return campaign, ()
    campaign = replace(campaign, waiting_for=campaign.waiting_for - {factory})
    if campaign.waiting_for:
        return campaign, ()
    match campaign.phase:
        case Phase.ASSIGNING:
            return (
                replace(
                    campaign,
                    phase=Phase.WARMUP,
                    waiting_for=frozenset(campaign.factories),
                    deadline=now + WARM_UP_SECONDS,
                ),
                (WarmUp(),),
            )
        case Phase.WARMUP:
            at = now + campaign.start_offset
            walking = frozenset((each, name) for each in campaign.factories for name in campaign.scenarios)
            return (
                replace(campaign, phase=Phase.RUNNING, walking=walking, deadline=inf, started_at=at),
                (Start(at),),
            )
        case _:
            return campaign, ()


def _could_not(campaign: Campaign, event: CouldNot, now: float) -> Step:
    if campaign.phase is Phase.ABORTING:
        return campaign, ()  # what was interrupted cannot be done; deadlines see to the rest
    failure = campaign.failure or event.failure
    if campaign.started_at is None:
        # Nothing has been sent yet: there is nothing to account for.
        return replace(campaign, phase=Phase.FAILED, failure=failure), (Interrupt(), Close(), Conclude())
    return _stop(replace(campaign, failure=failure), True, now)


def _ended(campaign: Campaign, event: Ended, now: float) -> Step:
    walking = campaign.walking - {(event.factory, event.scenario)}
    if walking == campaign.walking:
        return campaign, ()
    campaign = replace(campaign, walking=walking)
    if walking:
        return campaign, ()
    campaign = replace(campaign, ended_at=now)
    if campaign.phase is Phase.RUNNING:
        campaign = replace(campaign, phase=Phase.DRAINING)
    return _close(campaign, now)


def _close(campaign: Campaign, now: float) -> Step:
    if campaign.is_closing:
        return campaign, ()
    return (
        replace(
            campaign,
            is_closing=True,
            waiting_for=frozenset(campaign.factories),
            deadline=now + CLOSING_SECONDS,
        ),
        (Close(),),
    )


def _closed(campaign: Campaign, factory: str) -> Step:
    if not campaign.is_closing:
        return campaign, ()
    campaign = replace(campaign, waiting_for=campaign.waiting_for - {factory})
    return (campaign, ()) if campaign.waiting_for else _conclude(campaign)


def _conclude(campaign: Campaign) -> Step:
    is_aborted = campaign.phase is Phase.ABORTING
    return replace(campaign, phase=Phase.ABORTED if is_aborted else Phase.COMPLETED), (Conclude(),)


def _stop(campaign: Campaign, is_hard: bool, now: float) -> Step:
    if campaign.phase is Phase.DRAINING or campaign.is_closing:
        return campaign, ()
    if not campaign.factories:
        return replace(campaign, phase=Phase.ABORTED), (Conclude(),)
    if campaign.started_at is None:
        closing, actions = _close(replace(campaign, phase=Phase.ABORTING, is_hard=True), now)
        return closing, (Interrupt(), *actions)
    if is_hard and not campaign.is_hard:
        deadline = now + INTERRUPTING_SECONDS
        return replace(campaign, phase=Phase.ABORTING, is_hard=True, deadline=deadline), (Interrupt(),)
    if campaign.phase is Phase.ABORTING:
        return campaign, ()
    return replace(campaign, phase=Phase.ABORTING, deadline=now + campaign.grace), (Stop(),)


def _time_passed(campaign: Campaign, now: float) -> Step:
    late = ", ".join(sorted(campaign.waiting_for))
    match campaign.phase:
        case Phase.ASSIGNING:
            failure = Failure("failed", f"not prepared within {ASSIGNING_SECONDS:g} s: {late}")
            return _could_not(campaign, CouldNot(late, failure), now)
        case Phase.WARMUP:
            failure = Failure("failed", f"not warmed up within {WARM_UP_SECONDS:g} s: {late}")
            return _could_not(campaign, CouldNot(late, failure), now)
        case _ if campaign.is_closing:
            return _conclude(campaign)
        case _ if campaign.is_hard:
            return _close(replace(campaign, ended_at=now), now)
        case _:
            return _stop(campaign, True, now)
