"""The connections of one database in a worker: opened when needed, kept, replaced when in doubt."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from functools import lru_cache
from typing import Any, TypeVar

import asyncpg
import msgspec

from qalipsis.clock import Clock
from qalipsis.engine.step import StepError
from qalipsis.engine.traffic import Traffic
from qalipsis.metrics.meters import StepMeters
from qalipsis.plugins.sql.failures import connect_failure, failure
from qalipsis.plugins.sql.settings import Settings
from qalipsis.plugins.sql.statement import quoted

Answer = TypeVar("Answer")
Connection = Any
"""The driver has no types."""

CLOSING_SECONDS = 2.0
"""For a polite end: asking the server to give up a statement, and saying goodbye."""


async def connect(settings: Settings, patience: float | None = None) -> Connection:
    """A connection that is logged in, after `patience` seconds at the most. Raises StepError."""
    limit = settings.connect_timeout if patience is None else min(settings.connect_timeout, patience)
    connection: Connection = None
    try:
        async with asyncio.timeout(limit):
            # Everything is said, the empty password too: the driver would look into the environment.
            connection = await asyncpg.connect(
                host=settings.host,
                port=settings.port,
                user=settings.user,
                password=settings.password.reveal(),
                database=settings.database,
                ssl=_tls(settings.tls),
                timeout=limit,
                server_settings={"application_name": "qalipsis", **_search_path(settings.schema)},
            )
            for name in ("json", "jsonb"):
                await connection.set_type_codec(
                    name, encoder=_json, decoder=msgspec.json.decode, schema="pg_catalog"
                )
    except BaseException as error:
        if connection is not None:
            connection.terminate()
        if isinstance(error, Exception):
            raise connect_failure(error, settings.place, limit) from error
        raise
    return connection


async def close(connection: Connection) -> None:
    """Give up what runs on the connection, and end it; bounded in time, raises nothing."""
    try:
        await connection.close(timeout=CLOSING_SECONDS)
    except Exception:  # it is terminated then
        connection.terminate()


class Pool:
    """So many connections at the most, the last used first; closed when the last step is.

    The driver's own pool resets a session after each use: one more statement for the service under test, and
    in nobody's books. It also does not tell a long wait for a connection from a slow login.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self.settings = settings
        self._now = clock.now
        self._free: list[Connection] = []
        self._permits = asyncio.Semaphore(settings.pool_size)
        self._closing: set[asyncio.Task[None]] = set()
        self._is_reached = False
        self._is_closed = False

    async def reach(self) -> None:
        """See that the database lets us in; the connection is kept for the first step. Raises StepError."""
        if not self._is_reached:
            self._free.append(await connect(self.settings))
            self._is_reached = True

    async def run(
        self,
        traffic: Traffic,
        meters: StepMeters,
        send: Callable[[Connection, float], Awaitable[Answer]],
    ) -> Answer:
        """What `send(connection, seconds left)` returns: one statement on a connection of its own.

        Waiting for the connection, opening it and the statement share the database's timeout.
        Raises StepError.
        """
        deadline = self._now() + self.settings.timeout
        await self._permit(meters)
        connection: Connection = None
        is_sound = False
        try:
            connection = await self._obtain(deadline, meters)
            answer = await traffic.request(lambda: self._send(connection, deadline, send))
            if connection.is_in_transaction():
                raise StepError(
                    "transaction",
                    f"{self.settings.place}: the statement left a transaction open; each statement here is "
                    "a transaction of its own, and several can be one in a function or a DO block",
                )
            is_sound = True
        except StepError as error:
            is_sound = error.kind not in ("timeout", "transaction", "closed")
            raise
        finally:
            self._give_back(connection, is_sound)
        return answer

    async def aclose(self) -> None:
        """Close every connection; safe to call twice."""
        self._is_closed = True
        while self._free:
            self._retire(self._free.pop())
        while self._closing:
            await asyncio.wait(self._closing)

    async def _permit(self, meters: StepMeters) -> None:
        settings = self.settings
        try:
            async with asyncio.timeout(settings.timeout):
                await self._permits.acquire()
        except TimeoutError as error:
            meters.failure("pool-timeout")
            raise StepError(
                "pool-timeout",
                f"{settings.place}: none of the {settings.pool_size} connections became free within "
                f"{settings.timeout:g} s; make pool_size larger, or send less at once",
            ) from error

    async def _obtain(self, deadline: float, meters: StepMeters) -> Connection:
        while self._free:
            connection = self._free.pop()
            if not connection.is_closed():
                return connection
        began = self._now()
        try:
            connection = await connect(self.settings, deadline - began)
        except StepError as error:
            meters.failure(error.kind)
            raise
        meters.phase("connect", self._now() - began)
        return connection

    async def _send(
        self,
        connection: Connection,
        deadline: float,
        send: Callable[[Connection, float], Awaitable[Answer]],
    ) -> Answer:
        try:
            return await send(connection, deadline - self._now())
        except Exception as error:
            raise failure(error, self.settings.place) from error

    def _give_back(self, connection: Connection, is_sound: bool) -> None:
        if connection is None or connection.is_closed():
            self._permits.release()
        elif is_sound and not self._is_closed:
            self._free.append(connection)
            self._permits.release()
        else:
            # It still counts until it is gone, so that the database never sees more than the pool may hold.
            self._retire(connection).add_done_callback(lambda closing: self._permits.release())

    def _retire(self, connection: Connection) -> asyncio.Task[None]:
        closing = asyncio.get_running_loop().create_task(close(connection))
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)
        return closing


@lru_cache
def _tls(tls: bool | str | None) -> Any:
    """As the driver wants it: TLS if the server offers it, checked against authorities, or none.

    Kept, because reading the authorities stalls the loop for milliseconds.
    """
    if tls is None:
        return "prefer"
    if tls is False:
        return False
    return ssl.create_default_context(cafile=None if tls is True else tls)


def _search_path(schema: str | None) -> dict[str, str]:
    return {} if schema is None else {"search_path": quoted(schema)}


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
