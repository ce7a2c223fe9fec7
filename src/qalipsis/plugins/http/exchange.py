"""One connection: a request goes out, its response comes in, and nothing is ever taken for anything else."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from math import inf
from typing import Protocol, cast

from qalipsis.clock import TimerHandle
from qalipsis.engine.step import StepError, Wheel
from qalipsis.plugins.http.answer import HEAD_END, Answer, ProtocolViolation
from qalipsis.plugins.http.connect import Timings
from qalipsis.plugins.http.content import TooLarge
from qalipsis.plugins.http.message import REDIRECTS
from qalipsis.plugins.http.upload import Upload

MAX_KNOWN_HEADS = 64
"""Heads differ every second through their date, and with some servers from response to response."""

MAX_SPARE_ANSWERS = 64

Known = tuple[int, int]
"""Status, and bytes of head and body together."""


class Sender(Protocol):
    """The request that a connection serves; it is told exactly one of the last three."""

    deadline: float
    read_timeout: float
    written: float
    bytes_sent: int

    def answered(
        self,
        connection: Connection,
        status: int,
        head: bytes,
        body: bytes,
        size: int,
        first_byte: float,
        done: float,
    ) -> None:
        """The common case: a response with nothing in its head to act upon, on a connection that stays."""

    def received(self, connection: Connection, answer: Answer, now: float) -> None:
        """Every other complete response. The answer is valid during the call."""

    def failed(self, error: BaseException, bytes_received: int) -> None:
        """There will be no response; the connection is closed."""


class Home(Protocol):
    """Where a connection lives between two requests."""

    def freed(self, connection: Connection) -> None:
        """It may serve another request."""

    def lost(self, connection: Connection) -> None:
        """It is closed; called once."""


class Commons:
    """What the connections of one client share."""

    def __init__(self, now: Callable[[], float], wheel: Wheel, max_body: int) -> None:
        self.now = now
        self.wheel = wheel
        self.max_body = max_body
        self.heads: dict[bytes, Known] = {}
        """Heads seen before that say nothing but a length: with them a response is parsed by one look-up.

        A request takes 1.9 µs of interpreter then, and 4.2 µs with httptools; a head that is always new
        adds 0.1 µs.
        """
        self._answers: list[Answer] = []

    def answer(self, is_head_only: bool = False) -> Answer:
        """One that was used before, if there is one: making a parser takes a microsecond."""
        answer = self._answers.pop() if self._answers else Answer(self.max_body)
        answer.expect(is_head_only)
        return answer

    def recycle(self, answer: Answer) -> None:
        """Only when its parser is clean."""
        if len(self._answers) < MAX_SPARE_ANSWERS:
            self._answers.append(answer)
        else:
            answer.close()

    def remember(self, head: bytes, status: int, size: int) -> None:
        """Every response with this head is of this size, and its head asks for nothing."""
        if len(self.heads) >= MAX_KNOWN_HEADS:
            self.heads.clear()
        self.heads[head] = status, size


class Connection(asyncio.Protocol):
    """Serves one request at a time. It is free while `request` is None; once closed it never serves again."""

    __slots__ = (
        "_answer",
        "_commons",
        "_heads",
        "_now",
        "_timer",
        "_touched",
        "_upload",
        "home",
        "origin",
        "request",
        "timer_at",
        "timings",
        "transport",
    )

    def __init__(self, commons: Commons, origin: tuple[str, str, int], home: Home) -> None:
        self._commons = commons
        self._heads = commons.heads
        self._now = commons.now
        self._answer: Answer | None = None
        self._timer: TimerHandle | None = None
        self._touched = 0.0
        """When the last piece of a response that comes in several was read."""
        self._upload: Upload | None = None
        self.home = home
        self.origin = origin
        self.request: Sender | None = None
        self.timer_at = inf
        self.timings: Timings | None = None
        """What opening it took, until the first request has taken note."""
        self.transport: asyncio.Transport | None = None

    @property
    def is_open(self) -> bool:
        return self.transport is not None

    def send(self, request: Sender, wire: bytes, patience_until: float) -> None:
        """Send a request that fits into one write; look at the clock at `patience_until` at the latest."""
        self.request = request
        if patience_until < self.timer_at:
            self.arm(patience_until)
        self.transport.write(wire)  # type: ignore[union-attr]
        request.written = self._now()

    def send_head_request(self, request: Sender, wire: bytes, patience_until: float) -> None:
        """As `send`, for a request whose response has no body whatever its head says."""
        self._answer = self._commons.answer(is_head_only=True)
        self.send(request, wire, patience_until)

    def send_upload(self, request: Sender, upload: Upload, patience_until: float) -> None:
        """Send a request with a body that takes more than one write, or must wait for 100 Continue."""
        self._answer = self._commons.answer()
        self._upload = upload
        self.request = request
        if patience_until < self.timer_at:
            self.arm(patience_until)
        assert self.transport is not None
        upload.start(self.transport, self._uploaded)

    def arm(self, at: float) -> None:
        """One timer for all requests: it is set anew when it fires too early, not for each of them."""
        if self._timer is not None:
            self._timer.cancel()
        self.timer_at = at
        self._timer = self._commons.wheel.call_at(at, self._look_at_the_clock)

    def drop(self, request: Sender) -> None:
        """The request gave up; its response must not meet another one."""
        if self.request is request:
            self.request = None
            self.close()

    def close(self) -> None:
        """Close now. The home is told; a request under way must have been dealt with."""
        transport, self.transport = self.transport, None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._upload is not None:
            self._upload.stop()
            self._upload = None
        if self._answer is not None:
            self._answer.close()
            self._answer = None
        if transport is not None:
            transport.abort()
            self.home.lost(self)

    # What the transport calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        now = self._now()
        request = self.request
        if self._answer is None and request is not None:
            head = data[: data.find(HEAD_END) + 4]
            known = self._heads.get(head)
            if known is not None and known[1] == len(data):
                self.request = None
                request.answered(self, known[0], head, data[len(head) :], known[1], now, now)
                return
        self._receive(data, now)

    def eof_received(self) -> None:
        """The server will say no more: between two requests that is its good right."""
        answer = self._answer
        if self.request is not None and answer is not None and answer.feed_end():
            self._complete(answer, self._now())
        else:
            self._break("the server closed the connection")

    def connection_lost(self, error: Exception | None) -> None:
        if isinstance(error, ssl.SSLError):
            self._fail(StepError("tls", f"TLS failed: {error.reason or error}"))
        else:
            self._break(f"the connection was lost ({error})" if error else "the server closed the connection")

    def pause_writing(self) -> None:
        if self._upload is not None:
            self._upload.pause()

    def resume_writing(self) -> None:
        if self._upload is not None:
            self._upload.go_on()

    # What follows is off the common path.

    def _receive(self, data: bytes, now: float) -> None:
        if self.transport is None:
            return  # read before it was closed
        if self.request is None:
            self.close()  # nobody asked for this: the next response could be anyone's
            return
        answer = self._answer
        if answer is None:
            answer = self._answer = self._commons.answer()
        self._touched = now
        try:
            answer.feed(data, now)
        except ProtocolViolation as error:
            self._fail(StepError("protocol", str(error)))
        except TooLarge as error:
            self._fail(StepError("too-large", str(error)))
        else:
            if answer.is_complete:
                self._complete(answer, now)
            elif answer.told_to_continue and self._upload is not None:
                self._upload.allow()

    def _complete(self, answer: Answer, now: float) -> None:
        request, self.request, self._answer = self.request, None, None
        assert request is not None
        if self._upload is not None:
            # An answer before all was asked: it counts, but what of the body is on its way nobody knows.
            request.written = request.written or answer.first_byte
            self.close()
        elif answer.is_plain and answer.status not in REDIRECTS:
            status, head, body = answer.status, answer.head, answer.body
            size, first_byte = answer.received, answer.first_byte
            self._commons.recycle(answer)
            if size == len(head) + len(body):
                self._commons.remember(head, status, size)
            request.answered(self, status, head, body, size, first_byte, now)
            return
        elif not answer.keeps_alive or answer.has_excess:
            self.close()
        request.received(self, answer, now)
        if answer.is_clean and self.transport is not None:
            self._commons.recycle(answer)
        else:
            answer.close()

    def _uploaded(self, error: BaseException | None) -> None:
        """All of the body is written, or the author's iterator broke."""
        self._upload = None
        request = self.request
        if error is not None:
            self._fail(error)
        elif request is not None:
            request.written = self._touched = self._now()
            silent_until = self._touched + request.read_timeout
            if silent_until < self.timer_at:
                self.arm(silent_until)

    def _look_at_the_clock(self) -> None:
        self._timer = None
        self.timer_at = inf
        request = self.request
        if request is None:
            return
        now = self._now()
        # Sending a large body is no silence.
        silent_until = inf if self._upload else max(request.written, self._touched) + request.read_timeout
        patience_until = min(request.deadline, silent_until)
        if now < patience_until:
            self.arm(patience_until)
        elif now >= request.deadline:
            self._fail(StepError("timeout", "no complete response within the timeout"))
        else:
            self._fail(
                StepError("read-timeout", f"nothing came for {request.read_timeout:g} s, the read timeout")
            )

    def _break(self, what: str) -> None:
        if self.request is None:
            self.close()
            return
        answer = self._answer
        place = "in the middle of" if answer is not None and answer.received else "before"
        self._fail(StepError("reset", f"{what} {place} the response"))

    def _fail(self, error: BaseException) -> None:
        request, self.request = self.request, None
        received = 0 if self._answer is None else self._answer.received
        self.close()
        if request is not None:
            request.failed(error, received)
