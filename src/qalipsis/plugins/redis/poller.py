"""Looks at keys or into a collection, again and again, and emits what is new."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from hashlib import blake2b
from typing import Any
from zlib import crc32

from redis.exceptions import ResponseError

from qalipsis.engine.source import MOST_IN_BATCH, Numbered, ReaderRuntime
from qalipsis.engine.step import StepError
from qalipsis.errors import ConfigurationError, ServiceUnavailable
from qalipsis.language.durations import seconds
from qalipsis.plugins.redis.commands import Words, encoded
from qalipsis.plugins.redis.node import Reading
from qalipsis.plugins.redis.patience import Patience
from qalipsis.plugins.redis.records import Field, KeyValue, Member, Scored
from qalipsis.plugins.redis.service import Service, unavailable
from qalipsis.plugins.redis.settings import Address
from qalipsis.plugins.redis.spec import Poll
from qalipsis.plugins.redis.topology import text

Element = tuple[Any, ...]
"""What a scan finds: a key, a member, a name and its value, a member and its score."""


class Seen:
    """Remembers elements by a digest of 16 bytes: about 100 bytes of memory each, however long they are."""

    __slots__ = ("_digests",)

    def __init__(self) -> None:
        self._digests: set[bytes] = set()

    def new(self, elements: Sequence[Element]) -> dict[bytes, Element]:
        """Those that were not added before, each once, in order, by their digests."""
        digests = self._digests
        found = {digest_of(element): element for element in elements}
        return {digest: element for digest, element in found.items() if digest not in digests}

    def add(self, digests: Iterable[bytes]) -> None:
        self._digests.update(digests)


def digest_of(element: Element) -> bytes:
    made = blake2b(digest_size=16)
    for word in map(encoded, element):
        # Each length in front of its word: ("ab", "c") is not ("a", "bc").
        made.update(b"%d:" % len(word))
        made.update(word)
    return made.digest()


def number_of(element: Element) -> int:
    """Whose record it is, in whatever order a worker finds it; the same when its value or score changes."""
    return crc32(encoded(element[0]))


class PollReader:
    """Reads one poll."""

    def __init__(self, spec: Poll[Any]) -> None:
        self._spec = spec
        self._period = seconds(spec.every)
        self._key = encoded(spec.key)
        self._service: Service | None = None

    async def open(self, runtime: ReaderRuntime) -> None:
        client = self._spec.client
        try:
            self._service = Service(client.settings())
        except ConfigurationError as error:
            raise ServiceUnavailable(f"{client.location.file}:{client.location.line}: {error}") from error
        self._meters = runtime.meters
        self._books = Reading(runtime.meters)
        clock = runtime.clock
        self._epoch: Callable[[], float] = lambda: clock.epoch(clock.now())
        self._patience = Patience(clock.now)
        try:
            await self._service.reach()
            for address in await self._places():
                await self._page(address, b"0", 1)
        except StepError as error:
            raise unavailable(error, repr(client), client.location) from error

    async def batches(self) -> AsyncIterator[Sequence[Any]]:
        now = asyncio.get_running_loop().time
        seen = Seen()
        while True:
            began = now()
            if self._spec.repeat:
                seen = Seen()
            try:
                async for records in self._cycle(seen):
                    yield records
            except StepError as error:
                await self._patience.wait(error)
                self._meters.count("reconnects")
                continue
            self._meters.count("polls")
            await asyncio.sleep(max(0.0, began + self._period - now()))

    async def aclose(self) -> None:
        if self._service is not None:
            await self._service.aclose()

    async def _cycle(self, seen: Seen) -> AsyncIterator[Sequence[Any]]:
        """One complete look. An element is remembered once it is emitted, so that a look that breaks off
        loses nothing: the next one emits the rest."""
        for address in await self._places():
            cursor = b"0"
            while True:
                cursor, elements = await self._page(address, cursor, self._spec.count)
                self._patience.answered()
                for first in range(0, len(elements), MOST_IN_BATCH):
                    fresh = seen.new(elements[first : first + MOST_IN_BATCH])
                    if fresh:
                        records = await self._records(list(fresh.values()))
                        seen.add(fresh)
                        yield Numbered(records, list(map(number_of, fresh.values())))
                if cursor == b"0":
                    break

    async def _places(self) -> Sequence[Address | None]:
        """Where to look: at every master for keys, else where the key lives."""
        assert self._service is not None
        return await self._service.masters() if self._spec.scan == "scan" else [None]

    async def _page(self, address: Address | None, cursor: bytes, count: int) -> tuple[bytes, list[Element]]:
        service, size = self._service, encoded(count)
        assert service is not None
        if address is not None:
            words: Words = (b"SCAN", cursor, b"MATCH", self._key, b"COUNT", size)
            after, found = await service.ask_at(address, words, self._books)
        else:
            words = (self._spec.scan.upper().encode(), self._key, cursor, b"COUNT", size)
            after, found = await service.ask(words, self._books)
        if self._spec.scan in ("hscan", "zscan"):
            return encoded(after), list(zip(found[::2], found[1::2], strict=True))
        return encoded(after), [(element,) for element in found]

    async def _records(self, elements: Sequence[Element]) -> Sequence[Any]:
        kind = self._spec.scan
        if kind == "scan":
            keys = [key for (key,) in elements]
            values = await self._values(keys) if self._spec.values else [None] * len(keys)
            at = self._epoch()
            return [KeyValue(key, value, at) for key, value in zip(keys, values, strict=True)]
        at = self._epoch()
        if kind == "sscan":
            return [Member(member, at) for (member,) in elements]
        if kind == "hscan":
            return [Field(name, value, at) for name, value in elements]
        return [Scored(member, float(text(score)), at) for member, score in elements]

    async def _values(self, keys: Sequence[Any]) -> list[Any]:
        service = self._service
        assert service is not None
        commands: list[Words] = [(b"GET", encoded(key)) for key in keys]
        answers = await service.send(commands, is_repeatable=True, books=self._books)
        values = []
        for words, answer in zip(commands, answers, strict=True):
            if isinstance(answer, ResponseError):
                refused = service.refused(answer, words)
                if refused.kind != "wrong-type":
                    raise refused
                answer = None  # a hash, a list, …: its key is all there is to tell
            values.append(answer)
        return values
