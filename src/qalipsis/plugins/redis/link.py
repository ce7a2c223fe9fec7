"""One connection to one server, for one request at a time."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from typing import Any

import hiredis
from redis.asyncio import Connection
from redis.exceptions import RedisError, ResponseError

from qalipsis.plugins.redis.commands import Words
from qalipsis.plugins.redis.failures import broken, not_connected
from qalipsis.plugins.redis.settings import Address, Settings, Tls

CLOSE_SECONDS = 1.0


@cache
def tls_context(tls: Tls) -> ssl.SSLContext:
    """Made once: reading the authorities takes longer than a handshake."""
    authorities = tls.authorities
    if authorities is None:
        context = ssl.create_default_context()
    elif os.path.isdir(authorities):
        context = ssl.create_default_context(capath=authorities)
    else:
        context = ssl.create_default_context(cafile=authorities)
    if tls.verify != "full":
        context.check_hostname = False
    if tls.verify == "none":
        context.verify_mode = ssl.CERT_NONE
    if tls.cert is not None:
        context.load_cert_chain(*tls.cert)
    return context


class Wire(Connection):
    """The driver's connection, which also counts what it receives and shares its TLS context."""

    def __init__(self, tls: ssl.SSLContext | None, **options: Any) -> None:
        super().__init__(**options)
        self._tls = tls
        self.received = 0

    @property
    def is_ended(self) -> bool:
        """True once the server has closed it, though nobody reads."""
        reader = self._reader
        return reader is None or reader.at_eof() or reader.exception() is not None

    def _connection_arguments(self) -> Mapping[str, Any]:
        return {**super()._connection_arguments(), **({} if self._tls is None else {"ssl": self._tls})}

    async def _connect(self) -> None:
        await super()._connect()  # type: ignore[no-untyped-call]
        reader = self._reader
        assert reader is not None
        feed = reader.feed_data

        def feed_and_count(data: bytes) -> None:
            self.received += len(data)
            feed(data)

        reader.feed_data = feed_and_count  # type: ignore[method-assign, assignment]


class Link:
    """Opened once, and closed for good by the first doubt whether an answer belongs to its request."""

    __slots__ = ("_settings", "_wire", "address", "is_open", "sent")

    def __init__(self, address: Address, settings: Settings) -> None:
        self.address = address
        self.is_open = False
        self.sent = 0
        """Bytes since it was opened."""
        self._settings = settings
        self._wire = Wire(
            None if settings.tls is None else tls_context(settings.tls),
            host=address.host,
            port=address.port,
            db=settings.database,
            username=settings.username,
            password=settings.password,
            client_name=settings.client_name,
            socket_timeout=None,
            socket_connect_timeout=settings.timeout,
            # Bytes that are no UTF-8 stay readable and never break the reading of what comes after them.
            decode_responses=settings.decode,
            encoding_errors="backslashreplace",
            protocol=2,
        )

    @property
    def is_usable(self) -> bool:
        return self.is_open and not self._wire.is_ended

    @property
    def received(self) -> int:
        """Bytes since it was opened."""
        return self._wire.received

    async def open(self, deadline: float) -> None:
        """Connect and log in. Raises Unsent."""
        try:
            async with asyncio.timeout_at(deadline):
                await self._wire.connect()  # type: ignore[no-untyped-call]
        except (RedisError, OSError, ValueError) as error:
            await self.aclose()
            raise not_connected(error, self.address, self._settings) from error
        except BaseException:
            await self.aclose()
            raise
        self.is_open = True

    async def exchange(self, commands: Sequence[Words], deadline: float) -> list[Any]:
        """The answers in the order of the commands, errors among them as values. Raises StepError."""
        wire, answers, words = self._wire, [], packed(commands)
        self.sent += len(words)
        try:
            async with asyncio.timeout_at(deadline):
                await wire.send_packed_command(words, check_health=False)
                for _ in commands:
                    try:
                        answers.append(await wire.read_response())
                    except ResponseError as error:
                        answers.append(error)
        except (RedisError, OSError, ValueError) as error:
            await self.aclose()
            raise broken(error, self.address, self._settings) from error
        except BaseException:
            await self.aclose()
            raise
        return answers

    async def aclose(self, wait: bool = False) -> None:
        """Close; `wait` until that is done, but not for a server that does not answer."""
        self.is_open = False
        if wait:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_SECONDS):
                    await self._wire.disconnect()
        else:
            await self._wire.disconnect(nowait=True)


def packed(commands: Sequence[Words]) -> bytes:
    pack: Callable[[Any], bytes] = hiredis.pack_command
    return b"".join(map(pack, commands))
