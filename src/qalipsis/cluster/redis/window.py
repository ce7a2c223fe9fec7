"""What one publisher has said in a topic and nobody has acknowledged yet; pure, time comes as a number."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Final

MOST_MESSAGES: Final = 10_000
MOST_BYTES: Final = 64 << 20

FIRST_QUIET_SECONDS: Final = 0.5
"""Without news from the reader for so long, it is told how far the messages go: it may have lost some."""
LONGEST_QUIET_SECONDS: Final = 8.0
FIRST_REPEAT_SECONDS: Final = 1.0
LONGEST_REPEAT_SECONDS: Final = 30.0
"""A reader that does not get on with what was sent to it again may only be slow: it gets ever more time."""


class Window:
    """Messages are numbered from 1, sent in order as often as needed, and let go once acknowledged."""

    def __init__(self, most_messages: int = MOST_MESSAGES, most_bytes: int = MOST_BYTES) -> None:
        self._most_messages = most_messages
        self._most_bytes = most_bytes
        self._bodies: deque[bytes] = deque()
        self.held_bytes = 0
        self._quiet = FIRST_QUIET_SECONDS
        self._reminder_at = 0.0
        self._missing: int | None = None
        self._repeated_to = 0
        self._repeat_at = 0.0
        self._repeat_seconds = FIRST_REPEAT_SECONDS
        self.first = 1
        """The number of the oldest message held; the ones before are acknowledged."""
        self.next_sent = 1
        """The number of the message that is to be sent next."""

    @property
    def last(self) -> int:
        """The number of the newest message, 0 before there is any."""
        return self.first + len(self._bodies) - 1

    @property
    def is_empty(self) -> bool:
        return not self._bodies

    @property
    def is_full(self) -> bool:
        return len(self._bodies) >= self._most_messages or self.held_bytes >= self._most_bytes

    @property
    def is_sent(self) -> bool:
        """Nothing waits to be sent."""
        return self.next_sent > self.last

    @property
    def quiet_seconds(self) -> float:
        """How long the reader may say nothing before it is reminded."""
        return self._quiet

    def add(self, body: bytes) -> int:
        """Hold it; returns its number."""
        self._bodies.append(body)
        self.held_bytes += len(body)
        return self.last

    def unsent(self, most_messages: int, most_bytes: int) -> Iterator[tuple[int, bytes]]:
        """What is to be sent next, with its numbers: at least one message when there is any."""
        taken = 0
        for number in range(self.next_sent, min(self.last + 1, self.next_sent + most_messages)):
            body = self._bodies[number - self.first]
            taken += len(body)
            if number > self.next_sent and taken > most_bytes:
                return
            yield number, body

    def sent(self, number: int, now: float) -> None:
        """Everything up to this message is with the broker, which may yet lose it."""
        self.next_sent = max(self.next_sent, number + 1)
        self._reminder_at = now + self._quiet

    def acknowledged(self, number: int, now: float) -> bool:
        """The reader is done with everything up to this message; True when that is news."""
        if not self.first <= number <= self.last:
            return False
        while self.first <= number:
            self.held_bytes -= len(self._bodies.popleft())
            self.first += 1
        self.next_sent = max(self.next_sent, self.first)
        self._quiet = FIRST_QUIET_SECONDS
        self._reminder_at = now + self._quiet
        return True

    def missing(self, number: int | None, now: float) -> None:
        """The reader has not got this one and knows of later ones; None when it misses nothing."""
        before, self._missing = self._missing, number
        if number is None or not self.first <= number < self.next_sent:
            return
        if number != before and before is not None and number <= self._repeated_to:
            # It gets on with what is on its way to it.
            self._repeat_at = now + self._repeat_seconds
            return
        if number != before:
            self._repeat_seconds = FIRST_REPEAT_SECONDS
        elif now < self._repeat_at:
            return
        self._repeated_to = self.next_sent - 1
        self.next_sent = number
        self._repeat_at = now + self._repeat_seconds
        self._repeat_seconds = min(LONGEST_REPEAT_SECONDS, 2 * self._repeat_seconds)

    def is_reminder_due(self, now: float) -> bool:
        """Whether the reader is to be told, without a message, how far the messages go."""
        return not self.is_empty and self.is_sent and now >= self._reminder_at

    def reminded(self, now: float) -> None:
        self._quiet = min(LONGEST_QUIET_SECONDS, 2 * self._quiet)
        self._reminder_at = now + self._quiet
