"""From a broker's address to an open connection: name, TCP, TLS."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

from qalipsis.engine.dialing import Resolver, connect_any, connect_failure
from qalipsis.engine.tls import tls_context, tls_failure
from qalipsis.language.security import Security
from qalipsis.plugins.brokers.address import Address

P = TypeVar("P", bound=asyncio.BaseProtocol)

DNS_TTL = 60.0


class Connector:
    """Opens connections to one broker; every failure is a StepError that names it."""

    def __init__(self, where: str, address: Address, security: Security, now: Callable[[], float]) -> None:
        self._where = where
        self._address = address
        self._resolver = Resolver(now, {}, DNS_TTL)
        self._client = security.client
        self._tls = tls_context(security) if address.is_tls else None

    async def open(self, make: Callable[[], P], seconds: float) -> tuple[asyncio.Transport, P]:
        """A connected protocol. The caller bounds the whole; `seconds` is shared by the host's addresses."""
        host, port = self._address.host, self._address.port
        addresses = await self._resolver.find(host, port)
        sock = await connect_any(addresses, seconds, self._where)
        loop = asyncio.get_running_loop()
        try:
            return await loop.create_connection(
                make, sock=sock, ssl=self._tls, server_hostname=host if self._tls is not None else None
            )
        except OSError as error:  # the errors of ssl are such
            sock.close()
            if self._tls is None:
                raise connect_failure(error, self._where) from error
            raise tls_failure(
                error,
                self._where,
                self._client,
                other_name="write a name of the certificate in the address",
                no_tls="if the broker speaks without, leave the s out that ends mqtts:// or amqps://",
            ) from error
        except BaseException:
            sock.close()
            raise

    async def aclose(self) -> None:
        await self._resolver.aclose()
