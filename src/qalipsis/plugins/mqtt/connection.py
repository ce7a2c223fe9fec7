"""One connection to an MQTT broker."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import NoReturn

from qalipsis.engine.step import StepError
from qalipsis.plugins.brokers.connect import Connector
from qalipsis.plugins.mqtt import wire
from qalipsis.plugins.mqtt.settings import Settings

OnMessage = Callable[[wire.Received], None]

PING_SHARE = 0.8
"""Of the keep-alive after which a silent client speaks up: brokers wait one and a half of it."""
SOON = 0.5
BAD_LOGIN = 0x86
NOT_AUTHORIZED = 0x87
"""Of a login, or later of a topic."""


class Connection(asyncio.Protocol):
    """Publishes and subscribes. It is used until it is lost, and then never again."""

    def __init__(self, settings: Settings, on_message: OnMessage | None, unreleased: set[int]) -> None:
        self._settings = settings
        self._where = settings.where
        self._version = settings.version
        self._on_message = on_message
        self._loop = asyncio.get_running_loop()
        self._packets = wire.Packets()
        self._transport: asyncio.Transport | None = None
        self._welcomed: asyncio.Future[wire.Welcome | StepError] = self._loop.create_future()
        self.welcome = wire.Welcome(0)
        self.lost: asyncio.Future[StepError] = self._loop.create_future()
        """Done when the connection is; the reason is what waiting requests fail with."""
        self._answers: dict[int, asyncio.Future[int | StepError]] = {}
        """Requests that wait for their reason code, by packet identifier."""
        self._unreleased = unreleased
        self._last_id = 0
        self._is_congested = False
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._wrote_at = 0.0
        self._heard_at = 0.0
        self._pinged_at: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._keep_alive = float(settings.keep_alive)

    @property
    def is_open(self) -> bool:
        return not self.lost.done()

    # requests

    async def log_in(self, client_id: str, is_clean: bool, session_seconds: int) -> wire.Welcome:
        """Raises StepError when the broker does not want this client."""
        address = self._settings.address
        self._write(
            wire.connect(
                client_id,
                address.user,
                address.password,
                self._settings.keep_alive,
                self._version,
                is_clean,
                session_seconds,
            )
        )
        welcome = await self._welcomed
        if isinstance(welcome, StepError):
            raise welcome
        if welcome.code:
            raise self._unwelcome(welcome)
        self.welcome = welcome
        if not welcome.has_session:
            self._unreleased.clear()
        if welcome.keep_alive is not None:
            self._keep_alive = float(welcome.keep_alive)
        self._keep_in_touch()
        return welcome

    def check(self, qos: int, retain: bool) -> None:
        """Raises StepError when the broker has said that it cannot take such a message."""
        if qos > self.welcome.most_qos:
            raise StepError(
                "unsupported", f"{self._where} takes QoS {self.welcome.most_qos} at most, not {qos}"
            )
        if retain and not self.welcome.can_retain:
            raise StepError("unsupported", f"{self._where} retains no messages; publish with retain=False")

    async def wait_room(self, qos: int) -> None:
        """Until a message can be sent at once. Raises StepError when the connection is lost."""
        while True:
            if self.lost.done():
                self._raise_lost()
            if not self._is_congested and not (
                qos and len(self._answers) >= self.welcome.most_unacknowledged
            ):
                self._tell_room()  # the next one looks for itself
                return
            waiter = self._loop.create_future()
            self._waiters.append(waiter)
            try:
                await waiter
            except asyncio.CancelledError:
                # The room it was told of is for the next one in the row.
                if waiter.done() and not waiter.cancelled():
                    self._tell_room()
                raise

    async def publish(self, topic: bytes, payload: bytes, qos: int, retain: bool) -> int:
        """Send, and with QoS wait for the broker's answer; returns how many bytes went out.

        Raises StepError when the connection is lost or the broker refuses the message.
        """
        if self.lost.done():
            self._raise_lost()
        if not qos:
            packet = wire.publish(topic, payload, 0, retain, 0, self._version)
            self._check_size(packet)
            self._write(packet)
            return len(packet)
        packet_id = self._new_id()
        packet = wire.publish(topic, payload, qos, retain, packet_id, self._version)
        self._check_size(packet)
        code = await self._ask(packet_id, packet)
        if code >= wire.FAILURE:
            kind = "denied" if code == NOT_AUTHORIZED else "refused"
            raise StepError(kind, f"{self._where} refused a message to {topic.decode()!r}: {reason(code)}")
        return len(packet)

    async def subscribe(self, topic_filter: str, qos: int, sends_retained: bool) -> None:
        """Until the broker has confirmed. Raises StepError when it refuses."""
        if self.lost.done():
            self._raise_lost()
        packet_id = self._new_id()
        code = await self._ask(
            packet_id, wire.subscribe(packet_id, topic_filter, qos, self._version, sends_retained)
        )
        if code >= wire.FAILURE:
            why = reason(code) if self._version == 5 else "MQTT 3.1.1 does not say why"
            kind = "denied" if code == NOT_AUTHORIZED else "refused"
            raise StepError(kind, f"{self._where} refused the subscription to {topic_filter!r}: {why}")

    def close(self, forget: bool = False) -> None:
        """Say goodbye and go, without waiting; safe to call twice."""
        transport = self._transport
        if transport is not None and not transport.is_closing():
            transport.write(wire.disconnect(self._version, forget))
            transport.close()
        self._lose(StepError("closed", f"the connection to {self._where} was closed"))

    def abort(self) -> None:
        """Go at once."""
        if self._transport is not None:
            self._transport.abort()
        self._lose(StepError("closed", f"the connection to {self._where} was given up"))

    # what the loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # of TCP or TLS: it writes

    def connection_lost(self, error: Exception | None) -> None:
        why = f": {error}" if error else ""
        self._lose(StepError("closed", f"{self._where} closed the connection{why}"))

    def pause_writing(self) -> None:
        self._is_congested = True

    def resume_writing(self) -> None:
        self._is_congested = False
        self._tell_room()

    def data_received(self, data: bytes) -> None:
        if not self._heard_at and data[0] >> 4 != wire.CONNACK:
            self._break("it did not begin with a CONNACK")
            return
        self._heard_at = self._loop.time()
        try:
            for first, body in self._packets.feed(data):
                self._receive(first, body)
        except wire.MalformedPacket as error:
            self._break(str(error))

    # inside

    def _receive(self, first: int, body: bytes) -> None:
        kind = first >> 4
        if kind == wire.PUBLISH:
            self._receive_message(wire.read_message(first, body, self._version))
        elif kind in (wire.PUBACK, wire.PUBCOMP):
            self._answer(*wire.read_acknowledgement(body))
        elif kind == wire.PUBREC:
            packet_id, code = wire.read_acknowledgement(body)
            if code >= wire.FAILURE:
                self._answer(packet_id, code)
            else:
                self._write(wire.acknowledge(wire.PUBREL, packet_id))
        elif kind == wire.PUBREL:
            packet_id, _ = wire.read_acknowledgement(body)
            self._unreleased.discard(packet_id)
            self._write(wire.acknowledge(wire.PUBCOMP, packet_id))
        elif kind == wire.SUBACK:
            self._answer(*wire.read_subscribed(body, self._version))
        elif kind == wire.CONNACK:
            if not self._welcomed.done():
                self._welcomed.set_result(wire.read_welcome(body, self._version))
        elif kind == wire.DISCONNECT:
            why = reason(wire.read_farewell(body))
            self._lose(StepError("closed", f"{self._where} ended the connection: {why}"))
        elif kind != wire.PINGRESP:
            raise wire.MalformedPacket(f"a packet of type {kind}, which brokers do not send")

    def _receive_message(self, message: wire.Received) -> None:
        if message.qos == 2:
            self._write(wire.acknowledge(wire.PUBREC, message.packet_id))
            if message.packet_id in self._unreleased:
                return
            self._unreleased.add(message.packet_id)
        elif message.qos == 1:
            self._write(wire.acknowledge(wire.PUBACK, message.packet_id))
        if self._on_message is not None:
            self._on_message(message)

    async def _ask(self, packet_id: int, packet: bytes) -> int:
        answer: asyncio.Future[int | StepError] = self._loop.create_future()
        self._answers[packet_id] = answer
        self._write(packet)
        # Who gives up leaves the identifier taken until the broker answers.
        code = await answer
        if isinstance(code, StepError):
            raise StepError(code.kind, str(code))  # one each: an exception collects where it was raised
        return code

    def _answer(self, packet_id: int, code: int) -> None:
        answer = self._answers.pop(packet_id, None)
        if answer is not None and not answer.done():
            answer.set_result(code)
        self._tell_room()

    def _new_id(self) -> int:
        for _ in range(wire.LONGEST):
            self._last_id = self._last_id % wire.LONGEST + 1
            if self._last_id not in self._answers:
                return self._last_id
        raise StepError("refused", f"{self._where} has left {wire.LONGEST} messages unanswered")

    def _check_size(self, packet: bytes) -> None:
        if len(packet) > self.welcome.most_bytes:
            raise StepError(
                "too-large",
                f"{self._where} takes packets of {self.welcome.most_bytes} bytes, and this has {len(packet)}",
            )

    def _write(self, packet: bytes) -> None:
        assert self._transport is not None
        self._wrote_at = self._loop.time()
        self._transport.write(packet)

    def _tell_room(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return

    def _keep_in_touch(self) -> None:
        """Ping after a silence, and give up when nothing comes back."""
        if not self._keep_alive or self.lost.done():
            return
        now = self._loop.time()
        if self._pinged_at is not None and self._heard_at < self._pinged_at:
            if now - self._pinged_at >= self._settings.timeout:
                self._lose(StepError("closed", f"{self._where} does not answer any more"))
                assert self._transport is not None
                self._transport.abort()
                return
            self._timer = self._loop.call_later(SOON, self._keep_in_touch)
            return
        due = self._wrote_at + PING_SHARE * self._keep_alive
        if now >= due:
            self._write(wire.PING)
            self._pinged_at = self._wrote_at
            due = now + SOON
        self._timer = self._loop.call_at(due, self._keep_in_touch)

    def _lose(self, why: StepError) -> None:
        if self.lost.done():
            return
        self.lost.set_result(why)
        if self._timer is not None:
            self._timer.cancel()
        if not self._welcomed.done():
            self._welcomed.set_result(why)
        answers, self._answers = self._answers, {}
        for answer in answers.values():
            if not answer.done():
                answer.set_result(why)
        waiters, self._waiters = self._waiters, deque()
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)

    def _break(self, what: str) -> None:
        self._lose(StepError("protocol", f"{self._where} sent what is no MQTT: {what}"))
        assert self._transport is not None
        self._transport.abort()

    def _raise_lost(self) -> NoReturn:
        why = self.lost.result()
        raise StepError(why.kind, str(why))

    def _unwelcome(self, welcome: wire.Welcome) -> StepError:
        code = welcome.code if self._version == 5 else wire.OLD_ANSWERS.get(welcome.code, welcome.code)
        if self._version == 5 and code in wire.OLD_ANSWERS:
            code = wire.OLD_ANSWERS[code]
        why = reason(code) + (f" ({welcome.reason})" if welcome.reason else "")
        user = self._settings.address.user
        if code in (BAD_LOGIN, NOT_AUTHORIZED):
            who = f"the user {user!r}" if user is not None else "a client without user"
            return StepError(
                "auth",
                f"{self._where} refused {who}: {why}; correct user and password in the client's address",
            )
        hint = '; give the client version="3.1.1"' if code == 0x84 and self._version == 5 else ""
        return StepError("refused", f"{self._where} refused the connection: {why}{hint}")


async def open_connection(
    connector: Connector,
    settings: Settings,
    client_id: str,
    on_message: OnMessage | None = None,
    is_clean: bool = True,
    session_seconds: int = 0,
    unreleased: set[int] | None = None,
) -> Connection:
    """A connection that is logged in, within the client's timeout. Raises StepError.

    `unreleased` are the messages of QoS 2 that the session has received and the broker may send again.
    """
    received = set() if unreleased is None else unreleased
    made: list[Connection] = []

    def make() -> Connection:
        made.append(Connection(settings, on_message, received))
        return made[-1]

    try:
        async with asyncio.timeout(settings.timeout):
            _, connection = await connector.open(make, settings.timeout)
            await connection.log_in(client_id, is_clean, session_seconds)
            return connection
    except BaseException as error:
        for connection in made:
            connection.abort()
        if isinstance(error, TimeoutError):
            raise StepError(
                "connect-timeout", f"{settings.where} did not let a client in within {settings.timeout:g} s"
            ) from error
        raise


def reason(code: int) -> str:
    """What a reason code says, for people."""
    return wire.REASONS.get(code, f"reason code {code:#04x}" if code else "no reason given")
