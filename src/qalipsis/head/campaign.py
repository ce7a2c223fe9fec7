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


class OnFactoryLoss(StrEnum):
    """What becomes of the minions of a factory that is lost: others start them again, nothing, or a stop."""

    REDISTRIBUTE = "redistribute"
    CONTINUE = "continue"
    ABORT = "abort"


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
    on_factory_loss: OnFactoryLoss = OnFactoryLoss.REDISTRIBUTE
    phase: Phase = Phase.SCHEDULED
    factories: tuple[str, ...] = ()
    scenarios: tuple[str, ...] = ()
    waiting_for: frozenset[str] = frozenset()
    """The factories whose answer is awaited."""
    walking: frozenset[tuple[str, str]] = frozenset()
    """The scenarios that have not ended, by factory."""
    lost: frozenset[str] = frozenset()
    """Factories that are gone, and take no part any more, also when it begins anew."""
    former: frozenset[str] = frozenset()
    """Factories that were to take part before it began anew, lost ones included."""
    leaving: tuple[tuple[str, float], ...] = ()
    """Lost factories whose minions are to be started again elsewhere, each not before this moment."""
    deadline: float = inf
    started_at: float | None = None
    is_hard: bool = False
    """Everything is being interrupted; before, an abort lets running passes end."""
    is_closing: bool = False
    """The final accounts of those that are waited for are to come; while it is prepared, to begin anew."""
    failure: Failure | None = None

    @property
    def is_over(self) -> bool:
        return self.phase in TERMINAL

    def shifted(self, by: float) -> Campaign:
        """The same by a clock that shows so many seconds more."""
        return replace(
            self,
            deadline=self.deadline + by,
            started_at=None if self.started_at is None else self.started_at + by,
            leaving=tuple((factory, at + by) for factory, at in self.leaving),
        )

    @property
    def present(self) -> tuple[str, ...]:
        """The factories that are not lost."""
        return tuple(each for each in self.factories if each not in self.lost)


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
class Lost:
    """A factory is gone; whatever it still does, it sends nothing from `safe_at` on."""

    factory: str
    safe_at: float


@dataclass(frozen=True, slots=True)
class HandedOver:
    """These factories start minions of these scenarios again, which may have ended there before."""

    walking: frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class StopRequested:
    """By the user, a violated condition, or a timeout."""

    is_hard: bool


@dataclass(frozen=True, slots=True)
class TimePassed:
    """Nothing happened, but a deadline may have passed."""


Event = (
    Requested
    | FactoriesFound
    | Answered
    | CouldNot
    | Ended
    | Closed
    | Lost
    | HandedOver
    | StopRequested
    | TimePassed
)

# What is to be done


@dataclass(frozen=True, slots=True)
class FindFactories:
    """Choose the scenarios and the factories that will run them, the lost ones left out."""


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
class Redistribute:
    """Have the other factories start the minions of these lost ones again."""

    factories: tuple[str, ...]


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


Action = FindFactories | Assign | WarmUp | Start | Redistribute | Stop | Interrupt | Close | Conclude

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
        case Lost():
            return _lost(campaign, event, now)
        case HandedOver():
            return _handed_over(campaign, event, now)
        case StopRequested():
            return _stop(campaign, event.is_hard, now)
        case TimePassed():
            return _time_passed(campaign, now)


def _requested(campaign: Campaign) -> Step:
    if campaign.phase is not Phase.SCHEDULED:
        return campaign, ()
    return replace(campaign, phase=Phase.PREPARING), (FindFactories(),)


def _found(campaign: Campaign, event: FactoriesFound, now: float) -> Step:
    if campaign.phase is not Phase.PREPARING or campaign.is_closing:
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
    return _all_answered(replace(campaign, waiting_for=campaign.waiting_for - {factory}), now)


def _all_answered(campaign: Campaign, now: float) -> Step:
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
    if campaign.phase is Phase.ABORTING or _is_beginning_anew(campaign):
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
    return _all_ended(replace(campaign, walking=walking), now)


def _all_ended(campaign: Campaign, now: float) -> Step:
    if campaign.walking or campaign.leaving or campaign.started_at is None:
        return campaign, ()
    if campaign.phase is Phase.RUNNING:
        campaign = replace(campaign, phase=Phase.DRAINING)
    return _close(campaign, now)


def _close(campaign: Campaign, now: float) -> Step:
    if campaign.is_closing:
        return campaign, ()
    campaign = replace(
        campaign,
        is_closing=True,
        leaving=(),
        waiting_for=frozenset(campaign.present),
        deadline=now + CLOSING_SECONDS,
    )
    campaign, actions = _all_closed(campaign)
    return campaign, (Close(), *actions)


def _closed(campaign: Campaign, factory: str) -> Step:
    if not campaign.is_closing:
        return campaign, ()
    return _all_closed(replace(campaign, waiting_for=campaign.waiting_for - {factory}))


