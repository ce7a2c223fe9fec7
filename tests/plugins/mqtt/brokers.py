"""Brokers that behave in ways to which a real one cannot be brought."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from qalipsis.plugins.mqtt.wire import Packets

WELCOME = b"\x20\x03\x00\x00\x00"


class Broker:
    """One broker with one kind of behaviour."""

    def __init__(
        self,
        behaviour: Callable[[Broker, asyncio.StreamWriter, int, bytes], None],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._behaviour = behaviour
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self.address = ""
        self.pings = 0
        self.left = 0
        self.published = 0
        self.unanswered = 0
        self.most_unanswered = 0

    @property
    def url(self) -> str:
        return f"mqtt{'s' if self._tls else ''}://{self.address}"

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._tls)
        self.address = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.close()
        await self._server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        packets = Packets()
        try:
            while data := await reader.read(65_536):
                for first, body in packets.feed(data):
                    if first == 0xE0:
                        self.left += 1
                    self._behaviour(self, writer, first, body)
        except ConnectionError:
            pass
        finally:
            writer.close()

    # behaviours

    def let_in(self, writer: asyncio.StreamWriter, first: int, body: bytes) -> None:
        if first == 0x10:
            writer.write(WELCOME)

    def stay_silent(self, writer: asyncio.StreamWriter, first: int, body: bytes) -> None:
        pass

    def refuse(self, writer: asyncio.StreamWriter, first: int, body: bytes) -> None:
        """Let in, and say of every message that it is not authorized."""
        self.let_in(writer, first, body)
        topic_end = 2 + int.from_bytes(body[:2], "big")
        if first >> 4 == 3:
            answer = b"\x40\x03" if first & 2 else b"\x50\x03"
            writer.write(answer + body[topic_end : topic_end + 2] + b"\x87")
        if first >> 4 == 8:
            writer.write(b"\x90\x04" + body[:2] + b"\x00\x87")

    def be_small(self, writer: asyncio.StreamWriter, first: int, body: bytes) -> None:
        """QoS up to 1, nothing retained, packets of 100 bytes, no shared subscriptions."""
        if first == 0x10:
            properties = b"\x24\x01\x25\x00\x27\x00\x00\x00\x64\x2a\x00\x26\x00\x01a\x00\x01b\x13\x00\x3c"
            writer.write(bytes((0x20, 3 + len(properties), 0, 0, len(properties))) + properties)

    def be_slow(self, writer: asyncio.StreamWriter, first: int, body: bytes) -> None:
        """At most three messages without an answer, and answers that take a moment."""
        if first == 0x10:
            writer.write(b"\x20\x06\x00\x00\x03\x21\x00\x03")
        if first >> 4 == 3:
            self.published += 1
            self.unanswered += 1
            self.most_unanswered = max(self.most_unanswered, self.unanswered)
            packet_id = body[3:5]

            def answer() -> None:
                self.unanswered -= 1
                writer.write(b"\x40\x02" + packet_id)

            asyncio.get_running_loop().call_later(0.01, answer)

    def speak_http(self, writer: asyncio.StreamWriter, first: int, body: bytes) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    def be_old(self, writer: asyncio.StreamWriter, first: int, body: bytes) -> None:
        writer.write(b"\x20\x02\x00\x01")
        writer.close()

    def answer_one_ping(self, writer: asyncio.StreamWriter, first: int, body: bytes) -> None:
        self.let_in(writer, first, body)
        if first == 0xC0:
            self.pings += 1
            if self.pings == 1:
                writer.write(b"\xd0\x00")


@asynccontextmanager
async def broker_that(
    behaviour: Callable[[Broker, asyncio.StreamWriter, int, bytes], None], tls: ssl.SSLContext | None = None
) -> AsyncIterator[Broker]:
    broker = Broker(behaviour, tls)
    await broker.start()
    try:
        yield broker
    finally:
        await broker.stop()
