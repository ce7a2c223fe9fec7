"""One connection to a RabbitMQ broker."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any, SupportsIndex

import aiormq
from aiormq.abc import AbstractChannel
from aiormq.connection import TransportFactory
from pamqp import commands, frame
from pamqp.exceptions import PAMQPException
from yarl import URL

from qalipsis.engine.step import StepError
from qalipsis.plugins.brokers.connect import Connector
from qalipsis.plugins.rabbitmq.failures import FAILURES, channel_failure, connect_failure
from qalipsis.plugins.rabbitmq.settings import Settings

HEARTBEAT_SECONDS = 5
"""The driver gives up a silent connection after three of them and a bit: in time for a reader to recover."""

# The driver logs what it also raises; here each failure is told once, by whoever it fails.
logging.getLogger("aiormq").setLevel(logging.CRITICAL)


async def open_connection(connector: Connector, settings: Settings) -> aiormq.Connection:
    """A connection that is logged in, within the client's timeout. Raises StepError."""
    address = settings.address
    url = URL.build(
        scheme="amqp",  # TLS is the connector's
        user=address.user,
        password=address.password,
        host=address.host,
        port=address.port,
        path="/" + settings.virtual_host.removeprefix("/"),
        query={"heartbeat": str(HEARTBEAT_SECONDS), "name": "qalipsis"},
    )
    dialled = _Dialled(connector, settings.timeout)
    connection = aiormq.Connection(url, transport_factory=dialled)
    # Without bound, so that no Close-Ok is left out because it is full. Producers wait for each message.
    connection.write_queue = asyncio.Queue()
    try:
        async with asyncio.timeout(settings.timeout):
            await connection.connect()
    except TimeoutError as error:
        await connection.close()
        raise StepError(
            "connect-timeout", f"{settings.where} did not let a client in within {settings.timeout:g} s"
        ) from error
    except StepError:
        await connection.close()
        raise
    except FAILURES as error:
        await connection.close()
        raise connect_failure(error, dialled.refusal(), settings) from error
    except BaseException:
        await connection.close()
        raise
    dialled.forget()
    return connection


async def open_channel(
    connection: aiormq.Connection, settings: Settings, has_confirms: bool
) -> AbstractChannel:
    """Raises StepError."""
    try:
        async with asyncio.timeout(settings.timeout):
            channel = await connection.channel(publisher_confirms=has_confirms)
            channel.write_queue = _Gate(connection.write_queue)  # type: ignore[attr-defined]
            return channel
    except TimeoutError as error:
        raise StepError(
            "timeout", f"{settings.where} opened no channel within {settings.timeout:g} s"
        ) from error
    except FAILURES as error:
        raise channel_failure(error, settings, "a channel") from error


async def close_connection(connection: aiormq.Connection) -> None:
    """Bounded, also when the broker does not answer."""
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await connection.close()
    except (TimeoutError, *FAILURES):
        pass


CLOSE_SECONDS = 5.0


class _Gate(asyncio.Queue[Any]):
    """What a channel writes to, until it has confirmed that the broker closed it.

    The driver lets messages follow that were about to be sent. The broker would end the whole connection for
    it, and with it the channels of other steps.
    """

    def __init__(self, queue: asyncio.Queue[Any]) -> None:
        super().__init__()
        self._frames = queue
        self._is_shut = False

    async def put(self, item: Any) -> None:
        if self._is_shut:
            raise aiormq.exceptions.ChannelInvalidStateError("closed by the broker")
        self._frames.put_nowait(item)

    def put_nowait(self, item: Any) -> None:
        """The driver sends nothing but the confirmation this way."""
        self._is_shut = True
        self._frames.put_nowait(item)


class _Reader(asyncio.StreamReader):
    """Keeps what a broker says while it lets a client in."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self.heard: bytearray | None = bytearray()

    def feed_data(self, data: Iterable[SupportsIndex]) -> None:
        if self.heard is not None:
            self.heard.extend(data)
        super().feed_data(data)


class _Dialled(TransportFactory):
    """Lets our connector open the driver's sockets, so that its failures have our classes and names."""

    def __init__(self, connector: Connector, seconds: float) -> None:
        self._connector = connector
        self._seconds = seconds
        self._reader: _Reader | None = None

    def refusal(self) -> str:
        """Why the broker closed the connection, if it said so: the driver keeps some reasons to itself."""
        heard = b"" if self._reader is None else bytes(self._reader.heard or b"")
        while heard:
            try:
                size, _, received = frame.unmarshal(heard)
            except PAMQPException:
                break
            if isinstance(received, commands.Connection.Close):
                return str(received.reply_text)
            heard = heard[size:]
        return ""

    def forget(self) -> None:
        """Connected: what comes now is the driver's alone."""
        if self._reader is not None:
            self._reader.heard = None

    async def create(self, url: URL, **options: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        loop = asyncio.get_running_loop()
        reader = self._reader = _Reader(loop=loop)
        transport, protocol = await self._connector.open(
            lambda: asyncio.StreamReaderProtocol(reader, loop=loop), self._seconds
        )
        return reader, asyncio.StreamWriter(transport, protocol, reader, loop)
