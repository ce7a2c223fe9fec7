"""Each message once, and nothing that comes can stop the reader."""

import logging

import pytest

from qalipsis.cluster.codec import Sender
from qalipsis.cluster.inbox import KEPT, Inbox
from qalipsis.cluster.memory import MemoryTransport
from qalipsis.cluster.messages import ScenarioEnded
from qalipsis.testing.chaos import ChaosTransport


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


async def test_a_message_is_acknowledged_once_the_next_is_asked_for() -> None:
    transport, sender = MemoryTransport(), Sender("factory-1", 1)
    for name in ("a", "b"):
        await transport.publish("feedback", sender.encode(word(name))[1])
    inbox = Inbox(transport, "feedback")
    messages = inbox.messages()
    assert [(await anext(messages)).sequence for _ in range(2)] == [1, 2]
    await inbox.aclose()
    assert (await anext(Inbox(transport, "feedback").messages())).sequence == 2


async def test_a_letter_is_acknowledged_by_its_reader() -> None:
    transport, sender = MemoryTransport(), Sender("factory-1", 1)
    bodies = [sender.encode(word(name))[1] for name in ("a", "b", "c")]
    for body in (*bodies, bodies[0], b"poison"):
        await transport.publish("feedback", body)
    inbox = Inbox(transport, "feedback")
    letters = inbox.letters()
    _, second, _ = [await anext(letters) for _ in range(3)]
    second.acknowledge()
    await inbox.aclose()
    # The repetition has not taken the place of what it repeats, and the poison waits for its first reader.
    again = Inbox(transport, "feedback").letters()
    assert [(await anext(again)).received.sequence for _ in range(2)] == [1, 3]


async def test_what_cannot_be_read_becomes_a_dead_letter() -> None:
    transport, sender = MemoryTransport(), Sender("factory-1", 1)
    for body in (b"poison", sender.encode(word("good"))[1]):
        await transport.publish("feedback", body)
    await anext(Inbox(transport, "feedback").letters())
    assert list(transport.dead_letters) == [("feedback", b"poison")]


@pytest.mark.parametrize("seed", range(20))
async def test_every_message_takes_effect_once_over_a_transport_of_chaos(seed: int) -> None:
    transport = ChaosTransport(MemoryTransport(), seed, drop=0.1, duplicate=0.1, reorder=0.1)
    senders = [Sender(f"factory-{number}", 1) for number in range(3)]
    for number in range(300):
        await transport.publish("feedback", senders[number % 3].encode(word(str(number)))[1])
    inbox = Inbox(transport, "feedback")
    messages = inbox.messages()
    got = [await anext(messages) for _ in range(300)]
    for sender in senders:
        assert [each.sequence for each in got if each.source == sender.source] == list(range(1, 101))
    assert min(transport.dropped, transport.duplicated, transport.reordered) > 10
    assert [each.message for each in got] != [word(str(number)) for number in range(300)]
    assert inbox.repeated > 10


async def test_the_same_seed_makes_the_same_chaos() -> None:
    async def order(seed: int) -> list[str]:
        transport = ChaosTransport(MemoryTransport(), seed)
        senders = [Sender(f"factory-{number}", 1) for number in range(3)]
        for number in range(60):
            await transport.publish("feedback", senders[number % 3].encode(word(str(number)))[1])
        messages = Inbox(transport, "feedback").messages()
        return [(await anext(messages)).source for _ in range(60)]

    assert await order(1) == await order(1) != await order(2)
