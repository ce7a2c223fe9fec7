"""Turns datagrams into traffic: what the kinds `udp.request` and `udp.close` name."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from msgspec import Struct

from qalipsis.engine.builtin import on_value
from qalipsis.engine.reuse import CloseStep, Openers
from qalipsis.engine.step import BeginStep, ExecuteStep, Fenced, StepContext, StepError, StepRuntime, Strand
from qalipsis.errors import ServiceUnavailable
from qalipsis.language.payloads import payload_bytes
from qalipsis.metrics.ledger import Slot
from qalipsis.metrics.meters import StepMeters
from qalipsis.plugins.udp.agent import Agent
from qalipsis.plugins.udp.exchange import DatagramSocket, send_failure
from qalipsis.plugins.udp.response import Response
from qalipsis.plugins.udp.seat import Seat
from qalipsis.plugins.udp.spec import CloseSpec, RequestSpec, UdpClient

PLUGIN = "udp"

ATTEMPTED = int(Slot.REQUESTS_ATTEMPTED)
OK = int(Slot.REQUESTS_OK)
ERROR = int(Slot.REQUESTS_ERROR)


def open_request(spec: RequestSpec[Any]) -> BeginStep:
    """What the registry calls for each request of a plan."""
    return ReuseStep(spec) if spec.client is None else ClientStep(spec, spec.client)  # type: ignore[return-value]


def open_close(spec: CloseSpec[Any]) -> ExecuteStep:
    """What the registry calls for each step that closes a socket."""
    return CloseStep(spec, PLUGIN, "socket")


class RequestStep:
    """One kind of datagram of a scenario in one worker."""

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

    async def open(self, runtime: StepRuntime) -> None:
        self.counts = runtime.ledger.counts
        self.lease = runtime.ledger.lease
        self.meters: StepMeters = runtime.meters
        self.index = runtime.meters.index
        self.record = runtime.worker_meters.records.add
        self.now = runtime.clock.now
        self.offset = runtime.clock.epoch(0.0)

    def begin(self, context: StepContext, strand: Strand) -> Request:
        agent, seat = self.place(context)
        if seat.is_busy:
            raise StepError(
                "busy",
                "a concurrent branch of this minion uses the socket; give each branch a client of its own",
            )
        payload = self._payload
        if payload is None:
            payload = payload_bytes(self._find_payload(context))  # type: ignore[misc]
        spec = self._spec
        request = Request(self, strand, seat, payload, spec.answers, spec.matching, context.due, self.timeout)
        socket = seat.socket
        if socket is not None and socket.suits(request):
            request.serve(socket)
            return request
        address = agent.address()
        if address is None:
            request.find_address(agent)
        else:
            request.serve(agent.open(seat, address, self.meters))
        return request

    def place(self, context: StepContext) -> tuple[Agent, Seat]:
        """Whose socket it is. Raises StepError when there can be none."""
        raise NotImplementedError

    async def aclose(self) -> None:
        if self.agent is not None:
            await self.agent.aclose()


class ClientStep(RequestStep):
    """A datagram of a client: it opens a socket when the minion has none."""

    agent: Agent

    def __init__(self, spec: RequestSpec[Any], client: UdpClient) -> None:
        super().__init__(spec)
        self._client = client
        self.timeout = spec.timeout_seconds(client)

    async def open(self, runtime: StepRuntime) -> None:
        await super().open(runtime)
        agent = runtime.shared.get(self._client)
        if agent is None:
            agent = runtime.shared[self._client] = Agent(self._client, runtime)
        self.agent = agent
        Openers.of(runtime, PLUGIN).opens(runtime.meters.name, agent)

    async def reach(self) -> None:
        """See before the start that the name has an address; whether anybody listens, UDP does not tell."""
        try:
            await self.agent.find_address()
        except StepError as error:
            raise ServiceUnavailable(
                f"{self._client.location}: {self._client!r} cannot be reached: {error}\n"
                "    correct the client's address"
            ) from error

    def connections(self, minions: int) -> dict[tuple[str, int], int]:
        return {self._client.place(): minions}

    def place(self, context: StepContext) -> tuple[Agent, Seat]:
        return self.agent, self.agent.seat(context.minion)


class ReuseStep(RequestStep):
    """A datagram from the socket that another step opened."""

    async def open(self, runtime: StepRuntime) -> None:
        await super().open(runtime)
        self._openers: Openers[Agent] = Openers.of(runtime, PLUGIN)
        self._openers.follows(runtime.meters.name, self._spec.step)

    def place(self, context: StepContext) -> tuple[Agent, Seat]:
        agent = self.agent
        if agent is None:
            # Looked for when first used: in a journey, the other step opens when it is first used as well.
            agent = self.agent = self._openers.behind(self._spec.step)
            if agent is not None:
                self.timeout = self._spec.timeout_seconds(agent.client)
        seat: Seat | None = context.minion.resources.get(agent)  # type: ignore[assignment]
        if agent is None or seat is None or not (seat.is_open or seat.is_busy):
            raise StepError(
                "not-connected",
                f"the step {self._spec.step!r} opened no socket for this minion, or it was closed since; "
                "let that step come before this one",
            )
        return agent, seat


class Request(Struct, gc=False):
    """One execution of a step until its strand goes on."""

    step: RequestStep
    strand: Strand
    seat: Seat
    payload: bytes
    wanted: int
    matching: Callable[[bytes, bytes], object] | None
    due: float
    timeout: float
    deadline: float = 0.0
    sent: float = 0.0
    socket: DatagramSocket | None = None
    task: asyncio.Task[None] | None = None

    @property
    def meters(self) -> StepMeters:
        return self.step.meters

    def serve(self, socket: DatagramSocket) -> None:
        """Send from a free socket. Raises StepError when nothing may be sent, or nothing could."""
        step = self.step
        now = step.now()
        if now > step.lease[0]:
            raise Fenced
        step.counts[ATTEMPTED] += 1
        self.socket = socket
        self.sent = now
        self.deadline = now + self.timeout
        try:
            socket.send(self)
        except OSError as error:
            failure = send_failure(error, self.seat_address)
            self._count_error(failure.kind, 0, 0)
            raise failure from error

    @property
    def seat_address(self) -> str:
        agent = self.step.agent
        return "" if agent is None else agent.where

    def find_address(self, agent: Agent) -> None:
        """Look the address up, then send."""
        self.seat.opener = self
        self.task = agent.spawn(self._find_and_serve(agent))

    # What the engine calls.

    def cancel(self) -> None:
        if self.seat.opener is self:
            self.seat.opener = None
            if self.task is not None:
                self.task.cancel()
        elif self.socket is not None and self.socket.exchange is self:
            self._count_error("cancelled", len(self.payload), 0)
            self.socket.drop(self)

    # What the socket calls.

    def answered(self, answers: tuple[bytes, ...], first_byte: float, done: float) -> None:
        step = self.step
        step.counts[OK] += 1
        bytes_sent = len(self.payload)
        received = len(answers[0]) if self.wanted == 1 else sum(map(len, answers))
        sent = self.sent
        step.record(step.index, 0, self.due, sent, sent, first_byte, done, bytes_sent, received)
        self.strand.resume(Response(answers, self.due, sent, done, bytes_sent, received, step.offset))

    def failed(self, error: BaseException, bytes_received: int) -> None:
        kind = error.kind if isinstance(error, StepError) else type(error).__name__
        self._count_error(kind, len(self.payload), bytes_received)
        self.strand.fail(error)

    async def _find_and_serve(self, agent: Agent) -> None:
        try:
            address = await agent.find_address(self.step.meters)
            self.seat.opener = None
            self.serve(agent.open(self.seat, address, self.step.meters))
        except Exception as error:
            self.seat.opener = None
            if self.socket is None:  # else it is counted
                kind = error.kind if isinstance(error, StepError) else type(error).__name__
                self.step.meters.failure(kind)
            self.strand.fail(error)
        finally:
            self.task = None

    def _count_error(self, kind: str, bytes_sent: int, bytes_received: int) -> None:
        step = self.step
        step.counts[ERROR] += 1
        step.meters.failure(kind)
        step.meters.bytes(bytes_sent, bytes_received)
