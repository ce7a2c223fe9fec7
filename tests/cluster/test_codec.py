"""Messages as bytes: strict, of a known version, and no longer than brokers like."""

from typing import Any, get_args

import msgspec
import pytest

from qalipsis.cluster import messages
from qalipsis.cluster.codec import MAX_BYTES, Sender, Undecodable, decode, kind_of
from qalipsis.cluster.messages import Final, Heartbeat, ScenarioEnded, SnapshotTaken


def encoded(**changes: Any) -> bytes:
    _, body = Sender("factory-1", 7).encode(ScenarioEnded(scenario="shop", at=1.5), campaign="c-1")
    envelope = msgspec.msgpack.decode(body)
    return msgspec.msgpack.encode(envelope | changes)


def test_a_message_arrives_as_it_was_sent() -> None:
    sender = Sender("factory-1", 7, tenant="acme", epoch=3)
    sent = Final(last_sequence=9, ledgers={1: {"shop": (1, 2, 3)}})
    id, body = sender.encode(sent, campaign="c-1", expires=12.5)
    received = decode(body)
    assert received.message == sent
    assert (received.id, received.tenant, received.campaign) == (id, "acme", "c-1")
    assert (received.source, received.incarnation, received.sequence) == ("factory-1", 7, 1)
    assert (received.epoch, received.expires) == (3, 12.5)


def test_the_sequence_of_a_source_grows() -> None:
    sender = Sender("factory-1", 7)
    bodies = [sender.encode(Heartbeat(state="idle", sequence=0, clock=0.0))[1] for _ in range(3)]
    assert [decode(body).sequence for body in bodies] == [1, 2, 3]


def test_every_sentence_has_a_name_of_its_own() -> None:
    sentences = get_args(messages.Message)
    assert len({sentence.__struct_config__.tag for sentence in sentences}) == len(sentences) > 15
    assert all(sentence.__struct_config__.frozen for sentence in sentences)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        b"not msgpack at all",
        encoded()[:-3],
        encoded(v=99),
        encoded(kind="final"),
        encoded(body={"type": "os.system", "command": "true"}),
        encoded(body={"type": "scenario_ended", "scenario": 3, "at": 1.0}),
        encoded(surprise=1),
        b"\x00" * (MAX_BYTES + 1),
    ],
)
def test_what_is_no_message_is_refused_with_a_reason(body: bytes) -> None:
    with pytest.raises(Undecodable, match=r"\w+"):
        decode(body)


def test_the_version_before_is_understood() -> None:
    assert decode(encoded(v=messages.PROTOCOL - 1)).message == ScenarioEnded(scenario="shop", at=1.5)


def test_a_message_that_is_too_long_is_refused_before_it_is_sent() -> None:
    long = SnapshotTaken(worker=0, piece=0, pieces=1, data=b"x" * MAX_BYTES)
    with pytest.raises(ValueError, match="send it in pieces"):
        Sender("factory-1", 7).encode(long)


def test_a_kind_is_the_name_on_the_wire() -> None:
    assert kind_of(ScenarioEnded(scenario="shop", at=0.0)) == "scenario_ended"
