"""Turns a request's description into traffic: the kind of step that `http.request` names."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from math import inf
from typing import Any

from msgspec import Struct

from qalipsis.engine.step import BeginStep, Fenced, StepContext, StepError, StepMinion, StepRuntime, Strand
from qalipsis.engine.unavailable import unavailable
from qalipsis.errors import ConfigurationError, ServiceUnavailable
from qalipsis.metrics.ledger import Slot
from qalipsis.metrics.meters import StepMeters
from qalipsis.plugins.http.agent import Agent
from qalipsis.plugins.http.answer import Answer
from qalipsis.plugins.http.connect import Timings
from qalipsis.plugins.http.content import TooLarge, decode
from qalipsis.plugins.http.cookies import CookieJar
from qalipsis.plugins.http.exchange import Connection
from qalipsis.plugins.http.message import REDIRECTS, Message, RequestTemplate, redirected
from qalipsis.plugins.http.pool import Origin, Seat, Supply
from qalipsis.plugins.http.response import Response, header_values
from qalipsis.plugins.http.spec import RequestSpec
from qalipsis.plugins.http.upload import CONTINUE_SECONDS, Upload
from qalipsis.plugins.http.url import Target

ATTEMPTED = int(Slot.REQUESTS_ATTEMPTED)
OK = int(Slot.REQUESTS_OK)
ERROR = int(Slot.REQUESTS_ERROR)

ONE_WRITE = 65_536
"""Bytes of a body that go out together with the head; what is longer is watched on its way."""


def open_step(spec: RequestSpec[Any]) -> BeginStep:
    """What the registry calls for each request of a plan."""
    return HttpStep(spec)


class HttpStep:
    """One request of a scenario in one worker."""

    __slots__ = (
        "_first_look",
        "_home",
        "_message",
        "_spec",
        "_template",
        "_timeout",
        "_wire",
        "agent",
        "counts",
        "follows",
        "index",
        "lease",
        "meters",
        "now",
        "offset",
        "read_timeout",
        "record",
        "wheel",
    )

    agent: Agent
    counts: memoryview[int]
    index: int
    lease: memoryview[float]
    meters: StepMeters
    now: Callable[[], float]
    offset: float
    record: Callable[[int, int, float, float, float, float, float, int, int], None]

    def __init__(self, spec: RequestSpec[Any]) -> None:
        self._spec = spec
        settings = spec.client.settings()
        own_timeout = spec.timeout_seconds()
        self._timeout = settings.timeout if own_timeout is None else own_timeout
        self.read_timeout = inf if settings.read_timeout is None else settings.read_timeout
        self._first_look = min(self._timeout, self.read_timeout)
        self.follows = settings.follow_redirects
        self._template = RequestTemplate(spec)
        self._message: Message | None = None
        self._home: Target | None = None
        self._wire = b""
        """The whole request, when it is always the same and asks for nothing special; else empty."""

    @property
    def is_warmed_up(self) -> bool:
        """True when the author wants `warm_up` to be called."""
        return bool(self._spec.client.warm_up)

    async def open(self, runtime: StepRuntime) -> None:
        client = self._spec.client
        agent = runtime.shared.get(client)
        if agent is None:
            try:
                agent = Agent(client.settings(), runtime.clock, runtime.wheel)
            except ConfigurationError as error:
                raise ConfigurationError(f"{self._spec.client.location}: {error}") from error
            runtime.shared[client] = agent
        self.agent = agent
        self.counts = runtime.ledger.counts
        self.lease = runtime.ledger.lease
        self.meters = runtime.meters
        self.index = runtime.meters.index
        self.record = runtime.worker_meters.records.add
        self.now = runtime.clock.now
        self.wheel = runtime.wheel
        self.offset = runtime.clock.epoch(0.0)
        if self._template.static:
            # Nothing of it depends on a context, so it needs none.
            message = self._message = self._template.fill(None)  # type: ignore[arg-type]
            is_simple = message.method != "HEAD" and not message.expect_continue
            body = message.body or b""
            if is_simple and self._is_home(message.target) and isinstance(body, bytes):
                self._wire = agent.head(message) + body if len(body) <= ONE_WRITE else b""

    async def reach(self) -> None:
        """See before the start that the client's target can be connected to; no request is sent.

        Raises ServiceUnavailable. Steps of the same client ask once.
        """
        try:
            await self.agent.reach()
        except StepError as error:
            raise unavailable(error, self._spec.client.location, self._spec.client) from error

    async def warm_up(self, minions: Sequence[StepMinion]) -> None:
        """Raises ServiceUnavailable when a connection cannot be opened."""
        try:
            await self.agent.warm_up(list(minions), self.meters)
        except* StepError as group:
            error = group.exceptions[0]
            client = self._spec.client
            raise ServiceUnavailable(
                f"{client.location}: {client!r} cannot be connected to for every minion: {error}"
            ) from error

    def connections(self, minions: int) -> dict[tuple[str, int], int]:
        settings = self._spec.client.settings()
        count = min(minions, settings.pool_size) if settings.connections == "pool" else minions
        proxy = settings.proxy
        target = settings.target if proxy is None else proxy
        return {(target.host, target.port): count}

    def begin(self, context: StepContext, strand: Strand) -> Request:
        wire = self._wire
        seat: Seat | None = context.minion.resources.get(self.agent)  # type: ignore[assignment]
        if not wire or seat is None or seat.jar is not None:
            return self._begin(context, strand)
        connection = seat.connection
        if connection is None or connection.request is not None:
            return self._begin(context, strand)
        # The common case, spelt out: the same as Request.serve.
        now = self.now()
        if now > self.lease[0]:
            raise Fenced
        self.counts[ATTEMPTED] += 1
        request = Request(
            self, strand, seat, self._message, context.due, now + self._timeout,  # type: ignore[arg-type]
            self.read_timeout, now, now, len(wire), connection,
        )  # fmt: skip
        timings = connection.timings
        if timings is not None:
            request.timings = timings
            connection.timings = None
        connection.send(request, wire, now + self._first_look)
        return request

    async def aclose(self) -> None:
        await self.agent.aclose()

    def _begin(self, context: StepContext, strand: Strand) -> Request:
        """Every other case: no connection yet, cookies, a message of its own for each execution."""
        seat = self.agent.seat(context.minion)
        message = self._message
        if message is None:
            message = self._template.fill(context)
        now = self.now()
        jar = seat.jar
        if jar is not None:
            cookies = jar.header(message.target, message.path, now + self.offset)
            if cookies is not None:
                message = message.with_cookies(cookies)
        request = Request(self, strand, seat, message, context.due, now + self._timeout, self.read_timeout)
        connection = seat.connection
        if connection is not None and connection.request is None and self._is_home(message.target):
            request.serve(connection)
        else:
            request.obtain()
        return request

    def _is_home(self, target: Target) -> bool:
        """True for the client's own target, which nearly every message of a template has as one object."""
        if target is self._home:
            return True
        if target.origin != self.agent.origin:
            return False
        self._home = target
        return True


