"""What is said is published in order, by whichever transport there is."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from qalipsis.cluster.codec import Sender
from qalipsis.cluster.inbox import Inbox
from qalipsis.cluster.memory import MemoryTransport
from qalipsis.cluster.messages import Farewell, HandshakeWanted
from qalipsis.cluster.publisher import Publisher
from qalipsis.errors import TransportClosed
from qalipsis.factory.outbox import Outbox


async def test_what_one_transport_could_not_carry_the_next_one_does() -> None:
    outbox, sender, first, second = Outbox(), Sender("eu-1", 7), MemoryTransport(), MemoryTransport()
    await first.aclose()
    outbox.say("t", HandshakeWanted())
    outbox.say("t", Farewell(), "c-1")
    with pytest.raises(TransportClosed):
        await outbox.publish(Publisher(first, sender))
    publishing = asyncio.create_task(outbox.publish(Publisher(second, sender)))
    assert await outbox.wait_empty(1.0)
    inbox = Inbox(second, "t").messages()
    received = [await anext(inbox), await anext(inbox)]
    assert [type(each.message) for each in received] == [HandshakeWanted, Farewell]
    assert [each.campaign for each in received] == ["", "c-1"]
    assert received[0].sequence < received[1].sequence
    publishing.cancel()
    with suppress(asyncio.CancelledError):
        await publishing
    await inbox.aclose()


async def test_waiting_for_a_transport_that_does_not_take_messages_is_bounded() -> None:
    outbox = Outbox()
    assert await outbox.wait_empty(0.0) is True
    outbox.say("t", Farewell())
    assert await outbox.wait_empty(0.01) is False


async def test_what_is_cleared_is_not_said() -> None:
    outbox, transport = Outbox(), MemoryTransport()
    outbox.say("t", Farewell())
    outbox.clear()
    publishing = asyncio.create_task(outbox.publish(Publisher(transport, Sender("eu-1", 7))))
    await asyncio.sleep(0)
    outbox.say("t", HandshakeWanted())
    await outbox.wait_empty(1.0)
    [message] = transport._topics["t"].waiting
    assert b"handshake_wanted" in message.body
    publishing.cancel()
    await asyncio.gather(publishing, return_exceptions=True)
