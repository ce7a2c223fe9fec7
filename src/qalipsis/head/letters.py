"""What a campaign was told, from when its head has heard it until the store knows what followed from it."""

from __future__ import annotations

from collections.abc import Mapping

from qalipsis.cluster.inbox import Letter

Source = tuple[str, int]
"""Who says something: a node, as it was started once."""


class Letters:
    """A letter is acknowledged after the commit that contains its effect, so that another head is sent it
    again when there was none.
    """

    def __init__(self, watermarks: Mapping[Source, int] | None = None) -> None:
        """The watermarks are those that the store has."""
        self.watermarks = dict(watermarks or {})
        """The highest sequence that was heard of each source, for the next commit."""
        self._committed = dict(self.watermarks)
        self._waiting: list[Letter] = []

    def open(self, letter: Letter) -> bool:
        """Whether the letter is to have its effect now; the effect of others is in the store already."""
        received = letter.received
        source = received.source, received.incarnation
        if received.sequence <= self.watermarks.get(source, 0):
            letter.acknowledge()
            return False
        self.watermarks[source] = received.sequence
        self._waiting.append(letter)
        return True

    def committed(self, node: str, incarnation: int) -> int:
        """Up to which sequence everything that this source has said is in the store."""
        return self._committed.get((node, incarnation), 0)

    def commit(self) -> None:
        """The watermarks are in the store, and so is what followed from the letters."""
        self._committed = dict(self.watermarks)
        waiting, self._waiting = self._waiting, []
        for letter in waiting:
            letter.acknowledge()
