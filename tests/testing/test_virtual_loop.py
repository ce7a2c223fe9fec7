"""The loop on virtual time: what waits takes no time, in the right order, and nothing leaves the process."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from math import ulp
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qalipsis.testing import NoNetwork, VirtualLoop


def run(main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main())


def now() -> float:
    return asyncio.get_running_loop().time()


def test_sleep_takes_virtual_time_only() -> None:
    async def main() -> float:
        before = now()
        await asyncio.sleep(7200)
        return now() - before

    began = time.monotonic()
    assert run(main) == 7200
    assert time.monotonic() - began < 5


def test_timeouts_are_virtual() -> None:
    async def main() -> float:
        before = now()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(60):
                await asyncio.Event().wait()
        return now() - before

    assert run(main) == 60


@given(st.lists(st.floats(0, 1e5), max_size=30))
def test_timers_fire_in_order_and_none_is_early(delays: list[float]) -> None:
    async def main() -> list[tuple[float, float]]:
        loop, begin = asyncio.get_running_loop(), now()
        fired: list[tuple[float, float]] = []
        for delay in delays:
            loop.call_at(begin + delay, lambda when=begin + delay: fired.append((when, loop.time())))
        await asyncio.sleep(2e5)
        return fired

    fired = run(main)
    assert sorted(when for when, _ in fired) == [when for when, _ in fired]
    assert all(when <= at <= when + 2 * ulp(when) for when, at in fired)


def test_who_looks_at_the_clock_before_sleeping_again_does_not_hang() -> None:
    """A real loop fires what is due within a nanosecond: no time would pass, again and again."""

    async def main() -> None:
        until = now() + 1.0
        asyncio.get_running_loop().call_at(until - 5e-10, lambda: None)
        while now() < until:  # noqa: ASYNC110
            await asyncio.sleep(until - now())

    run(main)


def test_what_runs_in_a_thread_takes_no_virtual_time() -> None:
    async def main() -> float:
        before = now()
        async with asyncio.timeout(0.01):
            await asyncio.to_thread(time.sleep, 0.1)
        return now() - before

    assert run(main) == 0


def test_what_is_said_through_a_pipe_arrives_before_time_moves() -> None:
    async def main() -> tuple[bytes, float]:
        ours, theirs = socket.socketpair()
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        _, other = await asyncio.open_unix_connection(sock=theirs)
        before = now()
        waiting = asyncio.create_task(reader.readexactly(4))
        sleeping = asyncio.create_task(asyncio.sleep(1e-6))
        other.write(b"word")
        await waiting
        took = now() - before
        await sleeping
        for each in (writer, other):
            each.close()
            await each.wait_closed()
        return waiting.result(), took

    assert run(main) == (b"word", 0)


def test_a_thread_may_wake_a_loop_without_timers() -> None:
    async def main() -> str:
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[str] = loop.create_future()
        threading.Timer(0.05, lambda: loop.call_soon_threadsafe(answer.set_result, "woken")).start()
        return await answer

    assert run(main) == "woken"


async def datagram() -> None:
    await asyncio.get_running_loop().create_datagram_endpoint(
        asyncio.DatagramProtocol, remote_addr=("127.0.0.1", 9)
    )


async def raw_socket() -> None:
    with socket.socket() as sock:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", 9))


@pytest.mark.parametrize(
    ("leave", "what"),
    [
        (lambda: asyncio.open_connection("127.0.0.1", 9), r"a connection to 127\.0\.0\.1:9"),
        (lambda: asyncio.open_unix_connection("/tmp/none"), "/tmp/none"),
        (lambda: asyncio.start_server(lambda r, w: None, "127.0.0.1", 0), "clients"),
        (lambda: asyncio.create_subprocess_exec("true"), "a process"),
        (lambda: asyncio.create_subprocess_shell("true"), "a process"),
        (lambda: asyncio.get_running_loop().getaddrinfo("shop.example", 80), r"address of shop\.example"),
        (raw_socket, r"a connection to 127\.0\.0\.1:9"),
        (datagram, "a datagram socket"),
    ],
)
def test_nothing_leaves_the_process(leave: Callable[[], Awaitable[Any]], what: str) -> None:
    async def main() -> list[NoNetwork]:
        loop, refused = asyncio.get_running_loop(), []  # type: ignore[var-annotated]
        assert isinstance(loop, VirtualLoop)
        loop.on_refused = refused.append
        with pytest.raises(NoNetwork, match=what):
            await leave()
        return refused

    assert len(run(main)) == 1
