"""The group of consumers behind a topic: what its reader says to Redis."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

from redis.exceptions import ResponseError

from qalipsis.cluster.redis import keys
from qalipsis.cluster.redis.arrivals import Entry, Receipt
from qalipsis.cluster.redis.faults import Words, code
from qalipsis.cluster.redis.servers import Lane, Servers

NAME: Final = "readers"
GONE: Final = frozenset({"NOGROUP", "NOKEY"})

LIFE_SECONDS: Final = 86_400
"""Keys that nobody has used for so long go by themselves."""

PAGE: Final = 200
FETCHED_AT_ONCE: Final = 16
"""Entries whose length nobody knows."""
DEAD_LETTERS: Final = 1000
IDLE_CONSUMER_MS: Final = 60_000


class GroupGone(Exception):
    """Redis has lost the group, or who its reader is."""


class TakenOver(Exception):
    """Another reader has joined."""


@dataclass(frozen=True, slots=True)
class Strange:
    """An entry of a stream that no publisher of ours has written."""

    id: str
    fields: dict[bytes, bytes]


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that was set aside."""

    id: str
    body: bytes
    reason: str


class Group:
    """One consumer of the group. Everything raises Passing, ServiceUnavailable, GroupGone and TakenOver."""

    def __init__(self, servers: Servers, topic: str) -> None:
        self._servers = servers
        self._stream = keys.stream(topic)
        self._receipts = keys.receipts(topic)
        self._dead = keys.dead(topic)
        self._consumer = uuid4().hex
        self._before: bytes | None = None
        """The reader before this one."""
        self.has_joined = False

    async def join(self) -> dict[str, Receipt]:
        """Become the reader, or again when Redis forgot it; returns how far the one before came."""
        create: Words = ("XGROUP", "CREATE", self._stream, NAME, "0", "MKSTREAM")
        known, *_ = (await self._ask(create, ("HGETALL", self._receipts)))[1:]
        fields = dict(zip(known[::2], known[1::2], strict=True))
        if self.has_joined:
            self._check(fields.get(keys.READER.encode()), is_lost_accepted=True)
        elif fields.get(keys.READER.encode()) != self._consumer.encode():
            self._before = fields.get(keys.READER.encode())
        await self._ask(("HSET", self._receipts, keys.READER, self._consumer))
        self.has_joined = True
        return dict(_receipts(fields))

    async def claim(self, known: Collection[str]) -> tuple[list[Entry | Strange], list[str]]:
        """What was given to readers and not acknowledged, in order, except the `known` ones.

        Beside it, the ids of entries that Redis does not have any more.
        """
        cursor = b"0-0"
        while True:
            autoclaim: Words = ("XAUTOCLAIM", self._stream, NAME, self._consumer, 0, cursor, "COUNT", PAGE)
            [[cursor, *_]] = await self._ask((*autoclaim, "JUSTID"))
            if cursor == b"0-0":
                break
        found: list[Entry | Strange] = []
        gone: list[str] = []
        start = "-"
        while True:
            [pending] = await self._ask(("XPENDING", self._stream, NAME, start, "+", PAGE, self._consumer))
            left = {id.decode(): attempts for id, _, _, attempts in pending if id.decode() not in known}
            for id, [answer] in zip(left, await self._fetch(tuple(left)), strict=True):
                if answer is None:
                    gone.append(id)
                else:
                    found.append(_entry(answer[0], answer[1], left[id]))
            if len(pending) < PAGE:
                return found, gone
            start = f"({pending[-1][0].decode()}"

    async def _fetch(self, ids: Sequence[str]) -> list[list[Any]]:
        answers: list[Any] = []
        for number in range(0, len(ids), FETCHED_AT_ONCE):
            few = ids[number : number + FETCHED_AT_ONCE]
            answers += await self._ask(*(("XRANGE", self._stream, id, id) for id in few))
        return [answer or [None] for answer in answers]

    async def read(self, lane: Lane, count: int, block_seconds: float) -> list[Entry | Strange]:
        """The next entries; waits for them, but not for longer than it says."""
        read: list[str | bytes | int] = ["XREADGROUP", "GROUP", NAME, self._consumer, "COUNT", count]
        read += ["BLOCK", int(block_seconds * 1000), "STREAMS", self._stream, ">"]
        # The question who the reader is comes after the entries: a newer reader finds no gap that is with us.
        answer, reader = await self._ask(
            read, ("HGET", self._receipts, keys.READER), lane=lane, patience=block_seconds
        )
        self._check(reader)
        return [_entry(*each) for each in answer[0][1]] if answer else []

    async def count(self, entry: Entry) -> None:
        """Note that one more reader has the entry: should this one die of it, the next one knows."""
        claim: Words = ("XCLAIM", self._stream, NAME, self._consumer, 0, entry.id)
        await self._ask((*claim, "RETRYCOUNT", entry.attempts + 1, "JUSTID"))

    async def tell(
        self,
        ids: Sequence[str],
        receipts: Mapping[str, Receipt],
        dead: Sequence[DeadLetter],
        forgotten: Sequence[str],
        last_read: str | None,
    ) -> None:
        """Acknowledge, and trim what all have acknowledged; nothing above `last_read` is touched."""
        commands: list[Words] = [
            ("XADD", self._dead, "MAXLEN", "~", DEAD_LETTERS, "*", "reason", each.reason, "b", each.body)
            for each in dead
        ]
        # Receipts first: what is acknowledged without one would be missed by the next reader.
        if receipts:
            pairs = [word for name, receipt in receipts.items() for word in (name, str(receipt))]
            commands.append(("HSET", self._receipts, *pairs))
        if forgotten:
            commands.append(("HDEL", self._receipts, *forgotten))
        if ids:
            commands.append(("XACK", self._stream, NAME, *ids))
        *_, pending = await self._ask(*commands, ("XPENDING", self._stream, NAME))
        below = pending[1].decode() if pending[0] else _after(last_read)
        if below is not None:
            await self._ask(("XTRIM", self._stream, "MINID", below))

    async def renew(self) -> None:
        """Keep the keys, which go by themselves when nobody uses them; let consumers go that have left."""
        lives = [("EXPIRE", key, LIFE_SECONDS) for key in (self._stream, self._receipts, self._dead)]
        *_, consumers = await self._ask(*lives, ("XINFO", "CONSUMERS", self._stream, NAME))
        fields = [dict(zip(each[::2], each[1::2], strict=True)) for each in consumers]
        left = [
            each[b"name"] for each in fields if each[b"pending"] == 0 and each[b"idle"] > IDLE_CONSUMER_MS
        ]
        commands = [("XGROUP", "DELCONSUMER", self._stream, NAME, name) for name in left]
        if commands:
            await self._ask(*commands)

    def _check(self, reader: bytes | None, is_lost_accepted: bool = False) -> None:
        if reader == self._consumer.encode():
            return
        # A failover may lose that we have joined, and bring back the one before.
        if reader is not None and reader != self._before:
            raise TakenOver
        if not is_lost_accepted:
            raise GroupGone

    async def _ask(self, *commands: Words, lane: Lane | None = None, patience: float = 0.0) -> list[Any]:
        answers = await self._servers.ask(self._stream, commands, lane, patience)
        if any(isinstance(each, ResponseError) and code(each) in GONE for each in answers):
            raise GroupGone
        return answers


def _receipts(fields: Mapping[bytes, bytes]) -> Iterator[tuple[str, Receipt]]:
    for name, text in fields.items():
        if name.decode() not in (keys.READER, keys.REMOVAL):
            yield name.decode(), Receipt.read(text.decode())


def _entry(id: bytes, words: Sequence[bytes], attempts: int = 0) -> Entry | Strange:
    fields = dict(zip(words[::2], words[1::2], strict=True))
    try:
        return Entry(
            id=id.decode(),
            publisher=fields[b"p"].decode(),
            number=int(fields[b"n"]),
            first=int(fields[b"f"]),
            body=fields.get(b"b"),
            attempts=attempts,
        )
    except (KeyError, ValueError):
        return Strange(id.decode(), fields)


def _after(id: str | None) -> str | None:
    """The lowest id above this one."""
    if id is None:
        return None
    milliseconds, _, number = id.partition("-")
    return f"{milliseconds}-{int(number) + 1}"
