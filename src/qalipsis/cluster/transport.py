"""The seam between head and factories."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol, Self

MOST_ATTEMPTS: Final = 5
"""Readers that a message may outlive; then it is set aside, for it may be what they died of."""


class Delivery:
    """One message at its reader, who says once what became of it; what is said later changes nothing.

    `attempt` counts the readers that it was handed to, this one included: above 1 its effect may be there.
    """

    __slots__ = ("_settle", "attempt", "body", "topic")

    def __init__(self, topic: str, body: bytes, attempt: int, settle: Callable[[str | None], None]) -> None:
        self.topic = topic
        self.body = body
        self.attempt = attempt
        self._settle: Callable[[str | None], None] | None = settle

    def acknowledge(self) -> None:
        """The effect of the message is committed: it need not come again."""
        self._say(None)

    def set_aside(self, reason: str) -> None:
        """The message can never take effect: it goes to the dead letters of its topic, for people."""
        self._say(reason)

    def _say(self, reason: str | None) -> None:
        settle, self._settle = self._settle, None
        if settle is not None:
            settle(reason)


class Subscription(Protocol):
    """The reading of one topic. It begins when the first delivery is asked for, and ends with `aclose`."""

    def __aiter__(self) -> Self: ...

    async def __anext__(self) -> Delivery: ...

    async def aclose(self) -> None:
        """End it. What was not acknowledged is delivered to the topic's next reader; safe to call twice."""


class Transport(Protocol):
    """Carries bytes between the head and its factories.

    What publishers may rely on:

    - `publish` returns once the broker has the message. When it raises or is cancelled, the message may have
      been published or not.
    - Until a reader has acknowledged the message, the publisher's transport keeps a copy, and publishes it
      again when the broker has lost it: only what it loses after the publisher has ended is gone. A topic
      holds only so much: then `publish` waits for its reader.
    - While the broker is away `publish` waits. When that takes too long it raises TransportClosed, which
      names broker and topic; the transport is closed from then on, and who wants to go on opens another.

    What readers may rely on:

    - A message is delivered at least once. What one transport publishes to a topic is delivered in that
      order with nothing left out; messages of several transports mix. A repetition comes at any time later.
    - What is published before anyone subscribed waits for the topic's first reader.
    - A reader acknowledges each delivery once its effect is committed, in whatever order. What it has not
      acknowledged when it ends, however it ends, is delivered again to the next reader, in order and before
      what is new. An acknowledgement may be lost with the reader or the broker, so effects are made once by
      the reader itself: a source's sequence tells it what it has seen.
    - A message that was handed to `MOST_ATTEMPTS` readers, none of which acknowledged it, is set aside.
    - A topic has one reader at a time. A later one takes over, and the subscription before it raises
      TransportClosed; what it acknowledges after that may be delivered again all the same.

    After `aclose` publishing raises TransportClosed and every subscription ends. ServiceUnavailable is raised
    where waiting helps nobody: the broker refuses the login, or what is asked of it.
    """

    @property
    def is_connected(self) -> bool:
        """False while the broker does not answer: until it does nobody's silence means anything.

        Also when connections stay open: what hangs is noticed a second after its last answer at the latest,
        long before a request to it fails.
        """

    async def publish(self, topic: str, body: bytes) -> None: ...

    def subscribe(self, topic: str) -> Subscription: ...

    async def remove(self, topic: str) -> None:
        """The topic is over: what waits in it is gone, here and at the broker, and so is its reader.

        For whoever read it last; publishers forget what they hold for it as soon as they learn of it.
        """

    async def aclose(self) -> None:
        """End all subscriptions; safe to call twice."""
