"""From a broker's address to an open connection: name, TCP, TLS."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import TypeVar

from qalipsis.engine.dialing import Resolver, connect_any
from qalipsis.engine.step import StepError
from qalipsis.plugins.brokers.address import Address
from qalipsis.plugins.brokers.options import Security
from qalipsis.plugins.brokers.security import tls_context

P = TypeVar("P", bound=asyncio.BaseProtocol)

DNS_TTL = 60.0


class Connector:
    """Opens connections to one broker; every failure is a StepError that names it."""

    def __init__(self, where: str, address: Address, security: Security, now: Callable[[], float]) -> None:
        self._where = where
        self._address = address
        self._resolver = Resolver(now, {}, DNS_TTL)
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
        except ssl.SSLCertVerificationError as error:
            sock.close()
            raise StepError(
                "tls",
                f"the certificate of {self._where} is not accepted: {error.verify_message}; "
                "give the client verify=… with the CA that signed it",
            ) from error
        except (ssl.SSLError, OSError) as error:
            sock.close()
            kind, what = ("connect-failed", "connection") if self._tls is None else ("tls", "TLS")
            raise StepError(kind, f"no {what} with {self._where}: {error}") from error
        except BaseException:
            sock.close()
            raise

    async def aclose(self) -> None:
        await self._resolver.aclose()
