"""The life of a campaign, decided without a loop or a clock."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from qalipsis.head.campaign import (
    CLOSING_SECONDS,
    INTERRUPTING_SECONDS,
    TERMINAL,
    WARM_UP_SECONDS,
    Action,
    Answered,
    Assign,
    Campaign,
    Close,
    Closed,
    Conclude,
    CouldNot,
    Ended,
    Event,
    FactoriesFound,
    Failure,
    FindFactories,
    Interrupt,
    Phase,
    Requested,
    Start,
    Stop,
    StopRequested,
    TimePassed,
    WarmUp,
    step,
)

FACTORIES = ("a", "b")
SCENARIOS = ("shop", "search")
NEW = Campaign(key="c-1", start_offset=0.5, grace=30.0)


def after(*events: Event, now: float = 100.0, campaign: Campaign = NEW) -> tuple[Campaign, list[Action]]:
    """The campaign after these events, and the actions of the last one."""
    actions: tuple[Action, ...] = ()
    for event in events:
        campaign, actions = step(campaign, event, now)
    return campaign, list(actions)


FOUND = (Requested(), FactoriesFound(FACTORIES, SCENARIOS))
ASSIGNED = (*FOUND, Answered("a"), Answered("b"))
RUNNING = (*ASSIGNED, Answered("a"), Answered("b"))
ALL_ENDED = tuple(Ended(factory, scenario) for factory in FACTORIES for scenario in SCENARIOS)
ALL_CLOSED = (Closed("a"), Closed("b"))


def test_a_campaign_goes_from_its_request_to_its_report() -> None:
    campaign, actions = after(Requested())
    assert (campaign.phase, actions) == (Phase.PREPARING, [FindFactories()])
    campaign, actions = after(*FOUND)
    assert (campaign.phase, actions) == (Phase.ASSIGNING, [Assign()])
    campaign, actions = after(*ASSIGNED)
    assert (campaign.phase, actions) == (Phase.WARMUP, [WarmUp()])
    campaign, actions = after(*RUNNING)
    assert (campaign.phase, actions) == (Phase.RUNNING, [Start(100.5)])
    campaign, actions = after(*RUNNING, *ALL_ENDED)
    assert (campaign.phase, actions) == (Phase.DRAINING, [Close()])
    campaign, actions = after(*RUNNING, *ALL_ENDED, *ALL_CLOSED)
    assert (campaign.phase, actions) == (Phase.COMPLETED, [Conclude()])


def test_it_waits_for_the_slowest_factory() -> None:
    campaign, actions = after(*FOUND, Answered("a"), Answered("a"))
    assert (campaign.phase, actions) == (Phase.ASSIGNING, [])
    campaign, actions = after(*RUNNING, *ALL_ENDED[:-1])
    assert (campaign.phase, actions) == (Phase.RUNNING, [])
    campaign, actions = after(*RUNNING, *ALL_ENDED, Closed("b"))
    assert (campaign.phase, actions) == (Phase.DRAINING, [])


def test_a_refusal_before_the_start_fails_the_campaign_at_once() -> None:
    refused = Failure("refused", "too many connections")
    campaign, actions = after(*FOUND, CouldNot("b", refused))
    assert (campaign.phase, campaign.failure) == (Phase.FAILED, refused)
    assert actions == [Interrupt(), Close(), Conclude()]


def test_a_failure_while_running_interrupts_and_is_kept_for_the_report() -> None:
    broken = Failure("failed", "could not start")
    campaign, actions = after(*RUNNING, CouldNot("a", broken))
    assert (campaign.phase, campaign.failure, actions) == (Phase.ABORTING, broken, [Interrupt()])
    campaign, _ = after(*RUNNING, CouldNot("a", broken), *ALL_ENDED, *ALL_CLOSED)
    assert campaign.phase is Phase.ABORTED


def test_a_soft_stop_lets_passes_end() -> None:
    campaign, actions = after(*RUNNING, StopRequested(False))
    assert (campaign.phase, actions, campaign.deadline) == (Phase.ABORTING, [Stop()], 130.0)
    campaign, actions = after(*RUNNING, StopRequested(False), *ALL_ENDED)
    assert actions == [Close()]
    campaign, actions = after(*RUNNING, StopRequested(False), *ALL_ENDED, *ALL_CLOSED)
    assert (campaign.phase, actions) == (Phase.ABORTED, [Conclude()])


def test_a_soft_stop_becomes_hard_when_its_time_is_over() -> None:
    campaign, _ = after(*RUNNING, StopRequested(False))
    assert step(campaign, TimePassed(), 129.9) == (campaign, ())
    campaign, actions = after(TimePassed(), now=130.0, campaign=campaign)
    assert (campaign.is_hard, actions) == (True, [Interrupt()])


def test_a_second_stop_is_hard_and_a_third_changes_nothing() -> None:
    campaign, actions = after(*RUNNING, StopRequested(False), StopRequested(True))
    assert actions == [Interrupt()]
    assert step(campaign, StopRequested(True), 101.0) == (campaign, ())
    assert step(campaign, StopRequested(False), 101.0) == (campaign, ())


def test_a_stop_before_the_start_interrupts_the_preparation() -> None:
    for events in (FOUND, ASSIGNED):
        campaign, actions = after(*events, StopRequested(False))
        assert (campaign.phase, actions) == (Phase.ABORTING, [Interrupt(), Close()])
    campaign, actions = after(Requested(), StopRequested(False))
    assert (campaign.phase, actions) == (Phase.ABORTED, [Conclude()])


def test_an_interrupted_preparation_is_no_failure() -> None:
    campaign, _ = after(*ASSIGNED, StopRequested(False))
    assert step(campaign, CouldNot("a", Failure("failed", "interrupted")), 100.0) == (campaign, ())
    campaign, actions = after(*ASSIGNED, StopRequested(False), *ALL_CLOSED)
    assert (campaign.phase, actions) == (Phase.ABORTED, [Conclude()])


def test_a_stop_while_it_ends_anyway_changes_nothing() -> None:
    campaign, _ = after(*RUNNING, *ALL_ENDED)
    assert step(campaign, StopRequested(True), 100.0) == (campaign, ())


def test_nothing_is_waited_for_without_end() -> None:
    campaign, _ = after(*ASSIGNED)
    late, actions = after(TimePassed(), now=100.0 + WARM_UP_SECONDS, campaign=campaign)
    assert (late.phase, actions[-1]) == (Phase.FAILED, Conclude())
    assert late.failure is not None
    assert "a, b" in late.failure.reason
    campaign, _ = after(*RUNNING, StopRequested(True))
    late, actions = after(TimePassed(), now=100.0 + INTERRUPTING_SECONDS, campaign=campaign)
    assert actions == [Close()]
    late, actions = after(TimePassed(), now=late.deadline, campaign=late)
    assert (late.phase, actions) == (Phase.ABORTED, [Conclude()])
    campaign, _ = after(*RUNNING, *ALL_ENDED)
    late, actions = after(TimePassed(), now=100.0 + CLOSING_SECONDS, campaign=campaign)
    assert (late.phase, actions) == (Phase.COMPLETED, [Conclude()])


EVENTS = st.lists(
    st.one_of(
        st.just(Requested()),
        st.just(FactoriesFound(FACTORIES, SCENARIOS)),
        st.sampled_from(FACTORIES).map(Answered),
        st.sampled_from(FACTORIES).map(lambda factory: CouldNot(factory, Failure("failed", "broken"))),
        st.sampled_from(ALL_ENDED),
        st.sampled_from(FACTORIES).map(Closed),
        st.booleans().map(StopRequested),
    )
)


@given(EVENTS)
def test_whatever_happens_it_concludes_exactly_once_and_then_rests(events: list[Event]) -> None:
    campaign, now, concluded = NEW, 0.0, 0
    for event in (Requested(), *events, FactoriesFound(FACTORIES, SCENARIOS), StopRequested(True)):
        campaign, actions = step(campaign, event, now)
        concluded += actions.count(Conclude())
        now += 1.0
    for _ in range(4):
        now += 1000.0
        campaign, actions = step(campaign, TimePassed(), now)
        concluded += actions.count(Conclude())
    assert campaign.phase in TERMINAL
    assert concluded == 1
    for event in (*RUNNING, *ALL_ENDED, *ALL_CLOSED, StopRequested(True), TimePassed()):
        assert step(campaign, event, now) == (campaign, ())


def test_events_do_not_change_the_campaign_they_are_given() -> None:
    campaign = replace(NEW)
    step(campaign, Requested(), 0.0)
    assert campaign == NEW
