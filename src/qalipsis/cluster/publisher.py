"""Says messages in the name of one source."""

from __future__ import annotations

from qalipsis.cluster.codec import Sender
from qalipsis.cluster.messages import Message
from qalipsis.cluster.transport import Transport


class Publisher:
    """One source's voice on a transport."""

    def __init__(self, transport: Transport, sender: Sender) -> None:
        self._transport = transport
        self._sender = sender

    @property
    def sequence(self) -> int:
        """The sequence of the message sent last."""
        return self._sender.sequence

    async def say(self, topic: str, message: Message, campaign: str = "") -> str:
        """Publish; returns the message's id."""
        id, body = self._sender.encode(message, campaign)
        await self._transport.publish(topic, body)
        return id
