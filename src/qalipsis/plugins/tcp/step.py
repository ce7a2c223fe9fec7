"""Turns requests over TCP into traffic: what the kinds `tcp.request` and `tcp.close` name."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from qalipsis.engine.builtin import on_value
from qalipsis.engine.reuse import CloseStep, Openers
from qalipsis.engine.step import BeginStep, ExecuteStep, Fenced, StepContext, StepError, StepRuntime, Strand
from qalipsis.engine.unavailable import unavailable
from qalipsis.errors import ConfigurationError
from qalipsis.language.payloads import payload_bytes
from qalipsis.metrics.ledger import Slot
from qalipsis.metrics.meters import StepMeters
from qalipsis.plugins.tcp.agent import Agent, agent_of
from qalipsis.plugins.tcp.exchange import Connection
from qalipsis.plugins.tcp.response import Response
from qalipsis.plugins.tcp.seat import Seat
from qalipsis.plugins.tcp.spec import CloseSpec, RequestSpec, TcpClient
from qalipsis.plugins.tcp.until import Exactly, Until

PLUGIN = "tcp"

ATTEMPTED = int(Slot.REQUESTS_ATTEMPTED)
OK = int(Slot.REQUESTS_OK)
ERROR = int(Slot.REQUESTS_ERROR)


def open_request(spec: RequestSpec[Any]) -> BeginStep:
    """What the registry calls for each request of a plan."""
    return ReuseStep(spec) if spec.client is None else ConnectStep(spec, spec.client)  # type: ignore[return-value]


def open_close(spec: CloseSpec[Any]) -> ExecuteStep:
    """What the registry calls for each step that closes a connection."""
    return CloseStep(spec, PLUGIN, "connection")


class RequestStep:
    """One request of a scenario in one worker."""

    agent: Agent | None = None
    timeout: float

    def __init__(self, spec: RequestSpec[Any]) -> None:
        self._spec = spec
        self._payload: bytes | None = None
        self._find_payload: Callable[[Any], Any] | None = None
        if callable(spec.payload):
            self._find_payload = on_value(spec.payload)
        else:
            self._payload = payload_bytes(spec.payload)
        self._until: Until = spec.until.settled()
        self._find_size: Callable[[Any], Any] | None = None
        if isinstance(self._until, Exactly) and callable(self._until.number):
            self._find_size = on_value(self._until.number)

    async def open(self, runtime: StepRuntime) -> None:
        self.counts = runtime.ledger.counts
        self.lease = runtime.ledger.lease
        self.meters: StepMeters = runtime.meters
        self.index = runtime.meters.index
        self.record = runtime.worker_meters.records.add
        self.now = runtime.clock.now
        self.offset = runtime.clock.epoch(0.0)

    def begin(self, context: StepContext, strand: Strand) -> Request:
        seat: Seat | None = context.minion.resources.get(self.agent)  # type: ignore[assignment]
        connection = None if seat is None else seat.connection
        if connection is None or connection.exchange is not None:
            return self.begin_otherwise(context, strand)
        request = self.request(context, strand, seat)  # type: ignore[arg-type]
        request.serve(connection)
        return request

    def begin_otherwise(self, context: StepContext, strand: Strand) -> Request:
        """No connection, or one that is in use."""
        raise NotImplementedError

    def request(self, context: StepContext, strand: Strand, seat: Seat) -> Request:
        """What to send and what to wait for, from the author's functions."""
        payload = self._payload
        if payload is None:
            payload = payload_bytes(self._find_payload(context))  # type: ignore[misc]
            if not payload and not self._until.reads:
                raise ValueError("the payload is empty and until=tcp.nothing(): there is nothing to do")
        until = self._until
        if self._find_size is not None:
            until = Exactly(self._find_size(context)).checked()
        return Request(self, strand, seat, payload, until, context.due, self.timeout)

    def busy(self) -> StepError:
        """Two requests on one connection: their responses could not be told apart."""
        return StepError(
            "busy",
            "a concurrent branch of this minion uses the connection; give each branch a client of its own",
        )

    async def aclose(self) -> None:
        if self.agent is not None:
            await self.agent.aclose()


