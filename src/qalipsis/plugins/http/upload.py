"""A body that takes more than one write: large, streamed, or held back until the server agrees."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Protocol

from qalipsis.clock import TimerHandle
from qalipsis.engine.step import Wheel
from qalipsis.plugins.http.body import Stream

PIECE = 262_144
"""Bytes of a large body given to the transport at once."""

CONTINUE_SECONDS = 1.0
"""How long to wait for 100 Continue; servers that do not know it stay silent."""


class Counter(Protocol):
    """Keeps how much was sent."""

    bytes_sent: int


class Upload:
    """Writes a head, then its body as fast as the server takes it.

    With `waits_until` it waits for 100 Continue first; then `allow`, or silence until that moment, sends
    the body.
    """

    __slots__ = (
        "_body",
        "_counter",
        "_done",
        "_drained",
        "_head",
        "_is_paused",
        "_task",
        "_timer",
        "_transport",
        "_waits_until",
        "_wheel",
    )

    def __init__(
        self,
        head: bytes,
        body: bytes | Stream,
        counter: Counter,
        wheel: Wheel,
        waits_until: float | None = None,
    ) -> None:
        self._head = head
        self._body = body
        self._counter = counter
        self._wheel = wheel
        self._waits_until = waits_until
        self._transport: asyncio.Transport | None = None
        self._done: Callable[[BaseException | None], None] | None = None
        self._task: asyncio.Task[None] | None = None
        self._timer: TimerHandle | None = None
        self._is_paused = False
        self._drained: asyncio.Future[None] | None = None

    def start(self, transport: asyncio.Transport, done: Callable[[BaseException | None], None]) -> None:
        """Write the head now; `done` is called once everything has left, unless the upload is stopped."""
        self._transport = transport
        self._done = done
        # The transport says that it drained only when it was told to pause at the first byte it must keep.
        transport.set_write_buffer_limits(high=0)
        self._write(self._head)
        if self._waits_until is None:
            self.allow()
        else:
            self._timer = self._wheel.call_at(self._waits_until, self.allow)

    def allow(self) -> None:
        """Send the body."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._send())

    def stop(self) -> None:
        """Write nothing more; `done` is not called."""
        self._done = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._task is not None:
            self._task.cancel()

    def pause(self) -> None:
        self._is_paused = True

    def go_on(self) -> None:
        self._is_paused = False
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)

    async def _send(self) -> None:
        failure: BaseException | None = None
        body = self._body
        try:
            if isinstance(body, bytes):
                view = memoryview(body)
                for start in range(0, len(body), PIECE):
                    await self._send_piece(bytes(view[start : start + PIECE]))
            elif isinstance(body, AsyncIterator):
                async for piece in body:
                    await self._send_piece(piece)
            else:
                for piece in body:
                    await self._send_piece(piece)
                    if not self._is_paused:
                        await asyncio.sleep(0)  # an endless iterator must not stop everybody else
            await self._drain()
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            failure = error  # the author's iterator may raise anything
        if self._done is not None:
            self._done(failure)

    async def _send_piece(self, piece: bytes) -> None:
        await self._drain()
        self._write(piece)

    async def _drain(self) -> None:
        if self._is_paused:
            self._drained = asyncio.get_running_loop().create_future()
            await self._drained
            self._drained = None

    def _write(self, piece: bytes) -> None:
        assert self._transport is not None
        self._counter.bytes_sent += len(piece)
        self._transport.write(piece)