def _all_closed(campaign: Campaign) -> Step:
    if campaign.waiting_for:
        return campaign, ()
    if not _is_beginning_anew(campaign):
        return _conclude(campaign)
    former = campaign.former.union(campaign.factories)
    return (
        replace(campaign, factories=(), scenarios=(), former=former, is_closing=False, deadline=inf),
        (FindFactories(),),
    )


def _is_beginning_anew(campaign: Campaign) -> bool:
    return campaign.phase is Phase.PREPARING and campaign.is_closing


def _begin_anew(campaign: Campaign, now: float) -> Step:
    """With the factories that are left. Each must have forgotten the campaign before it can take part again,
    or what was said before the loss would meet what is said after it.
    """
    campaign, actions = _close(replace(campaign, phase=Phase.PREPARING), now)
    return campaign, (Interrupt(), *actions)


def _lost(campaign: Campaign, event: Lost, now: float) -> Step:
    if event.factory not in campaign.present:
        return campaign, ()
    campaign = replace(
        campaign,
        lost=campaign.lost | {event.factory},
        waiting_for=campaign.waiting_for - {event.factory},
        walking=frozenset(each for each in campaign.walking if each[0] != event.factory),
        leaving=tuple(each for each in campaign.leaving if each[0] != event.factory),
    )
    if campaign.is_closing:
        return _all_closed(campaign)
    if campaign.started_at is None:
        return _begin_anew(campaign, now)
    if not campaign.present:
        return _all_ended(replace(campaign, leaving=()), now)
    if campaign.phase is Phase.RUNNING and campaign.on_factory_loss is OnFactoryLoss.REDISTRIBUTE:
        return replace(campaign, leaving=(*campaign.leaving, (event.factory, event.safe_at))), ()
    if campaign.phase is Phase.RUNNING and campaign.on_factory_loss is OnFactoryLoss.ABORT:
        return _stop(campaign, False, now)
    return _all_ended(campaign, now)


def _handed_over(campaign: Campaign, event: HandedOver, now: float) -> Step:
    return _all_ended(replace(campaign, walking=campaign.walking | event.walking), now)


def _conclude(campaign: Campaign) -> Step:
    is_aborted = campaign.phase is Phase.ABORTING
    return replace(campaign, phase=Phase.ABORTED if is_aborted else Phase.COMPLETED), (Conclude(),)


def _stop(campaign: Campaign, is_hard: bool, now: float) -> Step:
    if _is_beginning_anew(campaign):
        return replace(campaign, phase=Phase.ABORTING, is_hard=True), ()
    if campaign.phase is Phase.DRAINING or campaign.is_closing:
        return campaign, ()
    if not campaign.factories:
        return replace(campaign, phase=Phase.ABORTED), (Conclude(),)
    if campaign.started_at is None:
        closing, actions = _close(replace(campaign, phase=Phase.ABORTING, is_hard=True), now)
        return closing, (Interrupt(), *actions)
    if is_hard and not campaign.is_hard:
        deadline = now + INTERRUPTING_SECONDS
        interrupted = replace(campaign, phase=Phase.ABORTING, is_hard=True, leaving=(), deadline=deadline)
        interrupted, actions = _all_ended(interrupted, now)
        return interrupted, (Interrupt(), *actions)
    if campaign.phase is Phase.ABORTING:
        return campaign, ()
    stopped = replace(campaign, phase=Phase.ABORTING, leaving=(), deadline=now + campaign.grace)
    stopped, actions = _all_ended(stopped, now)
    return stopped, (Stop(), *actions)


def _time_passed(campaign: Campaign, now: float) -> Step:
    due = tuple(factory for factory, at in campaign.leaving if now >= at)
    if due:
        # Together: the campaign must not end because nothing of one of them was left to do.
        left = tuple(each for each in campaign.leaving if each[0] not in due)
        return replace(campaign, leaving=left), (Redistribute(due),)
    if now < campaign.deadline:
        return campaign, ()
    late = ", ".join(sorted(campaign.waiting_for))
    match campaign.phase:
        case Phase.ASSIGNING:
            failure = Failure("failed", f"not prepared within {ASSIGNING_SECONDS:g} s: {late}")
            return _could_not(campaign, CouldNot(late, failure), now)
        case Phase.WARMUP:
            failure = Failure("failed", f"not warmed up within {WARM_UP_SECONDS:g} s: {late}")
            return _could_not(campaign, CouldNot(late, failure), now)
        case Phase.PREPARING:
            lost = ", ".join(sorted(campaign.lost))
            reason = (
                f"lost before the start: {lost}; what had begun until then was not ended within "
                f"{CLOSING_SECONDS:g} s by {late}"
            )
            failed = replace(campaign, phase=Phase.FAILED, failure=Failure("unavailable", reason))
            return failed, (Conclude(),)
        case _ if campaign.is_closing:
            return _conclude(campaign)
        case _ if campaign.is_hard:
            return _close(campaign, now)
        case _:
            return _stop(campaign, True, now)
