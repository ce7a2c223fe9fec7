"""From a client's address to an open connection: addresses, TCP, TLS, each phase measured."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Final, NamedTuple, TypeVar

from qalipsis.engine.dialing import Resolver, connect_any, connect_failure
from qalipsis.engine.step import StepError
from qalipsis.engine.tls import tls_context, tls_failure
from qalipsis.plugins.tcp.settings import Settings

P = TypeVar("P", bound=asyncio.Protocol)

DNS_TTL: Final = 60.0
"""Seconds for which an address is used for new connections before it is looked up again."""

SHUTDOWN_SECONDS: Final = 1.0
"""How long a service may take to answer the farewell of TLS."""


class Timings(NamedTuple):
    """Seconds; 0 for a phase that was not needed."""

    dns: float
    connect: float
    tls: float


class Connector:
    """Opens connections as one client's settings say. Raises ConfigurationError for bad certificates."""

    def __init__(self, settings: Settings, now: Callable[[], float]) -> None:
        self._now = now
        self._settings = settings
        self._resolver = Resolver(now, {}, DNS_TTL)
        self._tls = tls_context(settings.security) if settings.tls else None

    async def open(self, make: Callable[[], P]) -> tuple[P, Timings]:
        """A connected protocol. Raises StepError, after the client's connect timeout at the latest."""
        settings = self._settings
        limit = settings.connect_timeout
        now = self._now
        began = now()
        phase = "dns"
        try:
            async with asyncio.timeout(limit):
                addresses = await self._resolver.find(settings.host, settings.port)
                found = now()
                phase = "connect"
                sock = await connect_any(addresses, limit - (found - began), settings.where)
                connected = now()
                phase = "tls" if settings.tls else "connect"
                try:
                    protocol = await self._hand_over(sock, make)
                except BaseException:
                    sock.close()  # does nothing once a transport has taken it over
                    raise
        except TimeoutError as error:
            raise StepError(
                "dns" if phase == "dns" else "connect-timeout",
                f"no connection to {settings.where} within {limit:g} s, waiting for {phase}",
            ) from error
        return protocol, Timings(found - began, connected - found, now() - connected if settings.tls else 0.0)

    async def aclose(self) -> None:
        await self._resolver.aclose()

    async def _hand_over(self, sock: socket.socket, make: Callable[[], P]) -> P:
        loop = asyncio.get_running_loop()
        where = self._settings.where
        try:
            if self._tls is None:
                _, protocol = await loop.create_connection(make, sock=sock)
            else:
                _, protocol = await loop.create_connection(
                    make,
                    sock=sock,
                    ssl=self._tls,
                    server_hostname=self._settings.server_name,
                    # The timeout around all phases comes first; this one must only not be in its way.
                    ssl_handshake_timeout=self._settings.connect_timeout + 1.0,
                    ssl_shutdown_timeout=SHUTDOWN_SECONDS,
                )
        except OSError as error:  # the errors of ssl are such
            if self._tls is None:
                raise connect_failure(error, where) from error
            raise tls_failure(
                error,
                where,
                "tcp.client",
                other_name="give tcp.client(server_name=…) a name of the certificate",
                no_tls="if the service speaks plain TCP, leave tls=True out",
            ) from error
        return protocol
