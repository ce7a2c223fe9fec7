"""The three moments of a request, as authors read them from what a step emits."""

from __future__ import annotations


class Moments:
    """A base of responses, which keep the worker's stamps and the offset that makes epoch seconds of them."""

    __slots__ = ()

    due_stamp: float
    sent_stamp: float
    done_stamp: float
    epoch_offset: float

    @property
    def due(self) -> float:
        """When the request was planned, in epoch seconds."""
        return self.due_stamp + self.epoch_offset

    @property
    def sent(self) -> float:
        """When its first byte was handed to the operating system, in epoch seconds."""
        return self.sent_stamp + self.epoch_offset

    @property
    def done(self) -> float:
        """When the last byte of what was waited for had come, in epoch seconds."""
        return self.done_stamp + self.epoch_offset
