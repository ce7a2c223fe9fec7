"""From a target to an open connection: addresses, TCP, proxy, TLS, each phase measured."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeVar

from qalipsis.engine import tls
from qalipsis.engine.dialing import Resolver, connect_any, connect_failure
from qalipsis.engine.step import StepError
from qalipsis.engine.tls import tls_failure
from qalipsis.plugins.http.proxy import open_tunnel
from qalipsis.plugins.http.settings import Settings
from qalipsis.plugins.http.url import Target

P = TypeVar("P", bound=asyncio.Protocol)


class Timings(NamedTuple):
    """Seconds; 0 for a phase that was not needed."""

    dns: float
    connect: float
    tls: float


class Opener(Protocol):
    """Where connections come from: a `Connector`, or what stands in for the network in tests."""

    async def open(self, target: Target, make: Callable[[], P], patience: float) -> tuple[P, Timings]: ...

    async def aclose(self) -> None: ...


class Connector:
    """Opens connections as one client's settings say."""

    def __init__(self, settings: Settings, now: Callable[[], float]) -> None:
        self._now = now
        self._timeout = settings.connect_timeout
        self._proxy = settings.proxy
        self._resolver = Resolver(now, settings.hosts, settings.dns_ttl)
        self._settings = settings
        self._tls: ssl.SSLContext | None = None
        if settings.target.is_tls:
            self._tls = tls_context(settings)  # bad files are the author's mistake: found at the start

    def first_stop(self, target: Target) -> tuple[str, int]:
        """Host and port that the socket connects to: the proxy's, or the target's own."""
        if self._proxy is not None:
            return self._proxy.host, self._proxy.port
        return target.host, target.port

    async def open(self, target: Target, make: Callable[[], P], patience: float) -> tuple[P, Timings]:
        """A protocol connected to the target.

        Gives up with StepError("connect-timeout") after the client's connect timeout, or with
        StepError("timeout") when the request's own `patience` in seconds is shorter.
        """
        limit = min(self._timeout, patience)
        phase = Phase()
        try:
            async with asyncio.timeout(limit):
                return await self._open(target, make, limit, phase)
        except TimeoutError as error:
            kind = "connect-timeout" if limit == self._timeout else "timeout"
            if phase.name == "dns":
                kind = "dns"
            host, port = self.first_stop(target)
            raise StepError(
                kind, f"no connection to {host}:{port} within {limit:g} s, waiting for {phase.name}"
            ) from error

    async def aclose(self) -> None:
        await self._resolver.aclose()

    async def _open(
        self, target: Target, make: Callable[[], P], limit: float, phase: Phase
    ) -> tuple[P, Timings]:
        now = self._now
        began = now()
        host, port = self.first_stop(target)
        addresses = self._resolver.known(host, port)
        dns = 0.0
        if addresses is None:
            addresses = await self._resolver.find(host, port)
            dns = now() - began
        destination = target.host
        if self._proxy is not None and self._proxy.scheme == "socks5":
            destination = (await self._resolver.find(target.host, target.port))[0].sockaddr[0]
        phase.name = "connect"
        sock = await connect_any(addresses, limit - dns, f"{host}:{port}")
        try:
            if self._proxy is not None and (target.is_tls or self._proxy.scheme != "http"):
                await open_tunnel(sock, self._proxy, destination, target.port)
            connected = now()
            if not target.is_tls:
                protocol = await self._hand_over(sock, make)
                return protocol, Timings(dns, connected - began - dns, 0.0)
            phase.name = "tls"
            protocol = await self._hand_over_tls(sock, make, target, limit)
            return protocol, Timings(dns, connected - began - dns, now() - connected)
        except BaseException:
            sock.close()  # does nothing once a transport has taken it over
            raise

    async def _hand_over(self, sock: socket.socket, make: Callable[[], P]) -> P:
        loop = asyncio.get_running_loop()
        try:
            _, protocol = await loop.create_connection(make, sock=sock)
        except OSError as error:
            raise connect_failure(error, "the target") from error
        return protocol

    async def _hand_over_tls(
        self, sock: socket.socket, make: Callable[[], P], target: Target, limit: float
    ) -> P:
        loop = asyncio.get_running_loop()
        if self._tls is None:
            self._tls = tls_context(self._settings)
        try:
            _, protocol = await loop.create_connection(
                make,
                sock=sock,
                ssl=self._tls,
                server_hostname=target.host,
                # The timeout around all phases comes first; this one must only not be in its way.
                ssl_handshake_timeout=limit + 1.0,
            )
        except OSError as error:  # the errors of ssl are such
            raise tls_failure(
                error,
                f"{target.host}:{target.port}",
                "http.client",
                other_name="use a name of the certificate, and hosts={…} for its address",
                no_tls="if the service speaks plain HTTP, write http:// for https://",
            ) from error
        return protocol


class Phase:
    """What a connection being opened waits for, so that a timeout can say it."""

    __slots__ = ("name",)

    def __init__(self) -> None:
        self.name = "dns"


def tls_context(settings: Settings) -> ssl.SSLContext:
    """What the client's options ask for. Raises ConfigurationError when a file of theirs cannot be used."""
    context = tls.tls_context(settings.security)
    context.set_alpn_protocols(["http/1.1"])
    return context