class Request(Struct, gc=False):
    """One execution of a step until its strand goes on: usually one message, several with redirects."""

    step: HttpStep
    strand: Strand
    seat: Seat
    message: Message
    due: float
    deadline: float
    read_timeout: float
    sent: float = 0.0
    """When the first byte of the first message was handed over."""
    written: float = 0.0
    bytes_sent: int = 0
    connection: Connection | None = None
    timings: Timings | None = None
    hops: int = 0
    first_written: float = 0.0
    """`written` of the first message, once a redirect is followed: what came after it is waiting."""
    task: asyncio.Task[None] | None = None
    is_over: bool = False

    @property
    def origin(self) -> Origin:
        return self.message.target.origin

    # What the engine calls.

    def cancel(self) -> None:
        connection = self.connection
        if connection is None:
            self.is_over = True
            if self.task is not None:
                self.task.cancel()
        elif connection.request is self:
            self.count_error("cancelled", 0)
            connection.drop(self)

    # What the supply of connections calls.

    def obtain(self) -> None:
        """Get a connection and send. Raises StepError when nothing may be sent."""
        self.step.agent.supply(self.seat, self.origin).obtain(self)

    def serve(self, connection: Connection) -> None:
        step = self.step
        message = self.message
        now = step.now()
        if now > step.lease[0]:
            raise Fenced
        step.counts[ATTEMPTED] += 1
        self.connection = connection
        if not self.hops:
            self.sent = now
        if connection.timings is not None:
            self.timings, connection.timings = connection.timings, None
        look = self.deadline
        if now + self.read_timeout < look:
            look = now + self.read_timeout
        head, body = step.agent.head(message), message.body
        if body is None:
            body = b""
        elif type(body) is not bytes or len(body) > ONE_WRITE or message.expect_continue:
            self.bytes_sent = 0
            self.written = 0.0
            waits_until = now + CONTINUE_SECONDS if message.expect_continue else None
            connection.send_upload(self, Upload(head, body, self, step.wheel, waits_until), look)
            return
        self.bytes_sent = len(head) + len(body)
        if message.method == "HEAD":
            connection.send_head_request(self, head + body, look)
        else:
            connection.send(self, head + body, look)

    def serve_late(self, connection: Connection) -> bool:
        try:
            self.serve(connection)
        except StepError as error:
            self.is_over = True
            self.strand.fail(error)
            return False
        return True

    def connect(self, supply: Supply) -> None:
        def ended(task: asyncio.Task[None]) -> None:
            if task.cancelled():  # perhaps before it did anything at all
                supply.missed()

        self.task = self.step.agent.spawn(self.connect_and_serve(supply))
        self.task.add_done_callback(ended)

    async def connect_and_serve(self, supply: Supply) -> None:
        step = self.step
        try:
            connection = await step.agent.connect(
                self.message.target, supply, step.meters, self.deadline - step.now()
            )
        except Exception as error:
            supply.missed()
            self.give_up(error)
            return
        finally:
            self.task = None
        if not connection.is_open:
            self.give_up(StepError("reset", "the server closed the connection as soon as it was open"))
            return
        supply.added(connection)
        if not self.serve_late(connection):
            supply.freed(connection)

    def give_up(self, error: Exception) -> None:
        self.is_over = True
        self.step.meters.failure(error.kind if isinstance(error, StepError) else type(error).__name__)
        self.strand.fail(error)

    # What the connection calls.

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
        step = self.step
        step.counts[OK] += 1
        written = self.first_written if self.hops else self.written
        step.record(step.index, status, self.due, self.sent, written, first_byte, done, self.bytes_sent, size)
        if connection.home is not self.seat:
            connection.home.freed(connection)
        self.strand.resume(
            Response(
                status, head, body, self.message, self.due, self.sent, written, first_byte, done,
                self.bytes_sent, size, step.offset, self.timings,
            )
        )  # fmt: skip

    def received(self, connection: Connection, answer: Answer, now: float) -> None:
        step = self.step
        status, head, body, received = answer.status, answer.head, answer.body, answer.received
        first_byte = answer.first_byte
        settings = step.agent.settings
        if answer.is_encoded and settings.decompress:
            try:
                body = decode(body, b",".join(header_values(head, b"content-encoding")), settings.max_body)
            except TooLarge as error:
                self.failed(StepError("too-large", str(error)), received)
                return
            except ValueError as error:
                self.failed(StepError("protocol", str(error)), received)
                return
        step.counts[OK] += 1
        if answer.sets_cookies:
            self.keep_cookies(head, now)
        if connection.is_open:
            connection.home.freed(connection)
        if status in REDIRECTS and step.follows:
            locations = header_values(head, b"location")
            if locations:
                step.meters.hop(status, self.bytes_sent, received)
                self.follow(status, locations[0], now)
                return
        written = self.first_written if self.hops else self.written
        step.record(
            step.index, status, self.due, self.sent, written, first_byte, now, self.bytes_sent, received
        )
        self.strand.resume(
            Response(
                status, head, body, self.message, self.due, self.sent, written, first_byte, now,
                self.bytes_sent, received, step.offset, self.timings,
            )
        )  # fmt: skip

    def failed(self, error: BaseException, bytes_received: int) -> None:
        self.count_error(error.kind if isinstance(error, StepError) else type(error).__name__, bytes_received)
        self.strand.fail(error)

    # Off the common path.

    def follow(self, status: int, location: bytes, now: float) -> None:
        """Send the message that a redirect asks for."""
        self.connection = None
        if not self.hops:
            self.first_written = self.written
        self.hops += 1
        most = self.step.agent.settings.max_redirects
        try:
            if self.hops > most:
                raise StepError("redirects", f"more than {most} redirects, the last from {self.message.url}")
            try:
                self.message = redirected(self.message, status, location)
            except ValueError as error:
                raise StepError("redirects", str(error)) from error
            self.add_cookies(now)
            self.obtain()
        except StepError as error:
            self.is_over = True
            self.strand.fail(error)

    def add_cookies(self, now: float) -> None:
        jar = self.seat.jar
        if jar is not None:
            message = self.message
            header = jar.header(message.target, message.path, now + self.step.offset)
            if header is not None:
                self.message = message.with_cookies(header)

    def keep_cookies(self, head: bytes, now: float) -> None:
        jar = self.seat.jar
        if jar is None:
            jar = self.seat.jar = CookieJar()
        lines = header_values(head, b"set-cookie")
        jar.store(lines, self.message.target, self.message.path, now + self.step.offset)

    def count_error(self, kind: str, bytes_received: int) -> None:
        step = self.step
        step.counts[ERROR] += 1
        step.meters.failure(kind)
        step.meters.bytes(self.bytes_sent, bytes_received)
