"""An event loop on virtual time, which leaps to the next timer as soon as nothing else is left to do."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from math import ulp
from typing import Any

from qalipsis.errors import QalipsisError

START = 1000.0


class NoNetwork(QalipsisError):
    """Something wanted to leave the process in a test on virtual time."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """`asyncio.sleep`, timeouts and timers take virtual time, and no real one.

    What runs in threads (`asyncio.to_thread`) takes no virtual time: the loop waits for it. Connections,
    processes and look-ups of names raise NoNetwork, for a peer does not live in the same time.
    """

    def __init__(self) -> None:
        self._virtual_now = START
        self._outside = 0
        self.on_refused: Callable[[NoNetwork], object] = lambda refusal: None
        """Called with each attempt to leave the process: who makes it may swallow the error."""
        super().__init__(_Leaping(self._leap))
        self._set_resolution()

    def time(self) -> float:
        return self._virtual_now

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # type: ignore[override]
        self._outside += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._came_back)
        return future

    async def shutdown_default_executor(self, *args: Any, **kwargs: Any) -> None:
        self._outside += 1
        try:
            await super().shutdown_default_executor(*args, **kwargs)
        finally:
            self._outside -= 1

    def _came_back(self, future: asyncio.Future[Any]) -> None:
        self._outside -= 1

    def _leap(self, seconds: float) -> bool:
        """Let virtual time pass; False when somebody outside has to be waited for."""
        if self._outside:
            return False
        self._virtual_now += seconds
        self._set_resolution()
        return True

    def _set_resolution(self) -> None:
        """Timers that are due within the clock's resolution fire at once: here none may be early.

        With the nanosecond of a real clock, who sleeps until a moment, looks at the clock and sleeps again
        would do so for ever, for no time passes.
        """
        self._clock_resolution = ulp(self._virtual_now)

    # What would leave the process.

    async def getaddrinfo(self, host: Any, port: Any, **kwargs: Any) -> Any:
        self._refuse(f"the address of {_text(host)}")

    async def sock_connect(self, sock: Any, address: Any) -> Any:
        self._refuse(_place(address))

    async def create_connection(
        self, protocol_factory: Any, host: Any = None, port: Any = None, **kwargs: Any
    ) -> Any:
        self._refuse(_place((host, port)))

    async def create_server(self, *args: Any, **kwargs: Any) -> Any:
        self._refuse("clients")

    async def create_datagram_endpoint(self, *args: Any, **kwargs: Any) -> Any:
        self._refuse("a datagram socket")

    async def create_unix_connection(self, protocol_factory: Any, path: Any = None, **kwargs: Any) -> Any:
        if path is not None:
            self._refuse(_text(path))
        return await super().create_unix_connection(protocol_factory, **kwargs)

    async def subprocess_exec(self, *args: Any, **kwargs: Any) -> Any:
        self._refuse("a process")

    async def subprocess_shell(self, *args: Any, **kwargs: Any) -> Any:
        self._refuse("a process")

    def _refuse(self, what: str) -> None:
        refusal = NoNetwork(
            f"a scenario on the virtual clock wanted {what}, and there is no network in virtual time: give "
            'run_scenario a fake for it (target=…, fakes={…} or sources={…}), or say clock="real"'
        )
        self.on_refused(refusal)
        raise refusal


class _Leaping(selectors.DefaultSelector):
    """Never waits: when nothing can be read and a timer is set, time leaps to it.

    The pipes of this process are real sockets. What is written into one can be read from the other at once,
    so that nothing said before is still on its way when time moves.
    """

    def __init__(self, leap: Callable[[float], bool]) -> None:
        super().__init__()
        self._leap = leap

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        events = super().select(0)
        if events or timeout == 0:
            return events
        if timeout is None or not self._leap(timeout):
            return super().select()  # somebody outside wakes the loop
        return events


def _place(address: Any) -> str:
    host, port, *_ = address if isinstance(address, tuple) else (address, None)
    return f"a connection to {_text(host)}" + (f":{port}" if port is not None else "")


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