class ConnectStep(RequestStep):
    """A request of a client: it connects when the minion has no connection."""

    agent: Agent

    def __init__(self, spec: RequestSpec[Any], client: TcpClient) -> None:
        super().__init__(spec)
        self._client = client

    async def open(self, runtime: StepRuntime) -> None:
        await super().open(runtime)
        try:
            self.agent = agent_of(self._client, runtime.shared, runtime.clock, runtime.wheel)
        except ConfigurationError as error:
            raise ConfigurationError(f"{self._client.location}: {error}") from error
        own = self._spec.timeout_seconds()
        self.timeout = self.agent.settings.timeout if own is None else own
        Openers.of(runtime, PLUGIN).opens(runtime.meters.name, self.agent)

    async def reach(self) -> None:
        """See before the start that somebody listens; nothing is sent. Steps of the same client ask once."""
        try:
            await self.agent.reach()
        except StepError as error:
            raise unavailable(error, self._client.location, self._client) from error

    def connections(self, minions: int) -> dict[tuple[str, int], int]:
        settings = self._client.settings()
        return {(settings.host, settings.port): minions}

    def begin_otherwise(self, context: StepContext, strand: Strand) -> Request:
        seat = self.agent.seat(context.minion)
        if seat.is_busy:
            raise self.busy()
        request = self.request(context, strand, seat)
        request.connect(self.agent)
        return request


class ReuseStep(RequestStep):
    """A request over the connection that another step opened."""

    async def open(self, runtime: StepRuntime) -> None:
        await super().open(runtime)
        self._openers: Openers[Agent] = Openers.of(runtime, PLUGIN)
        self._openers.follows(runtime.meters.name, self._spec.step)

    def begin_otherwise(self, context: StepContext, strand: Strand) -> Request:
        name = self._spec.step
        if self.agent is None:
            # Looked for when first used: in a journey, the other step opens when it is first used as well.
            self.agent = self._openers.behind(name)
            if self.agent is not None:
                own = self._spec.timeout_seconds()
                self.timeout = self.agent.settings.timeout if own is None else own
        seat: Seat | None = context.minion.resources.get(self.agent)  # type: ignore[assignment]
        if self.agent is None or seat is None:
            raise StepError(
                "not-connected",
                f"the step {name!r} opened no connection for this minion; let it come before this one",
            )
        if seat.is_busy:
            raise self.busy()
        if seat.connection is None:
            why = seat.why_closed or "it could not be opened"
            raise StepError("not-connected", f"the connection of the step {name!r} is closed: {why}")
        request = self.request(context, strand, seat)
        request.serve(seat.connection)
        return request


class Request(Struct, gc=False):
    """One execution of a step until its strand goes on."""

    step: RequestStep
    strand: Strand
    seat: Seat
    payload: bytes
    until: Until
    due: float
    timeout: float
    deadline: float = 0.0
    sent: float = 0.0
    written: float = 0.0
    connection: Connection | None = None
    task: asyncio.Task[None] | None = None

    @property
    def meters(self) -> StepMeters:
        return self.step.meters

    def serve(self, connection: Connection) -> None:
        """Send on a free connection. Raises StepError, without touching it, when nothing may be sent."""
        step = self.step
        now = step.now()
        if now > step.lease[0]:
            raise Fenced
        step.counts[ATTEMPTED] += 1
        self.connection = connection
        self.sent = now
        self.deadline = now + self.timeout
        connection.send(self, self.payload)

    def connect(self, agent: Agent) -> None:
        """Open a connection, then send."""
        self.seat.opener = self
        self.task = agent.spawn(self._connect(agent))

    # What the engine calls.

    def cancel(self) -> None:
        connection = self.connection
        if connection is None:
            if self.seat.opener is self:
                self.seat.opener = None
            if self.task is not None:
                self.task.cancel()
        elif connection.exchange is self:
            self._count_error("cancelled", 0)
            connection.drop(self)

    # What the connection calls.

    def connected(self, connection: Connection) -> None:
        self.seat.opener = None
        self.connection = connection
        try:
            self.serve(connection)
        except StepError as error:
            self.strand.fail(error)

    def answered(self, response: bytes, size: int, first_byte: float, done: float) -> None:
        step = self.step
        step.counts[OK] += 1
        bytes_sent = len(self.payload)
        step.record(step.index, 0, self.due, self.sent, self.written, first_byte, done, bytes_sent, size)
        self.strand.resume(
            Response(self.until.body(response), self.due, self.sent, done, bytes_sent, size, step.offset)
        )

    def failed(self, error: StepError, bytes_received: int) -> None:
        self._count_error(error.kind, bytes_received)
        self.strand.fail(error)

    async def _connect(self, agent: Agent) -> None:
        try:
            await agent.connect(self.seat, self, self.step.meters)
        except Exception as error:
            if self.connection is None:  # else the connection has told, and lived too shortly
                self.seat.opener = None
                self.seat.why_closed = str(error)
                self.step.meters.failure(error.kind if isinstance(error, StepError) else type(error).__name__)
                self.strand.fail(error)
        finally:
            self.task = None

    def _count_error(self, kind: str, bytes_received: int) -> None:
        step = self.step
        step.counts[ERROR] += 1
        step.meters.failure(kind)
        step.meters.bytes(len(self.payload), bytes_received)
