"""Where requests get their connections: from their minion's seat, from a shared pool, or new each time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from math import inf
from typing import Protocol

from qalipsis.clock import TimerHandle
from qalipsis.engine.step import StepError, Wheel
from qalipsis.plugins.http.cookies import CookieJar
from qalipsis.plugins.http.exchange import Connection

Origin = tuple[str, str, int]


class Asker(Protocol):
    """A request that needs a connection."""

    deadline: float
    is_over: bool

    @property
    def origin(self) -> Origin: ...

    def serve(self, connection: Connection) -> None:
        """Send on this free connection. Raises StepError, without touching it, when nothing may be sent."""

    def serve_late(self, connection: Connection) -> bool:
        """As `serve`, for a request that waited: it deals with its failure and returns False."""

    def connect(self, supply: Supply) -> None:
        """Open a connection that will belong to `supply`, then send."""

    def give_up(self, error: StepError) -> None:
        """Nothing was sent and nothing will be."""


class Supply(Protocol):
    """Connections of one kind; also the home of those it gave."""

    def obtain(self, request: Asker) -> None:
        """Let the request go on, now or later. Raises StepError when it may not even start."""

    def reserve(self) -> None:
        """A connection will be opened ahead of the start; `added` or `missed` follows."""

    def added(self, connection: Connection) -> None:
        """A connection that was opened for it; whoever opened it uses it first, or says `freed`."""

    def missed(self) -> None:
        """The request could not open one."""

    def freed(self, connection: Connection) -> None: ...

    def lost(self, connection: Connection) -> None: ...


class Seat:
    """What one minion keeps of one client: its connection and its cookies.

    Concurrent branches of a minion open further connections, as a browser does, and these stay as well.
    """

    __slots__ = ("connection", "home_origin", "jar", "others")

    def __init__(self, home_origin: Origin) -> None:
        self.home_origin = home_origin
        self.connection: Connection | None = None
        """The first one to the client's own target: the only one most minions ever have."""
        self.others: list[Connection] | None = None
        self.jar: CookieJar | None = None

    def obtain(self, request: Asker) -> None:
        origin = request.origin
        for connection in (self.connection, *(self.others or ())):
            if connection is not None and connection.request is None and connection.origin == origin:
                request.serve(connection)
                return
        request.connect(self)

    def reserve(self) -> None: ...

    def added(self, connection: Connection) -> None:
        if self.connection is None and connection.origin == self.home_origin:
            self.connection = connection
        elif self.others is None:
            self.others = [connection]
        else:
            self.others.append(connection)

    def missed(self) -> None: ...

    def freed(self, connection: Connection) -> None: ...

    def lost(self, connection: Connection) -> None:
        if connection is self.connection:
            self.connection = None
        elif self.others is not None and connection in self.others:
            self.others.remove(connection)

    def close(self) -> None:
        """The minion ends."""
        others, self.others = self.others, None
        if self.connection is not None:
            self.connection.close()
        for connection in others or ():
            connection.close()


class OnDemand:
    """A new connection for every request, closed after it."""

    __slots__ = ()

    def obtain(self, request: Asker) -> None:
        request.connect(self)

    def reserve(self) -> None: ...

    def added(self, connection: Connection) -> None: ...

    def missed(self) -> None: ...

    def freed(self, connection: Connection) -> None:
        connection.close()

    def lost(self, connection: Connection) -> None: ...


class Pool:
    """At most `size` connections to one origin for all minions; those who find none free wait in a queue."""

    def __init__(self, size: int, now: Callable[[], float], wheel: Wheel) -> None:
        self._size = size
        self._now = now
        self._wheel = wheel
        self._open = 0
        self._idle: list[Connection] = []
        self._waiting: deque[Asker] = deque()
        self._timer: TimerHandle | None = None
        self._timer_at = inf
        self._is_closed = False

    @property
    def room(self) -> int:
        """How many connections may still be opened."""
        return self._size - self._open

    def obtain(self, request: Asker) -> None:
        if self._idle:
            request.serve(self._idle[-1])
            self._idle.pop()
        elif self._open < self._size:
            self._open += 1
            request.connect(self)
        else:
            self._waiting.append(request)
            self._arm(request.deadline)

    def reserve(self) -> None:
        self._open += 1

    def added(self, connection: Connection) -> None: ...

    def missed(self) -> None:
        self._open -= 1
        self._connect_next()

    def freed(self, connection: Connection) -> None:
        while connection.is_open:
            request = self._next()
            if request is None:
                self._idle.append(connection)
                return
            if request.serve_late(connection):
                return

    def lost(self, connection: Connection) -> None:
        self._open -= 1
        if connection in self._idle:
            self._idle.remove(connection)
        self._connect_next()

    def close(self) -> None:
        """Close what is idle and forget who waits; connections in use are closed by their requests."""
        self._is_closed = True
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
        for connection in list(self._idle):
            connection.close()

    def _connect_next(self) -> None:
        request = None if self._is_closed else self._next()
        if request is not None:
            self._open += 1
            request.connect(self)

    def _next(self) -> Asker | None:
        while self._waiting:
            request = self._waiting.popleft()
            if not request.is_over:
                return request
        return None

    def _arm(self, at: float) -> None:
        """One timer for the whole queue: most who wait are served long before their deadline."""
        if at < self._timer_at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer_at = at
            self._timer = self._wheel.call_at(at, self._look_at_the_clock)

    def _look_at_the_clock(self) -> None:
        self._timer = None
        self._timer_at = inf
        now = self._now()
        late = [request for request in self._waiting if request.deadline <= now and not request.is_over]
        self._waiting = deque(
            request for request in self._waiting if request.deadline > now and not request.is_over
        )
        if self._waiting:
            self._arm(min(request.deadline for request in self._waiting))
        for request in late:
            request.give_up(
                StepError(
                    "timeout", f"none of the pool's {self._size} connections was free within the timeout"
                )
            )
