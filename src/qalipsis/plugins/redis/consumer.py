"""Reads the entries of a stream, alone or as one of a consumer group."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import Any

from qalipsis.engine.source import MOST_IN_BATCH, ReaderRuntime
from qalipsis.engine.step import StepError
from qalipsis.errors import ConfigurationError, ServiceUnavailable
from qalipsis.plugins.redis.commands import encoded
from qalipsis.plugins.redis.node import Reading
from qalipsis.plugins.redis.patience import Patience
from qalipsis.plugins.redis.records import Entry
from qalipsis.plugins.redis.service import Service, unavailable
from qalipsis.plugins.redis.spec import Consume
from qalipsis.plugins.redis.topology import text

COUNT = encoded(MOST_IN_BATCH)
BLOCK_SECONDS = 1.0
"""How long the service keeps a read that finds nothing."""
BLOCK = encoded(int(BLOCK_SECONDS * 1000))
CLAIM_SECONDS = 5.0
"""How often a reader looks for what a lost one has left."""
LEFT_SECONDS = 10.0
"""After so long an entry is taken as left: a living reader acknowledges what it gets at once."""
GONE_SECONDS = 5.0
"""A reader that has not asked for so long no longer keeps a group alive."""
LEAVE_SECONDS = 2.0
START = b"0-0"

Raw = list[Any]
"""Entries as they come: [id, [field, value, …]]."""


class StreamReader:
    """Reads one stream."""

    def __init__(self, spec: Consume[Any]) -> None:
        self._spec = spec
        self._stream = encoded(spec.stream)
        self._service: Service | None = None
        self._group: GroupRead | None = None
        self._last = START
        self._is_closed = False

    async def open(self, runtime: ReaderRuntime) -> None:
        spec, client = self._spec, self._spec.client
        try:
            service = self._service = Service(client.settings())
        except ConfigurationError as error:
            raise ServiceUnavailable(f"{client.location.file}:{client.location.line}: {error}") from error
        clock = runtime.clock
        self._meters = runtime.meters
        self._books = Reading(runtime.meters)
        self._epoch: Callable[[], float] = lambda: clock.epoch(clock.now())
        self._patience = Patience(clock.now)
        try:
            await service.reach()
            if spec.offset == "latest":
                self._last = await self._last_id()
            if runtime.group is not None:
                name = runtime.group if spec.group is None else spec.group
                group = GroupRead(service, self._books, self._stream, encoded(name), spec.consumer)
                group.is_shared_with_others = spec.group is not None
                await group.create(self._last)
                self._group = group
        except StepError as error:
            raise unavailable(error, repr(client), client.location) from error

    async def batches(self) -> AsyncIterator[Sequence[Any]]:
        group = self._group
        while not self._is_closed:
            try:
                raw = await (self._read() if group is None else group.read())
            except StepError as error:
                if error.kind == "no-group" and group is not None:
                    await self._again(group)
                    continue
                await self._patience.wait(error)
                self._meters.count("reconnects")
                continue
            self._patience.answered()
            if raw:
                # What was claimed from a lost reader may be older than what came last.
                self._last = max(self._last, encoded(raw[-1][0]), key=_order)
                yield self._entries(raw)

    async def aclose(self) -> None:
        self._is_closed = True
        if self._service is None:
            return
        if self._group is not None:
            # Whoever is gone cannot be told; the campaign does not wait for it.
            with suppress(StepError, TimeoutError):
                async with asyncio.timeout(LEAVE_SECONDS):
                    await self._group.leave()
        await self._service.aclose()

    async def _again(self, group: GroupRead) -> None:
        """The service has lost the group, perhaps with all its data: read on after what came last."""
        try:
            await group.create(self._last)
            self._meters.count("groups-created-again")
        except StepError as error:
            await self._patience.wait(error)

    async def _last_id(self) -> bytes:
        assert self._service is not None
        found = await self._service.ask((b"XREVRANGE", self._stream, b"+", b"-", b"COUNT", b"1"), self._books)
        return encoded(found[0][0]) if found else START

    async def _read(self) -> Raw:
        assert self._service is not None
        words = (b"XREAD", b"COUNT", COUNT, b"BLOCK", BLOCK, b"STREAMS", self._stream, self._last)
        return _of_stream(await self._service.ask(words, self._books, BLOCK_SECONDS))

    def _entries(self, raw: Raw) -> list[Entry[Any]]:
        at = self._epoch()
        return [
            Entry(text(id), dict(zip(words[::2], words[1::2], strict=True)), at)
            for id, words in raw
            if words is not None  # deleted from the stream before it was read
        ]


class GroupRead:
    """This reader's place in a consumer group.

    What is read is acknowledged before it is handed on: a worker that dies takes with it what it holds in
    its memory anyway, and what it had not acknowledged is claimed by another.
    """

    def __init__(
        self, service: Service, books: Reading, stream: bytes, group: bytes, consumer: str | bytes
    ) -> None:
        self.is_shared_with_others = False
        """True for a group of the author: it is not removed, and what others left there is not claimed."""
        self._service = service
        self._books = books
        self._stream = stream
        self._group = group
        own = f"-{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
        self._consumer = encoded(consumer) + own.encode()
        self._held: Raw | None = None
        """Read, and not acknowledged yet."""
        self._is_resuming = False
        """An answer may have been lost, with entries that are this reader's since then."""
        self._claims_at = asyncio.get_running_loop().time() + CLAIM_SECONDS

    async def create(self, after: bytes) -> None:
        """Make the group, unless it exists; its first entry comes after the id."""
        try:
            await self._ask(b"XGROUP", b"CREATE", self._stream, self._group, after, b"MKSTREAM")
        except StepError as error:
            if "BUSYGROUP" not in str(error):
                raise

    async def read(self) -> Raw:
        """New entries, this reader's alone; empty when there are none for now. Raises StepError."""
        if self._held is None:
            try:
                self._held = await self._next()
            except StepError:
                self._is_resuming = True
                raise
        if self._held:
            await self._ask(b"XACK", self._stream, self._group, *(encoded(entry[0]) for entry in self._held))
        held, self._held = self._held, None
        return held

    async def leave(self) -> None:
        """Take this reader out of the group, and the group out of the stream when it was the last."""
        if self.is_shared_with_others:
            pending = await self._ask(
                b"XPENDING", self._stream, self._group, b"-", b"+", b"1", self._consumer
            )
            if not pending:  # else its entries would be lost with it
                await self._ask(b"XGROUP", b"DELCONSUMER", self._stream, self._group, self._consumer)
            return
        await self._ask(b"XGROUP", b"DELCONSUMER", self._stream, self._group, self._consumer)
        others = await self._ask(b"XINFO", b"CONSUMERS", self._stream, self._group)
        if not any(_idle_seconds(other) < GONE_SECONDS for other in others):
            await self._ask(b"XGROUP", b"DESTROY", self._stream, self._group)

    async def _next(self) -> Raw:
        if self._is_resuming:
            found = await self._read_group(START)
            if found:
                return found
            self._is_resuming = False
        now = asyncio.get_running_loop().time()
        if now >= self._claims_at and not self.is_shared_with_others:
            self._claims_at = now + CLAIM_SECONDS
            left = encoded(int(LEFT_SECONDS * 1000))
            _, claimed, *_ = await self._obtain(
                b"XAUTOCLAIM", self._stream, self._group, self._consumer, left, START, b"COUNT", COUNT
            )
            claimed = [entry for entry in claimed if entry is not None]
            if claimed:
                self._claims_at = now
                return list(claimed)
        return await self._read_group(b">")

    async def _read_group(self, after: bytes) -> Raw:
        answer = await self._obtain(
            *(b"XREADGROUP", b"GROUP", self._group, self._consumer, b"COUNT", COUNT, b"BLOCK", BLOCK),
            *(b"STREAMS", self._stream, after),
        )
        return _of_stream(answer)

    async def _obtain(self, *words: bytes) -> Any:
        """What makes entries ours; not repeated behind our back, for those of a lost answer would be left."""
        return await self._service.ask(words, self._books, BLOCK_SECONDS, is_repeatable=False)

    async def _ask(self, *words: bytes) -> Any:
        return await self._service.ask(words, self._books)


def _of_stream(answer: Any) -> Raw:
    """The entries of the only stream that was asked for; there is no answer when there are none."""
    return answer[0][1] if answer else []


def _order(id: bytes) -> tuple[int, ...]:
    return tuple(map(int, id.split(b"-")))


def _idle_seconds(consumer: Any) -> float:
    """Since a consumer of XINFO CONSUMERS has asked for anything."""
    fields = {text(name): value for name, value in zip(consumer[::2], consumer[1::2], strict=True)}
    return float(fields["idle"]) / 1000
