"""Each message once, and nothing that comes can stop the reader."""

import logging

import pytest

from qalipsis.cluster.codec import Sender
from qalipsis.cluster.inbox import KEPT, Inbox
from qalipsis.cluster.memory import MemoryTransport
from qalipsis.cluster.messages import ScenarioEnded


def word(name: str) -> ScenarioEnded:
    return ScenarioEnded(scenario=name, at=0.0)


async def test_a_repeated_message_is_read_once() -> None:
    transport, sender = MemoryTransport(), Sender("factory-1", 1)
    inbox = Inbox(transport, "feedback")
    bodies = [sender.encode(word(name))[1] for name in ("a", "b", "c")]
    for place in (0, 0, 1, 0, 1, 2, 2):
        await transport.publish("feedback", bodies[place])
    messages = inbox.messages()
    assert [(await anext(messages)).sequence for _ in range(3)] == [1, 2, 3]
    assert inbox.repeated == 3  # the last repetition is not read yet


async def test_sources_and_incarnations_are_counted_apart() -> None:
    transport = MemoryTransport()
    for sender in (Sender("a", 1), Sender("b", 1), Sender("a", 2)):
        await transport.publish("feedback", sender.encode(word("x"))[1])
    messages = Inbox(transport, "feedback").messages()
    assert [((await anext(messages)).source, 1)[0] for _ in range(3)] == ["a", "b", "a"]


async def test_poison_is_counted_and_set_aside(caplog: pytest.LogCaptureFixture) -> None:
    transport, sender = MemoryTransport(), Sender("factory-1", 1)
    inbox = Inbox(transport, "feedback")
    for number in range(2 * KEPT):
        await transport.publish("feedback", b"poison" + bytes([number]) * 1000)
    await transport.publish("feedback", sender.encode(word("good"))[1])
    with caplog.at_level(logging.WARNING):
        received = await anext(inbox.messages())
    assert received.message == word("good")
    assert inbox.undecodable == 2 * KEPT
    assert len(inbox.set_aside) == KEPT
    assert all(len(start) <= 64 for _, start in inbox.set_aside)
