"""Whom a factory listens to."""

from __future__ import annotations

from qalipsis.cluster.codec import Received
from qalipsis.cluster.messages import HeartbeatReply, Message, WarmUp
from qalipsis.factory import admission
from qalipsis.factory.admission import Admission


def said(id: str, epoch: int, campaign: str = "c-1", message: Message | None = None) -> Received:
    return Received(
        id=id,
        tenant="",
        campaign=campaign,
        source=f"head-{epoch}",
        incarnation=1,
        sequence=1,
        epoch=epoch,
        expires=0.0,
        message=message or WarmUp(),
    )


def test_a_head_of_a_lower_epoch_is_not_listened_to() -> None:
    heard = Admission()
    assert heard.refusal(said("a", 3)) is None
    assert heard.refusal(said("b", 2)) == "head-2 speaks in epoch 2, but the campaign is in 3"
    assert heard.refusal(said("c", 4)) is None
    assert heard.refusal(said("d", 3)) is not None


def test_each_campaign_has_epochs_of_its_own() -> None:
    heard = Admission()
    assert heard.refusal(said("a", 3)) is None
    assert heard.refusal(said("b", 1, campaign="c-2")) is None


def test_a_directive_is_heard_once_whoever_says_it() -> None:
    heard = Admission()
    assert heard.refusal(said("a", 1)) is None
    assert heard.refusal(said("a", 2)) == "head-2 has said it before"
    assert heard.refusal(said("b", 1)) is not None  # the epoch of the repetition counts all the same


def test_what_is_remembered_is_bounded() -> None:
    heard = Admission()
    for number in range(admission.MOST_DIRECTIVES + 10):
        heard.refusal(said(f"{number}", 1, campaign=f"c-{number}"))
    assert len(heard._heard) == admission.MOST_DIRECTIVES
    assert len(heard._epochs) == admission.MOST_CAMPAIGNS


def test_answers_to_heartbeats_take_no_room() -> None:
    heard = Admission()
    reply = HeartbeatReply(lease_s=15.0, committed=0, clock=1.0)
    for _ in range(2):
        assert heard.refusal(said("a", 1, message=reply)) is None
    assert not heard._heard
