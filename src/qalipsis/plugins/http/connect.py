"""From a target to an open connection: addresses, TCP, proxy, TLS, each phase measured."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
from collections.abc import Callable
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from qalipsis.engine.step import StepError
from qalipsis.errors import ConfigurationError
from qalipsis.plugins.http.proxy import open_tunnel
from qalipsis.plugins.http.settings import Settings
from qalipsis.plugins.http.url import Target

P = TypeVar("P", bound=asyncio.Protocol)

REFUSED = frozenset({errno.ECONNREFUSED})
TIMED_OUT = frozenset({errno.ETIMEDOUT})
RESET = frozenset({errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED})


class Address(NamedTuple):
    """Where to connect to: what getaddrinfo says."""

    family: int
    sockaddr: Any


class Timings(NamedTuple):
    """Seconds; 0 for a phase that was not needed."""

    dns: float
    connect: float
    tls: float


class Resolver:
    """Addresses of hosts: asked for once, kept for `ttl` seconds; those who ask meanwhile wait together."""

    def __init__(self, now: Callable[[], float], hosts: dict[str, str], ttl: float) -> None:
        self._now = now
        self._hosts = hosts
        self._ttl = ttl
        self._known: dict[tuple[str, int], tuple[float, list[Address]]] = {}
        self._lookups: dict[tuple[str, int], asyncio.Task[list[Address]]] = {}

    def known(self, host: str, port: int) -> list[Address] | None:
        """The addresses, when they are known and have not expired."""
        known = self._known.get((host, port))
        return known[1] if known is not None and self._now() < known[0] else None

    async def find(self, host: str, port: int) -> list[Address]:
        """At least one address, in the system's order. Raises StepError("dns")."""
        known = self.known(host, port)
        if known is not None:
            return known
        key = host, port
        lookup = self._lookups.get(key)
        if lookup is None:
            lookup = self._lookups[key] = asyncio.get_running_loop().create_task(self._look_up(host, port))
            lookup.add_done_callback(lambda _: self._lookups.pop(key, None))
        # One impatient request must not take the answer away from the others.
        return await asyncio.shield(lookup)

    async def aclose(self) -> None:
        """Give up what is still being looked up."""
        lookups = list(self._lookups.values())
        for lookup in lookups:
            lookup.cancel()
        await asyncio.gather(*lookups, return_exceptions=True)

    async def _look_up(self, host: str, port: int) -> list[Address]:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(self._hosts.get(host, host), port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            reason = getattr(error, "strerror", None) or error
            raise StepError("dns", f"no address found for {host}: {reason}") from error
        addresses = [Address(family, sockaddr) for family, _, _, _, sockaddr in found]
        if not addresses:
            raise StepError("dns", f"no address found for {host}")
        self._known[host, port] = self._now() + self._ttl, addresses
        return addresses


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
        except ssl.SSLCertVerificationError as error:
            raise StepError(
                "tls",
                f"the certificate of {target.host}:{target.port} is not accepted: "
                f"{error.verify_message.rstrip('.')}{CERTIFICATE_HINTS.get(error.verify_code, '')}",
            ) from error
        except (ssl.SSLError, OSError) as error:
            reason = getattr(error, "reason", None) or error.strerror or error
            if reason == "WRONG_VERSION_NUMBER":
                reason = (
                    "what answers is no TLS; if the service speaks plain HTTP, write http:// for https://"
                )
            raise StepError(
                "tls", f"the TLS handshake with {target.host}:{target.port} failed: {reason}"
            ) from error
        return protocol


async def connect_any(addresses: list[Address], seconds: float, where: str) -> socket.socket:
    """A socket connected to the first address that answers; each gets its share of the time that is left.

    Raises StepError with the class of the last failure.
    """
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    failure: StepError | None = None
    for place, address in enumerate(addresses):
        share = (deadline - loop.time()) / (len(addresses) - place)
        try:
            return await _connect(address, share)
        except TimeoutError as error:
            failure = StepError("connect-timeout", f"no answer from {where} within {share:.3g} s")
            failure.__cause__ = error
        except OSError as error:
            failure = connect_failure(error, where)
    assert failure is not None
    raise failure


async def _connect(address: Address, seconds: float) -> socket.socket:
    sock = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        async with asyncio.timeout(seconds):
            await asyncio.get_running_loop().sock_connect(sock, address.sockaddr)
    except BaseException:
        sock.close()
        raise
    return sock


class Phase:
    """What a connection being opened waits for, so that a timeout can say it."""

    __slots__ = ("name",)

    def __init__(self) -> None:
        self.name = "dns"


def tls_context(settings: Settings) -> ssl.SSLContext:
    """One context for all connections of a client: it holds the certificates, which are large."""
    verify = settings.verify
    try:
        if isinstance(verify, str):
            folder = os.path.isdir(verify)
            context = ssl.create_default_context(
                cafile=None if folder else verify, capath=verify if folder else None
            )
        else:
            context = ssl.create_default_context()
    except (ssl.SSLError, OSError) as error:
        raise ConfigurationError(
            f"http.client verify={verify!r} holds no CA certificates: {error}"
        ) from error
    if verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if settings.cert is not None:
        certificate, key = settings.cert
        try:
            context.load_cert_chain(certificate, key)
        except (ssl.SSLError, OSError) as error:
            raise ConfigurationError(
                f"http.client cert: {certificate!r} and its key cannot be used: {error}"
            ) from error
    context.set_alpn_protocols(["http/1.1"])
    return context


_UNKNOWN_CA = "; give http.client(verify=…) the CA that signed it"
_OTHER_NAME = "; use a name of the certificate, and hosts={…} for its address"
CERTIFICATE_HINTS: Final = {
    18: _UNKNOWN_CA,  # X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT
    19: _UNKNOWN_CA,  # X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN
    20: _UNKNOWN_CA,  # X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY
    21: _UNKNOWN_CA,  # X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE
    62: _OTHER_NAME,  # X509_V_ERR_HOSTNAME_MISMATCH
    64: _OTHER_NAME,  # X509_V_ERR_IP_ADDRESS_MISMATCH
}
"""What to do, by OpenSSL's number of what is wrong."""


def connect_failure(error: OSError, where: str) -> StepError:
    """The class of a failed connection. What this machine lacks is never blamed on the target."""
    if error.errno in REFUSED:
        kind, text = "connect-refused", f"{where} refuses connections"
    elif error.errno in TIMED_OUT:
        kind, text = "connect-timeout", f"no answer from {where}"
    elif error.errno in RESET:
        kind, text = "reset", f"{where} reset the connection while it was opened"
    elif error.errno in (errno.EMFILE, errno.ENFILE):
        kind, text = "connect-failed", f"no descriptor left for a connection to {where}; raise `ulimit -n`"
    elif error.errno == errno.EADDRNOTAVAIL:
        kind, text = (
            "connect-failed",
            f"no local port left for a connection to {where}; "
            "keep connections open, or widen net.ipv4.ip_local_port_range",
        )
    else:
        kind, text = "connect-failed", f"no connection to {where}: {error.strerror or error}"
    failure = StepError(kind, text)
    failure.__cause__ = error
    return failure
