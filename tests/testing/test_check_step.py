"""The suite for steps: it passes on the steps of this project, and names what a bad one does wrong."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from qalipsis.engine.step import StepContext, StepError, StepRuntime
from qalipsis.engine.traffic import Traffic
from qalipsis.language.spec import Spec
from qalipsis.metrics.ledger import Slot
from qalipsis.plugins import http
from qalipsis.plugins.http.step import open_step as open_http
from qalipsis.testing import check_step


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while await reader.readuntil(b"\r\n\r\n"):
            await asyncio.sleep(0.002)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhere")
            await writer.drain()
    except (EOFError, ConnectionError):
        pass
    finally:
        writer.close()


@pytest.mark.parametrize("connections", ["per-minion", "pool", "on-demand"])
async def test_the_http_step_keeps_its_promise(connections: Any) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            client = http.client(url, connections=connections)
            await check_step(
                open_http,
                client.get(lambda value: f"/{value}"),
                input="page",
                expects=lambda response: response.text == "here",
                failing=http.client(f"http://127.0.0.1:{closed.getsockname()[1]}").get("/"),
                wrong=[client.get("/", timeout="-1s"), http.client("shop.example").get("/")],
                drivers=["httptools", "uvloop"],
            )


@dataclass(frozen=True, eq=False)
class Echo(Spec[Any, Any]):
    kind: ClassVar[str] = "test.echo"
    trouble: str = ""

    def problems(self) -> list[str]:
        return ["write trouble in lower case"] if self.trouble.isupper() else []


class EchoStep:
    """A step that keeps its promises, and the base of those that break one."""

    def __init__(self, spec: Echo) -> None:
        self.spec = spec

    async def open(self, runtime: StepRuntime) -> None:
        self.traffic = Traffic(runtime)
        self.runtime = runtime

    async def execute(self, context: StepContext) -> Any:
        return await self.traffic.request(lambda: self.answer(context))

    async def answer(self, context: StepContext) -> Any:
        await asyncio.sleep(0.001)
        if self.spec.trouble:
            raise StepError("trouble", f"there is {self.spec.trouble}")
        return context.value

    async def aclose(self) -> None: ...


async def test_a_good_step_passes() -> None:
    await check_step(EchoStep, Echo(), input=7, expects=7, failing=Echo("trouble"), wrong=[Echo("TROUBLE")])


class Slow(EchoStep):
    async def answer(self, context: StepContext) -> Any:
        await asyncio.sleep(60)


class SlowToOpen(EchoStep):
    async def open(self, runtime: StepRuntime) -> None:
        await asyncio.sleep(60)


class Unbalanced(EchoStep):
    async def execute(self, context: StepContext) -> Any:
        self.runtime.ledger.counts[Slot.REQUESTS_ATTEMPTED] += 1
        return await self.answer(context)


class UnbalancedWhenCancelled(EchoStep):
    async def execute(self, context: StepContext) -> Any:
        self.runtime.ledger.counts[Slot.REQUESTS_ATTEMPTED] += 1
        output = await self.answer(context)
        self.runtime.ledger.counts[Slot.REQUESTS_OK] += 1
        return output


class Swallowing(EchoStep):
    async def execute(self, context: StepContext) -> Any:
        try:
            return await super().execute(context)
        except asyncio.CancelledError as error:
            raise StepError("cancelled", "somebody cancelled it") from error


class Deaf(EchoStep):
    async def answer(self, context: StepContext) -> Any:
        try:
            await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            await asyncio.sleep(0.8)
        return context.value


class Forgetful(EchoStep):
    async def answer(self, context: StepContext) -> Any:
        try:
            await asyncio.sleep(0.01)
        except asyncio.CancelledError:
            return context.value
        return context.value


class Leaking(EchoStep):
    async def open(self, runtime: StepRuntime) -> None:
        await super().open(runtime)
        self.task = asyncio.create_task(asyncio.sleep(2))


kept_open: list[socket.socket] = []


class LeakingSockets(EchoStep):
    async def answer(self, context: StepContext) -> Any:
        kept_open.append(socket.socket())
        return await super().answer(context)


class ClosedOnce(EchoStep):
    closed = False

    async def aclose(self) -> None:
        assert not self.closed, "closed before"
        self.closed = True


class Raw(EchoStep):
    async def answer(self, context: StepContext) -> Any:
        if self.spec.trouble:
            raise ConnectionRefusedError("nobody there")
        return await super().answer(context)


class Terse(EchoStep):
    async def answer(self, context: StepContext) -> Any:
        if self.spec.trouble:
            raise StepError("trouble")
        return await super().answer(context)


class Wrong(EchoStep):
    async def answer(self, context: StepContext) -> Any:
        return 8


class Begun:
    """The same with `begin`."""

    def __init__(self, spec: Echo) -> None:
        self.spec = spec

    async def open(self, runtime: StepRuntime) -> None:
        self.runtime = runtime

    def begin(self, context: Any, strand: Any) -> Any:
        counts, value, due = self.runtime.ledger.counts, context.value, context.due
        counts[Slot.REQUESTS_ATTEMPTED] += 1
        sent = self.runtime.clock.now()

        def done() -> None:
            counts[Slot.REQUESTS_OK] += 1
            self.record(due, sent, self.runtime.clock.now())
            strand.resume(value)

        timer = self.runtime.wheel.call_at(sent + 0.001, done)
        return Pending(lambda: self.cancel(timer))

    def record(self, due: float, sent: float, done: float) -> None:
        index = self.runtime.meters.index
        self.runtime.worker_meters.records.add(index, 0, due, sent, sent, done, done, 0, 0)

    def cancel(self, timer: Any) -> None:
        timer.cancel()
        self.runtime.ledger.counts[Slot.REQUESTS_ERROR] += 1

    async def aclose(self) -> None: ...


@dataclass
class Pending:
    cancel: Callable[[], None]


class AtOnce(Begun):
    def begin(self, context: Any, strand: Any) -> Any:
        strand.resume(context.value)
        return Pending(lambda: None)


class AfterCancel(Begun):
    def cancel(self, timer: Any) -> None: ...


class Unrecorded(Begun):
    def record(self, due: float, sent: float, done: float) -> None: ...


class Backwards(Begun):
    def record(self, due: float, sent: float, done: float) -> None:
        super().record(due, done, sent)


class Twice(Begun):
    def begin(self, context: Any, strand: Any) -> Any:
        pending = super().begin(context, strand)
        self.runtime.wheel.call_at(self.runtime.clock.now() + 0.003, lambda: strand.resume(context.value))
        return pending


async def test_a_good_step_with_begin_passes() -> None:
    await check_step(Begun, Echo(), input=7, expects=7)


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (Slow, "an execution did not end within 0.5 s"),
        (SlowToOpen, r"open\(\) did not end within 0.5 s"),
        (Unbalanced, "books of requests do not close: 1 attempted, 0 ended well, 0 failed"),
        (UnbalancedWhenCancelled, "books of requests do not close"),
        (Forgetful, "let CancelledError through"),
        (Swallowing, "let CancelledError through"),
        (Deaf, "a cancelled execution still ran after 0.5 s"),
        (Leaking, "a closed step left behind a task"),
        (LeakingSockets, "a closed step left behind . open descriptors"),
        (ClosedOnce, "closed before"),
        (Raw, r"make it a StepError\(kind, message\)"),
        (Terse, "message of the error trouble should say what failed"),
        (Wrong, "put out 8 where 7 was expected"),
        (AtOnce, "resumed its strand before it returned"),
        (AfterCancel, "after its step had been cancelled|books of requests do not close"),
        (Unrecorded, "wrote no record"),
        (Backwards, "sent at"),
        (Twice, "a strand was resumed twice"),
    ],
)
async def test_a_broken_promise_is_named(step: Any, words: str) -> None:
    trouble = Echo("trouble") if step in (Raw, Terse) else None
    try:
        with pytest.raises(AssertionError, match=words):
            await check_step(step, Echo(), input=7, expects=7, failing=trouble, patience="500ms")
    finally:
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        if others:
            await asyncio.wait(others)
        while kept_open:
            kept_open.pop().close()


async def test_an_execution_that_should_fail_must_fail() -> None:
    with pytest.raises(AssertionError, match="an execution that should fail put out 7"):
        await check_step(EchoStep, Echo(), input=7, failing=Echo())


async def test_mistakes_must_be_sentences() -> None:
    class Mute(Echo):
        def problems(self) -> list[str]:
            return ["wrong"] if self.trouble else []

    class Raising(Echo):
        def problems(self) -> list[str]:
            if self.trouble:
                raise ValueError("wrong")
            return []

    for spec, words in (
        (Mute("x"), "in a sentence, not 'wrong'"),
        (Raising("x"), "raised ValueError"),
        (Echo(), "found nothing wrong"),
    ):
        with pytest.raises(AssertionError, match=words):
            await check_step(EchoStep, Echo(), wrong=[spec])
    with pytest.raises(AssertionError, match="should have no problems, but has: write trouble"):
        await check_step(EchoStep, Echo("TROUBLE"))


async def test_a_description_without_a_name_or_a_kind_is_told() -> None:
    class Shouting(Echo):
        def default_name(self) -> str:
            return "Echo It"

    class Nameless(Spec[Any, Any]):
        pass

    with pytest.raises(AssertionError, match="'Echo It': use lower-case letters"):
        await check_step(EchoStep, Shouting())
    with pytest.raises(AssertionError, match="Nameless has no kind"):
        await check_step(EchoStep, Nameless())


async def test_a_description_that_loads_a_driver_is_told() -> None:
    with pytest.raises(AssertionError, match=r"importing qalipsis\.plugins\.http\.spec loads msgspec"):
        await check_step(open_http, http.client("http://shop.example").get("/"), drivers=["msgspec"])
