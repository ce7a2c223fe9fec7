"""What a topic's reader has got from each publisher, and what it owes to the broker; pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

SILENT_SECONDS: Final = 60.0
"""A publisher that holds messages is heard every few seconds. After so long it has died."""
FORGET_SECONDS: Final = 3600.0
"""Publishers that are silent for so long are forgotten; they are known again by their next message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of a stream. Without a body it only says that messages up to `number` have been sent.

    `first` is the oldest message that its publisher holds: everything before has been acknowledged.
    `attempts` counts the readers before this one that it was handed to.
    """

    id: str
    publisher: str
    number: int
    first: int
    body: bytes | None
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Receipt:
    """How far a reader has come with a publisher.

    Everything up to `acknowledged` is done, and so is what `beyond` holds; `missing` is to be sent again.
    """

    acknowledged: int
    missing: int | None = None
    beyond: frozenset[int] = frozenset()

    def __str__(self) -> str:
        """`12`, `12 15` when 15 is missing, `12 15 17,18` when 17 and 18 are done."""
        if self.missing is None and not self.beyond:
            return str(self.acknowledged)
        missing = "-" if self.missing is None else str(self.missing)
        return f"{self.acknowledged} {missing} {','.join(map(str, sorted(self.beyond)))}".rstrip()

    @classmethod
    def read(cls, text: str) -> Receipt:
        """The receipt in this text; raises ValueError."""
        acknowledged, missing, beyond, *_ = (*text.split(" "), "-", "")
        return cls(
            int(acknowledged),
            None if missing == "-" else int(missing),
            frozenset(int(number) for number in beyond.split(",") if number not in ("", "-")),
        )


@dataclass(slots=True)
class _Publisher:
    acknowledged: int
    next: int
    """The number of the message that is handed out next."""
    sent: int
    """The highest number known to be sent."""
    heard_at: float
    waiting: dict[int, Entry] = field(default_factory=dict)
    """Came before messages that are missing."""
    ids: dict[int, list[str]] = field(default_factory=dict)
    """The entries of each message that is not acknowledged; several when it was sent again."""
    settled: set[int] = field(default_factory=set)
    """Acknowledged, but not yet all before them."""

    @property
    def is_missing_some(self) -> bool:
        return self.next <= self.sent

    @property
    def receipt(self) -> Receipt:
        missing = self.next if self.is_missing_some else None
        return Receipt(self.acknowledged, missing, frozenset(self.settled))

    def settle(self, number: int) -> list[str]:
        """The message is done; returns its entries."""
        if number > self.acknowledged:
            self.settled.add(number)
        while self.acknowledged + 1 in self.settled:
            self.acknowledged += 1
            self.settled.discard(self.acknowledged)
        return self.ids.pop(number, [])

    def begin_at(self, first: int) -> None:
        """The publisher knows from a reader before that everything up to here is done."""
        if self.acknowledged < first - 1:
            self.acknowledged = first - 1
            self.settled = {number for number in self.settled if number >= first}
            self.settle(self.acknowledged)
        self.next = max(self.next, self.acknowledged + 1)

    def ready(self) -> list[Entry]:
        """What can be handed out now, in order."""
        found: list[Entry] = []
        while self.next in self.waiting or self.next in self.settled:
            if self.next in self.waiting:
                found.append(self.waiting.pop(self.next))
            self.next += 1
        return found


class Arrivals:
    """Puts the entries of each publisher in order and drops repetitions.

    An entry is handed out once all before it of the same publisher have been. Entries whose message is done
    are to be acknowledged to the broker, and publishers get receipts.
    """

    def __init__(self) -> None:
        self._publishers: dict[str, _Publisher] = {}
        self._acknowledged: list[str] = []
        self._changed: set[str] = set()
        self.known: set[str] = set()
        """The ids of all entries whose message is here and not done."""

    def resume(self, receipts: Mapping[str, Receipt], now: float) -> None:
        """Go on where the reader before has stopped."""
        for name, receipt in receipts.items():
            if name not in self._publishers:
                done = receipt.acknowledged
                self._publishers[name] = _Publisher(
                    acknowledged=done, next=done + 1, sent=done, heard_at=now, settled=set(receipt.beyond)
                )

    def add(self, entry: Entry, now: float) -> list[Entry]:
        """An entry came; returns what is to be handed out now, in order."""
        publisher = self._publishers.get(entry.publisher)
        if publisher is None:
            done = entry.first - 1
            publisher = _Publisher(acknowledged=done, next=entry.first, sent=done, heard_at=now)
            self._publishers[entry.publisher] = publisher
        publisher.heard_at = now
        publisher.sent = max(publisher.sent, entry.number)
        publisher.begin_at(entry.first)
        self._changed.add(entry.publisher)
        is_done = entry.number <= publisher.acknowledged or entry.number in publisher.settled
        if entry.body is None or is_done:
            self._acknowledged.append(entry.id)
            return publisher.ready()
        self.known.add(entry.id)
        ids = publisher.ids.setdefault(entry.number, [])
        ids.append(entry.id)
        if len(ids) == 1 and entry.number >= publisher.next:
            publisher.waiting[entry.number] = entry
        return publisher.ready()

    def settle(self, entry: Entry) -> None:
        """The message of this entry is done: acknowledged, or set aside."""
        publisher = self._publishers.get(entry.publisher)
        if publisher is None:
            return
        ids = publisher.settle(entry.number)
        self._acknowledged += ids
        self.known.difference_update(ids)
        self._changed.add(entry.publisher)

    def gone(self, id: str) -> None:
        """The broker does not have the entry any more, though it says that it is not acknowledged."""
        self._acknowledged.append(id)

    def give_up_the_dead(self, now: float) -> list[Entry]:
        """What waits for messages that nobody can send again, since their publisher has died."""
        ready: list[Entry] = []
        for publisher in self._publishers.values():
            while publisher.is_missing_some and now - publisher.heard_at > SILENT_SECONDS:
                publisher.next = min(publisher.waiting, default=publisher.sent + 1)
                ready += publisher.ready()
        return ready

    def forget_silent(self, now: float) -> list[str]:
        """Forget the publishers that have said nothing for long and have nothing left here; returns them."""
        silent = [
            name
            for name, each in self._publishers.items()
            if now - each.heard_at > FORGET_SECONDS and not each.ids and not each.is_missing_some
        ]
        for name in silent:
            del self._publishers[name]
        return silent

    # What is told to the broker

    @property
    def has_news(self) -> bool:
        return bool(self._acknowledged or self._changed)

    def take_acknowledged(self) -> list[str]:
        """The entries to acknowledge to the broker; each is given once."""
        taken, self._acknowledged = self._acknowledged, []
        return taken

    def take_receipts(self) -> dict[str, Receipt]:
        """The receipts that have changed since the last call."""
        taken, self._changed = self._changed, set()
        return {name: self._publishers[name].receipt for name in taken if name in self._publishers}

    def give_back(self, ids: Iterable[str], receipts: Iterable[str]) -> None:
        """What was taken could not be told."""
        self._acknowledged += ids
        self._changed.update(receipts)

    def write_all(self) -> None:
        """The broker may have lost every receipt."""
        self._changed.update(self._publishers)
