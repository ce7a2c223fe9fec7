"""One minion's socket: a datagram goes out, its answers come in.

UDP promises nothing: datagrams are lost, doubled and late. What can be kept apart from here is kept apart:
whatever may still come for one request does not find the socket of the next one any more.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from math import inf
from typing import Protocol

from qalipsis.clock import TimerHandle
from qalipsis.engine.dialing import Address
from qalipsis.engine.step import StepError, Wheel
from qalipsis.metrics.meters import StepMeters
from qalipsis.plugins.udp.watch import Watch

ROOM = 65_535
"""Bytes that any datagram fits into."""


class Exchange(Protocol):
    """A request and its answers; it is told exactly one of the last two, but never from within `send`."""

    wanted: int
    matching: Callable[[bytes, bytes], object] | None
    payload: bytes
    timeout: float
    deadline: float
    sent: float

    @property
    def meters(self) -> StepMeters: ...

    def answered(self, answers: tuple[bytes, ...], first_byte: float, done: float) -> None:
        """All answers; the socket is free already."""

    def failed(self, error: BaseException, bytes_received: int) -> None:
        """There will be no more answers."""


class Commons:
    """What the sockets of one client share."""

    def __init__(self, now: Callable[[], float], wheel: Wheel, where: str) -> None:
        self.now = now
        self.wheel = wheel
        self.where = where
        self.loop = asyncio.get_running_loop()
        self.watch = Watch()


class DatagramSocket:
    """Serves one exchange at a time. It is free while `exchange` is None; once closed for ever."""

    __slots__ = (
        "_answers",
        "_commons",
        "_first_byte",
        "_meters",
        "_owes",
        "_socket",
        "_timer",
        "_timer_at",
        "exchange",
        "is_open",
    )

    def __init__(self, commons: Commons, address: Address, meters: StepMeters) -> None:
        """Raises OSError when this machine has no socket or no port left."""
        self._answers: list[bytes] = []
        self._commons = commons
        self._first_byte = 0.0
        self._meters = meters
        self._owes = False
        """True once a request with `matching` was given up: its answer may still come, and is recognised."""
        self._timer: TimerHandle | None = None
        self._timer_at = inf
        self.exchange: Exchange | None = None
        self.is_open = True
        self._socket = socket.socket(address.family, socket.SOCK_DGRAM)
        try:
            self._socket.setblocking(False)
            self._socket.connect(address.sockaddr)  # only what comes from there is ever read
            commons.watch.add(self._socket, self._readable)
        except BaseException:
            self._socket.close()
            raise

    def suits(self, exchange: Exchange) -> bool:
        """False when what may still come could be taken for an answer to this request."""
        return self.is_open and not (self._owes and exchange.matching is None)

    def send(self, exchange: Exchange) -> None:
        """Send the datagram and wait for its answers. Raises OSError when it cannot be sent."""
        self._meters = exchange.meters
        try:
            self._socket.send(exchange.payload)
        except ConnectionRefusedError:
            # The system speaks of an earlier datagram, for which nobody waits, and has not sent this one.
            self._meters.count("refused-datagrams")
            self._socket.send(exchange.payload)
        self.exchange = exchange
        if exchange.wanted:
            if exchange.deadline < self._timer_at:
                self._arm(exchange.deadline)
        else:
            self._commons.loop.call_soon(self._sent, exchange)

    def drop(self, exchange: Exchange) -> None:
        """The exchange gave up; its answers must not meet another one."""
        if self.exchange is exchange:
            self._give_up()

    def close(self) -> None:
        """Close now; an exchange under way must have been dealt with. Safe to call twice."""
        if not self.is_open:
            return
        self.is_open = False
        self._answers = []
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._commons.watch.remove(self._socket)
        self._socket.close()

    def fail(self, error: BaseException) -> None:
        """End the exchange under way, and the socket with it."""
        exchange, self.exchange = self.exchange, None
        received = sum(map(len, self._answers))
        self.close()
        if exchange is not None:
            exchange.failed(error, received)

    def _readable(self) -> None:
        if not self.is_open:
            return  # it was closed a moment ago, by what another socket brought
        try:
            data = self._socket.recv(ROOM)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._refused(error)
            return
        now = self._commons.now()
        exchange = self.exchange
        if exchange is None or not exchange.wanted:
            self._unasked(exchange)
            return
        if exchange.matching is not None:
            try:
                is_answer = exchange.matching(exchange.payload, data)
            except Exception as error:  # the author's
                self.fail(error)
                return
            if not is_answer:
                self._meters.count("ignored-datagrams")
                return
        answers = self._answers
        if not answers:
            self._first_byte = now
        answers.append(data)
        if len(answers) == exchange.wanted:
            self.exchange = None
            self._answers = []
            if exchange.matching is None:
                self._look_for_more()
            exchange.answered(tuple(answers), self._first_byte, now)

    # What follows is off the common path.

    def _look_for_more(self) -> None:
        """What lies here already beside the answer would be taken for the next one."""
        try:
            self._socket.recv(ROOM)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            self._meters.count("refused-datagrams")
            return
        self._meters.count("unread-datagrams")
        self.close()

    def _unasked(self, exchange: Exchange | None) -> None:
        """Nobody waits for this: a late or second answer, or the answer to a datagram that asked for none."""
        if self._owes:
            self._meters.count("ignored-datagrams")
            return
        self._meters.count("unread-datagrams")
        self.exchange = None
        self.close()
        if exchange is not None:
            exchange.answered((), exchange.sent, exchange.sent)

    def _sent(self, exchange: Exchange) -> None:
        """A datagram without answer is over."""
        if self.exchange is exchange:
            self.exchange = None
            exchange.answered((), exchange.sent, exchange.sent)

    def _refused(self, error: OSError) -> None:
        """The other machine says that nobody listens, or the network that there is no way."""
        exchange = self.exchange
        if exchange is None or not exchange.wanted:
            self._meters.count("refused-datagrams")
            return
        failure = send_failure(error, self._commons.where)
        failure.__cause__ = error
        self.fail(failure)

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
        if exchange is None or not exchange.wanted:
            return
        if self._commons.now() < exchange.deadline:
            self._arm(exchange.deadline)
            return
        came = len(self._answers)
        received = sum(map(len, self._answers))
        what = "no answer" if exchange.wanted == 1 else f"{came} of {exchange.wanted} answers"
        self._give_up()
        exchange.failed(
            StepError("timeout", f"{what} from {self._commons.where} within {exchange.timeout:g} s"),
            received,
        )

    def _give_up(self) -> None:
        exchange, self.exchange = self.exchange, None
        self._answers = []
        if exchange is None or exchange.matching is None:
            self.close()
        else:
            self._owes = True


def send_failure(error: OSError, where: str) -> StepError:
    """The class of a datagram that did not arrive, as far as anybody can tell."""
    if isinstance(error, ConnectionRefusedError):
        return StepError("connect-refused", f"nobody listens at {where}")
    if error.errno == errno.EMSGSIZE:
        return StepError("too-large", f"the datagram is larger than the way to {where} carries")
    if isinstance(error, BlockingIOError):
        return StepError("send-failed", "this machine's buffer for outgoing datagrams is full; send fewer")
    return StepError("send-failed", f"no datagram reaches {where}: {error.strerror or error}")
