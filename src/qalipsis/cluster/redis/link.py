"""One connection to one server of Redis, for one request at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Final

from hiredis import pack_command
from redis.asyncio import Connection, SSLConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from qalipsis.cluster.redis.address import Address, Node
from qalipsis.cluster.redis.faults import Words, judged

CLOSE_SECONDS: Final = 1.0


class Link:
    """Opened once, and closed for good by the first doubt whether an answer belongs to its request."""

    def __init__(self, node: Node, address: Address) -> None:
        self.node = node
        self._address = address
        self._connection = _connection(node, address, self._log_in)
        self._stream: asyncio.StreamWriter | None = None
        self.is_open = False

    async def open(self) -> None:
        """Connect and log in; raises Passing or ServiceUnavailable."""
        try:
            async with asyncio.timeout(self._address.timeout_seconds):
                await self._connection.connect()  # type: ignore[no-untyped-call]
        except (RedisError, OSError) as error:
            await self.aclose()
            raise judged(error, self.node, self._address) from error
        except BaseException:
            await self.aclose()
            raise
        self.is_open = True

    async def exchange(self, commands: Sequence[Words], seconds: float) -> list[Any]:
        """The answers in the order of the commands, errors among them as values; raises Passing."""
        connection, answers = self._connection, []
        try:
            async with asyncio.timeout(seconds):
                # What the driver does in Python, in a sixth of the time; its stub knows tuples of one only.
                packed = [pack_command(tuple(command)) for command in commands]  # type: ignore[arg-type]
                await connection.send_packed_command(packed, check_health=False)
                for _ in commands:
                    try:
                        answers.append(await connection.read_response())
                    except ResponseError as error:
                        answers.append(error)
        except (RedisError, OSError) as error:
            await self.aclose()
            raise judged(error, self.node, self._address, commands[len(answers)]) from error
        except BaseException:
            await self.aclose()
            raise
        return answers

    async def aclose(self) -> None:
        """Close; what is under way fails."""
        self.is_open = False
        stream, self._stream = self._stream, None
        with suppress(RedisError, OSError, TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._connection.disconnect()
                if stream is not None:
                    # The driver may not have waited for a goodbye that TLS expects from the other side.
                    stream.transport.abort()
                    await stream.wait_closed()

    async def _log_in(self, connection: Connection) -> None:
        self._stream = connection._writer
        await connection.on_connect()


def _connection(node: Node, address: Address, log_in: Callable[[Connection], Awaitable[None]]) -> Connection:
    options: dict[str, Any] = {
        "host": node.host,
        "port": node.port,
        "db": address.database,
        "username": address.username,
        "password": address.password.reveal() if address.password is not None else None,
        "client_name": address.client_name,
        "socket_timeout": None,
        "socket_connect_timeout": address.timeout_seconds,
        "socket_keepalive": True,
        "redis_connect_func": log_in,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
    }
    if address.verify is None:
        return Connection(**options)
    return SSLConnection(
        ssl_cert_reqs="none" if address.verify == "none" else "required",
        ssl_check_hostname=address.verify == "full",
        **options,
    )
