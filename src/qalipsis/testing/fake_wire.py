"""The real HTTP step over connections that lead to a fake: all but the network is as in a campaign."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

import httptools

from qalipsis.clock import Clock, TimerHandle
from qalipsis.engine.step import StepRuntime
from qalipsis.plugins.http.agent import Agent
from qalipsis.plugins.http.connect import Timings
from qalipsis.plugins.http.spec import RequestSpec
from qalipsis.plugins.http.step import HttpStep
from qalipsis.plugins.http.url import Target
from qalipsis.testing.fake_http import FakeHttp, FakeRequest, FakeResponse
from qalipsis.testing.stage import Stage

P = TypeVar("P", bound=asyncio.Protocol)


class FakeService:
    """A fake in one run."""

    def __init__(self, fake: FakeHttp, stage: Stage) -> None:
        self._fake = fake
        self._stage = stage
        self._requests = 0

    def answer(
        self, target: Target, method: str, raw_url: str, head: bytes, body: bytes
    ) -> FakeResponse | None:
        """What the fake answers; None when it broke."""
        parts = urlsplit(raw_url)
        request = FakeRequest(
            method=method,
            url=raw_url if parts.scheme else f"{target.scheme}://{target.host_header}{raw_url}",
            path=unquote(parts.path) or "/",
            query=dict(parse_qsl(parts.query, keep_blank_values=True)),
            raw_head=head,
            body=body,
            at=self._stage.seconds,
            number=self._requests,
        )
        self._requests += 1
        self._fake.requests += 1
        try:
            response: Any = self._fake.answer(request)
        except Exception as error:
            self._stage.broke(error)
            return None
        if not isinstance(response, FakeResponse):
            self._stage.broke(TypeError(f"a fake answers with fake_response(…), not with {response!r}"))
            return None
        return response


class FakeWire(asyncio.Transport):
    """One connection: what is written comes to the service, its answers come back in order."""

    def __init__(
        self, service: FakeService, target: Target, protocol: asyncio.Protocol, clock: Clock
    ) -> None:
        super().__init__()
        self._service = service
        self._target = target
        self._protocol = protocol
        self._clock = clock
        self._timer: TimerHandle | None = None
        self._is_closed = False
        self._is_complete = False
        self._expects_more = False
        self._parser = httptools.HttpRequestParser(self)
        self._forget()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._is_closed:
            return
        self._parser.feed_data(data)
        if self._expects_more:
            self._expects_more = False
            asyncio.get_running_loop().call_soon(self._deliver, b"HTTP/1.1 100 Continue\r\n\r\n")
        if self._is_complete:
            self._serve()

    def abort(self) -> None:
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()

    close = abort

    def is_closing(self) -> bool:
        return self._is_closed

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass  # the service reads at once whatever is written

    # What the parser calls.

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._head += b"\r\n%b: %b" % (name, value)
        if name.lower() == b"expect":
            self._expects_more = True

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        self._is_complete = True

    def _forget(self) -> None:
        self._url, self._head, self._body = b"", bytearray(), bytearray()

    def _serve(self) -> None:
        self._is_complete = self._expects_more = False
        method = self._parser.get_method().decode()
        response = self._service.answer(
            self._target, method, self._url.decode("latin-1"), bytes(self._head), bytes(self._body)
        )
        self._forget()
        if response is None:
            self._later(0.0, self._break)
        elif response.is_silent:
            return
        elif response.head is None:
            self._later(response.after, self._break)
        else:
            wire = response.wire(method)
            self._later(response.after, lambda: self._deliver(wire))

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        """Act so much later, never from within the call that wrote the request."""
        at = self._clock.now() + seconds

        def fire() -> None:
            if self._clock.now() < at:  # a real loop's timers are up to a millisecond early
                self._timer = self._clock.call_at(at, fire)
            else:
                act()

        self._timer = self._clock.call_at(at, fire)

    def _deliver(self, data: bytes) -> None:
        if not self._is_closed:
            self._protocol.data_received(data)

    def _break(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._protocol.connection_lost(ConnectionResetError("reset by the fake"))


class FakeConnector:
    """Every target is the fake; connecting takes no time."""

    def __init__(self, service: FakeService, clock: Clock) -> None:
        self._service = service
        self._clock = clock

    async def open(self, target: Target, make: Callable[[], P], patience: float) -> tuple[P, Timings]:
        protocol = make()
        protocol.connection_made(FakeWire(self._service, target, protocol, self._clock))
        return protocol, Timings(0.0, 0.0, 0.0)

    async def aclose(self) -> None: ...


class FakeHttpStep(HttpStep):
    """The real step of a request; only the connections of its client are fake."""

    __slots__ = ("_service",)

    def __init__(self, spec: RequestSpec[Any], service: FakeService) -> None:
        super().__init__(spec)
        self._service = service

    async def open(self, runtime: StepRuntime) -> None:
        client = self._spec.client
        if client not in runtime.shared:
            connector = FakeConnector(self._service, runtime.clock)
            runtime.shared[client] = Agent(client.settings(), runtime.clock, runtime.wheel, connector)
        await super().open(runtime)

    def connections(self, minions: int) -> dict[tuple[str, int], int]:
        return {}  # no descriptor, no port
