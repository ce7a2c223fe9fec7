"""The life of a campaign, decided without a loop or a clock."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qalipsis.head.campaign import (
    ASSIGNING_SECONDS,
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
    HandedOver,
    Interrupt,
    Lost,
    OnFactoryLoss,
    Phase,
    Redistribute,
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


# Losses


def of(policy: OnFactoryLoss) -> Campaign:
    return replace(NEW, on_factory_loss=policy)


A_ENDED = (Ended("a", "shop"), Ended("a", "search"))
B_ENDED = (Ended("b", "shop"), Ended("b", "search"))


def test_a_lost_factory_is_not_there_any_more_and_nobody_waits_for_it() -> None:
    campaign, actions = after(*RUNNING, Lost("b", 115.0))
    assert (campaign.present, campaign.lost, actions) == (("a",), {"b"}, [])
    assert {factory for factory, _ in campaign.walking} == {"a"}
    assert step(campaign, Lost("b", 120.0), 101.0) == (campaign, ())


BEFORE_THE_START = pytest.mark.parametrize("events", [FOUND, ASSIGNED])
ANEW = (Lost("b", 115.0), Closed("a"))


@BEFORE_THE_START
def test_without_a_factory_that_is_lost_before_the_start_it_begins_anew_once_the_others_have_forgotten_it(
    events: tuple[Event, ...],
) -> None:
    campaign, actions = after(*events, Lost("b", 115.0))
    assert (campaign.phase, actions) == (Phase.PREPARING, [Interrupt(), Close()])
    assert (campaign.present, campaign.waiting_for) == (("a",), {"a"})
    # What they say of the time before means nothing.
    broken = CouldNot("a", Failure("failed", "interrupted"))
    for late in (Answered("a"), broken, Lost("b", 115.0), FactoriesFound(("a",), SCENARIOS)):
        assert step(campaign, late, 101.0) == (campaign, ())
    campaign, actions = after(Closed("a"), campaign=campaign)
    assert (campaign.phase, actions) == (Phase.PREPARING, [FindFactories()])
    assert (campaign.factories, campaign.lost, campaign.former) == ((), {"b"}, {"a", "b"})
    campaign, actions = after(FactoriesFound(("a", "c"), SCENARIOS), campaign=campaign)
    assert (campaign.phase, actions, campaign.waiting_for) == (Phase.ASSIGNING, [Assign()], {"a", "c"})
    campaign, actions = after(*(Answered(each) for each in "acac"), campaign=campaign)
    assert (campaign.phase, actions) == (Phase.RUNNING, [Start(100.5)])


@BEFORE_THE_START
def test_all_may_be_lost_before_the_start(events: tuple[Event, ...]) -> None:
    campaign, actions = after(*events, Lost("b", 115.0), Lost("a", 115.0))
    assert (campaign.phase, actions, campaign.lost) == (Phase.PREPARING, [FindFactories()], {"a", "b"})
    campaign, actions = after(CouldNot("", Failure("refused", "nobody is there")), campaign=campaign)
    assert (campaign.phase, campaign.failure) == (Phase.FAILED, Failure("refused", "nobody is there"))


def test_who_is_lost_after_it_began_anew_has_it_begin_anew_once_more() -> None:
    campaign, actions = after(*FOUND, *ANEW, FactoriesFound(("a",), SCENARIOS), Lost("a", 115.0))
    assert (campaign.phase, actions[-1], campaign.lost) == (Phase.PREPARING, FindFactories(), {"a", "b"})


def test_a_factory_that_does_not_forget_it_fails_the_campaign() -> None:
    campaign, _ = after(*FOUND, Lost("b", 115.0))
    assert step(campaign, TimePassed(), 99.9 + CLOSING_SECONDS) == (campaign, ())
    campaign, actions = after(TimePassed(), now=100.0 + CLOSING_SECONDS, campaign=campaign)
    assert (campaign.phase, actions, campaign.waiting_for) == (Phase.FAILED, [Conclude()], {"a"})
    assert campaign.failure is not None
    assert campaign.failure.reason == (
        f"lost before the start: b; what had begun until then was not ended within {CLOSING_SECONDS:g} s by a"
    )


@pytest.mark.parametrize("is_hard", [False, True])
def test_a_stop_while_it_begins_anew_is_no_failure(is_hard: bool) -> None:
    campaign, actions = after(*ASSIGNED, Lost("b", 115.0), StopRequested(is_hard))
    assert (campaign.phase, actions) == (Phase.ABORTING, [])  # they are being interrupted already
    campaign, actions = after(Closed("a"), campaign=campaign)
    assert (campaign.phase, actions) == (Phase.ABORTED, [Conclude()])
    campaign, actions = after(*ASSIGNED, *ANEW, StopRequested(is_hard))
    assert (campaign.phase, actions) == (Phase.ABORTED, [Conclude()])


def test_a_strangers_loss_changes_nothing() -> None:
    for events in ((), (Requested(),), FOUND, RUNNING):
        campaign, _ = after(*events)
        assert step(campaign, Lost("c", 115.0), 100.0) == (campaign, ())


def test_minions_are_started_again_once_the_lost_factory_sends_nothing_for_sure() -> None:
    campaign, _ = after(*RUNNING, Lost("b", 115.0))
    assert campaign.leaving == (("b", 115.0),)
    assert step(campaign, TimePassed(), 114.9) == (campaign, ())
    campaign, actions = after(TimePassed(), now=115.0, campaign=campaign)
    assert (campaign.leaving, actions) == ((), [Redistribute(("b",))])
    assert step(campaign, TimePassed(), 120.0) == (campaign, ())


def test_factories_whose_leases_have_ended_are_dealt_with_together() -> None:
    three = (Requested(), FactoriesFound(("a", "b", "c"), ("shop",)))
    answers = tuple(Answered(each) for each in "abc")
    campaign, _ = after(*three, *answers, *answers, Lost("b", 115.0), Lost("c", 114.0))
    one, actions = after(TimePassed(), now=114.5, campaign=campaign)
    assert (actions, one.leaving) == ([Redistribute(("c",))], (("b", 115.0),))
    _, actions = after(TimePassed(), now=116.0, campaign=campaign)
    assert actions == [Redistribute(("b", "c"))]


def test_while_minions_are_to_be_started_again_the_campaign_does_not_end() -> None:
    campaign, actions = after(*RUNNING, Lost("b", 115.0), *A_ENDED)
    assert (campaign.phase, actions) == (Phase.RUNNING, [])
    campaign, _ = after(TimePassed(), now=115.0, campaign=campaign)
    assert campaign.phase is Phase.RUNNING
    campaign, actions = after(HandedOver(frozenset({("a", "shop")})), now=115.0, campaign=campaign)
    assert (campaign.phase, actions) == (Phase.RUNNING, [])
    campaign, actions = after(Ended("a", "shop"), now=130.0, campaign=campaign)
    assert (campaign.phase, actions, campaign.waiting_for) == (Phase.DRAINING, [Close()], {"a"})
    campaign, actions = after(Closed("a"), now=131.0, campaign=campaign)
    assert (campaign.phase, actions) == (Phase.COMPLETED, [Conclude()])


def test_when_nothing_is_left_to_be_started_again_the_campaign_ends() -> None:
    campaign, _ = after(*RUNNING, Lost("b", 115.0), *A_ENDED)
    campaign, _ = after(TimePassed(), now=115.0, campaign=campaign)
    campaign, actions = after(HandedOver(frozenset()), now=115.0, campaign=campaign)
    assert (campaign.phase, actions) == (Phase.DRAINING, [Close()])


def test_a_factory_that_was_handed_minions_and_is_lost_is_replaced_as_well() -> None:
    campaign, _ = after(*RUNNING, Lost("b", 115.0))
    campaign, _ = after(TimePassed(), HandedOver(frozenset({("a", "shop")})), now=115.0, campaign=campaign)
    campaign, actions = after(Lost("a", 130.0), now=116.0, campaign=campaign)
    # Nobody is left who could.
    assert (campaign.phase, actions) == (Phase.COMPLETED, [Close(), Conclude()])


@pytest.mark.parametrize("policy", list(OnFactoryLoss))
def test_the_campaign_ends_with_its_last_factory(policy: OnFactoryLoss) -> None:
    lost = (Lost("a", 115.0), Lost("b", 115.0))
    campaign, actions = after(*RUNNING, *lost, campaign=of(policy))
    assert (campaign.phase in TERMINAL, campaign.present, actions[-1]) == (True, (), Conclude())


def test_who_continues_starts_nobody_again() -> None:
    campaign, actions = after(*RUNNING, Lost("b", 115.0), campaign=of(OnFactoryLoss.CONTINUE))
    assert (campaign.phase, campaign.leaving, actions) == (Phase.RUNNING, (), [])
    campaign, actions = after(*A_ENDED, campaign=campaign)
    assert (campaign.phase, actions) == (Phase.DRAINING, [Close()])


def test_when_what_was_waited_for_was_lost_the_campaign_ends() -> None:
    campaign, actions = after(*RUNNING, *A_ENDED, Lost("b", 115.0), campaign=of(OnFactoryLoss.CONTINUE))
    assert (campaign.phase, actions) == (Phase.DRAINING, [Close()])


def test_who_aborts_stops_softly() -> None:
    campaign, actions = after(*RUNNING, Lost("b", 115.0), campaign=of(OnFactoryLoss.ABORT))
    assert (campaign.phase, actions, campaign.deadline) == (Phase.ABORTING, [Stop()], 130.0)


@pytest.mark.parametrize("is_hard", [False, True])
def test_what_is_stopped_is_not_started_again(is_hard: bool) -> None:
    stopped, _ = after(*RUNNING, StopRequested(is_hard), Lost("b", 115.0))
    assert (stopped.phase, stopped.leaving) == (Phase.ABORTING, ())
    _, actions = after(*A_ENDED, campaign=stopped)
    assert actions == [Close()]
    waiting, _ = after(*RUNNING, Lost("b", 115.0), StopRequested(is_hard))
    assert waiting.leaving == ()
    _, actions = after(*A_ENDED, campaign=waiting)
    assert actions == [Close()]


def test_a_factory_that_is_lost_while_the_campaign_is_closed_is_not_waited_for() -> None:
    campaign, actions = after(*RUNNING, *ALL_ENDED, Closed("a"), Lost("b", 115.0))
    assert (campaign.phase, actions) == (Phase.COMPLETED, [Conclude()])
    campaign, actions = after(*ASSIGNED, StopRequested(False), Closed("a"), Lost("b", 115.0))
    assert (campaign.phase, actions) == (Phase.ABORTED, [Conclude()])


def test_a_failure_names_who_was_late() -> None:
    campaign, _ = after(*FOUND, Answered("a"))
    late, _ = after(TimePassed(), now=100.0 + ASSIGNING_SECONDS, campaign=campaign)
    assert late.failure == Failure("failed", f"not prepared within {ASSIGNING_SECONDS:g} s: b")


@given(st.floats(-1e6, 1e6))
def test_a_campaign_that_travels_to_another_clock_is_the_same(by: float) -> None:
    running, _ = after(*RUNNING, Lost("b", 115.0))
    for campaign in (NEW, after(*FOUND)[0], running, after(*RUNNING, *ALL_ENDED)[0]):
        travelled = campaign.shifted(by)
        back = travelled.shifted(-by)
        assert back.started_at == pytest.approx(campaign.started_at, abs=1e-6)
        assert back.deadline == pytest.approx(campaign.deadline, abs=1e-6)
        assert replace(back, started_at=None, deadline=0.0, leaving=()) == replace(
            campaign, started_at=None, deadline=0.0, leaving=()
        )
    assert step(running.shifted(by), TimePassed(), 116.0 + by)[1] == (Redistribute(("b",)),)


EVENTS = st.lists(
    st.one_of(
        st.just(Requested()),
        st.just(FactoriesFound(FACTORIES, SCENARIOS)),
        st.sampled_from(FACTORIES).map(Answered),
        st.sampled_from(FACTORIES).map(lambda factory: CouldNot(factory, Failure("failed", "broken"))),
        st.sampled_from(ALL_ENDED),
        st.sampled_from(FACTORIES).map(Closed),
        st.booleans().map(StopRequested),
        st.builds(Lost, st.sampled_from(FACTORIES), st.floats(0.0, 60.0)),
        st.just(TimePassed()),
    )
)
BEGINNINGS = st.sampled_from([(Requested(),), FOUND, ASSIGNED, RUNNING])


@given(BEGINNINGS, EVENTS, st.sampled_from(OnFactoryLoss))
def test_whatever_happens_it_concludes_exactly_once_and_then_rests(
    beginning: tuple[Event, ...], events: list[Event], policy: OnFactoryLoss
) -> None:
    campaign, now, concluded = of(policy), 0.0, 0
    for event in (*beginning, *events, FactoriesFound(FACTORIES, SCENARIOS), StopRequested(True)):
        if isinstance(event, FactoriesFound):
            left = tuple(each for each in FACTORIES if each not in campaign.lost)
            event = FactoriesFound(left, SCENARIOS) if left else CouldNot("", Failure("refused", "nobody"))
        before = campaign
        campaign, actions = step(campaign, event, now)
        concluded += actions.count(Conclude())
        # Nobody is waited for who is lost, and what is stopped is never started again.
        assert not campaign.waiting_for & campaign.lost or campaign.is_over
        assert not {factory for factory, _ in campaign.walking} & campaign.lost
        assert not campaign.leaving or campaign.phase is Phase.RUNNING
        assert before.lost <= campaign.lost
        for action in actions:
            if isinstance(action, Redistribute):
                assert campaign.phase is Phase.RUNNING
                taken = frozenset((each, "shop") for each in campaign.present)
                campaign, more = step(campaign, HandedOver(taken), now)
                concluded += more.count(Conclude())
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
