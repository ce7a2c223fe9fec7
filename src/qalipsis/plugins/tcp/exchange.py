"""One connection: a request goes out, its response comes in, and nothing is ever taken for anything else."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from math import inf
from typing import Protocol, cast

from qalipsis.clock import TimerHandle
from qalipsis.engine.step import StepError, Wheel
from qalipsis.metrics.meters import StepMeters
from qalipsis.plugins.tcp.settings import Settings
from qalipsis.plugins.tcp.until import Until


class Exchange(Protocol):
    """A request and its response; it is told exactly one of the last two, but never from within `send`."""

    until: Until
    timeout: float
    deadline: float
    written: float

    @property
    def meters(self) -> StepMeters: ...

    def connected(self, connection: Connection) -> None:
        """The connection that was opened for it is there: send."""

    def answered(self, response: bytes, size: int, first_byte: float, done: float) -> None:
        """The complete response; the connection is free already."""

    def failed(self, error: StepError, bytes_received: int) -> None:
        """There will be no response; the connection is closed."""


class Home(Protocol):
    """Where a connection lives between two exchanges."""

    def gained(self, connection: Connection) -> None:
        """It is open."""

    def lost(self, connection: Connection, why: str) -> None:
        """It is closed; called once."""


class Commons:
    """What the connections of one client share."""

    def __init__(self, settings: Settings, now: Callable[[], float], wheel: Wheel) -> None:
        self.now = now
        self.wheel = wheel
        self.loop = asyncio.get_running_loop()
        self.where = settings.where
        self.max_response = settings.max_response
        self._no_delay = settings.no_delay
        self._leaving: dict[Connection, asyncio.Transport] = {}
        """Connections that were closed in order and are not gone yet."""
        self._all_left = asyncio.Event()

    def tune(self, transport: asyncio.Transport) -> None:
        """Set what the author asked for on a new connection."""
        # Hand over at once what is written, and tell when the operating system has taken all of it.
        transport.set_write_buffer_limits(high=1, low=0)
        if not self._no_delay:  # the loop has set it
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)

    def leave(self, connection: Connection, transport: asyncio.Transport) -> None:
        """Let the last bytes go out, and the farewell of TLS."""
        self._leaving[connection] = transport
        transport.close()

    def left(self, connection: Connection) -> None:
        """It is gone."""
        if self._leaving.pop(connection, None) is not None and not self._leaving:
            self._all_left.set()

    async def wait_left(self, seconds: float) -> None:
        """Until all that leave are gone; those that take longer are cut off."""
        if not self._leaving:
            return
        self._all_left.clear()
        try:
            async with asyncio.timeout(seconds):
                await self._all_left.wait()
        except TimeoutError:
            for transport in list(self._leaving.values()):
                transport.abort()


class Connection(asyncio.Protocol):
    """Serves one exchange at a time. It is free while `exchange` is None; once closed for ever."""

    __slots__ = (
        "_buffer",
        "_commons",
        "_first_byte",
        "_home",
        "_is_sending",
        "_meters",
        "_opener",
        "_timer",
        "_timer_at",
        "exchange",
        "transport",
    )

    def __init__(self, commons: Commons, home: Home, opener: Exchange) -> None:
        self._buffer: bytearray | None = None
        """A response that comes in several pieces."""
        self._commons = commons
        self._first_byte = 0.0
        self._home = home
        self._is_sending = False
        """True while the operating system has not yet taken all of the payload."""
        self._meters = opener.meters
        """Of the last exchange: what comes when none is under way is counted there."""
        self._opener: Exchange | None = opener
        self._timer: TimerHandle | None = None
        self._timer_at = inf
        self.exchange: Exchange | None = None
        self.transport: asyncio.Transport | None = None

    def send(self, exchange: Exchange, payload: bytes) -> None:
        """Send a request and wait for its response."""
        self.exchange = exchange
        self._meters = exchange.meters
        if exchange.deadline < self._timer_at:
            self._arm(exchange.deadline)
        if payload:
            self.transport.write(payload)  # type: ignore[union-attr]
        exchange.written = self._commons.now()
        if not exchange.until.reads and not self._is_sending:
            self._commons.loop.call_soon(self._sent, exchange)

    def drop(self, exchange: Exchange) -> None:
        """The exchange gave up; its response must not meet another one."""
        if self.exchange is exchange:
            self.exchange = None
            self.abort("a request on it was cancelled")

    def close(self, why: str) -> None:
        """Close in order; an exchange under way fails."""
        if self.exchange is not None:
            self._fail(StepError("closed", why))
            return
        transport = self._release(why)
        if transport is not None:
            self._commons.leave(self, transport)

    def abort(self, why: str) -> None:
        """Close now, whatever is on its way. An exchange under way must have been dealt with."""
        transport = self._release(why)
        if transport is not None:
            transport.abort()

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._commons.tune(self.transport)
        self._home.gained(self)
        opener, self._opener = self._opener, None
        assert opener is not None
        opener.connected(self)

    def data_received(self, data: bytes) -> None:
        commons = self._commons
        now = commons.now()
        exchange = self.exchange
        if exchange is None or not exchange.until.reads:
            self._unasked(data)
            return
        received: bytes | bytearray = data
        seen = 0
        buffer = self._buffer
        if buffer is None:
            self._first_byte = now
        else:
            seen = len(buffer)
            buffer += data
            received = buffer
        try:
            size = exchange.until.size(received, seen)
        except ValueError as error:
            self._fail(StepError("protocol", f"{commons.where}: {error}"))
            return
        length = len(received)
        if (size or length) > commons.max_response:
            self._too_large()
        elif size == length:
            self._complete(exchange, bytes(received), length, now)
        elif size == 0 or size > length:
            if buffer is None:
                self._buffer = bytearray(data)
        else:
            excess = length - size
            self._meters.count("unread-bytes", excess)
            self._complete(
                exchange,
                bytes(received[:size]),
                size,
                now,
                f"the service sent {excess} more bytes than the response has",
            )

    def eof_received(self) -> None:
        """The service will say no more: between two requests that is its good right."""
        exchange = self.exchange
        if exchange is not None and exchange.until.ends_with_stream:
            response = bytes(self._buffer or b"")
            now = self._commons.now()
            if not response:
                self._first_byte = now
            self._complete(exchange, response, len(response), now, "the service closed it")
        else:
            self._break("closed", "the service closed the connection")

    def connection_lost(self, error: Exception | None) -> None:
        self._commons.left(self)
        if isinstance(error, ssl.SSLError):
            self._break("tls", f"TLS failed ({error.reason or error})")
        elif error is not None:
            self._break("reset", f"the connection was lost ({error})")
        else:
            self._break("closed", "the service closed the connection")

    def pause_writing(self) -> None:
        self._is_sending = True

    def resume_writing(self) -> None:
        self._is_sending = False
        exchange = self.exchange
        if exchange is not None:
            exchange.written = self._commons.now()
            if not exchange.until.reads:
                self._sent(exchange)

    # What follows is off the common path.

    def _sent(self, exchange: Exchange) -> None:
        """All of a request without response was taken."""
        if self.exchange is exchange and not self._is_sending:
            self._first_byte = exchange.written
            self._complete(exchange, b"", 0, exchange.written)

    def _complete(self, exchange: Exchange, response: bytes, size: int, now: float, doubt: str = "") -> None:
        self.exchange = None
        self._buffer = None
        if self._is_sending:
            doubt = "the service answered before it had read the whole request"
        if doubt:
            self.abort(doubt)
        exchange.answered(response, size, self._first_byte, now)

    def _unasked(self, data: bytes) -> None:
        """Nobody asked for this: the next response could be anyone's."""
        if self.transport is None:
            return  # read before it was closed
        self._meters.count("unread-bytes", len(data))
        why = f"the service sent {len(data)} bytes that no request had asked for"
        exchange = self.exchange
        if exchange is None:
            self.abort(why)
        elif not self._is_sending:
            # All of the payload is taken, and only that counts for a request without response.
            self._first_byte = exchange.written
            self._complete(exchange, b"", 0, exchange.written, why)
        else:
            self._fail(StepError("closed", f"{why} before all of it was sent"))

    def _arm(self, at: float) -> None:
        """One timer for all exchanges: it is set anew when it fires too early, not for each of them."""
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at
        self._timer = self._commons.wheel.call_at(at, self._look_at_the_clock)

    def _look_at_the_clock(self) -> None:
        self._timer = None
        self._timer_at = inf
        exchange = self.exchange
        if exchange is None:
            return
        if self._commons.now() < exchange.deadline:
            self._arm(exchange.deadline)
            return
        came = len(self._buffer or b"")
        self._fail(
            StepError(
                "timeout",
                f"no {exchange.until.awaited} from {self._commons.where} within {exchange.timeout:g} s; "
                f"{came} bytes came",
            )
        )

    def _break(self, kind: str, what: str) -> None:
        if self.exchange is None:
            self.abort(what)
            return
        place = "in the middle of" if self._buffer else "before"
        self._fail(StepError(kind, f"{self._commons.where}: {what} {place} the response"))

    def _too_large(self) -> None:
        limit = self._commons.max_response
        self._fail(
            StepError(
                "too-large",
                f"a response from {self._commons.where} exceeds the {limit} bytes of max_response",
            )
        )

    def _fail(self, error: StepError) -> None:
        exchange, self.exchange = self.exchange, None
        received = len(self._buffer or b"")
        self.abort(str(error))
        if exchange is not None:
            exchange.failed(error, received)

    def _release(self, why: str) -> asyncio.Transport | None:
        """What is left to be closed; the seat is free for another connection."""
        transport, self.transport = self.transport, None
        self._buffer = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._timer_at = inf
        if transport is not None:
            self._home.lost(self, why)
        return transport
