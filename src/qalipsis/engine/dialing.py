"""From a name to a connected socket: addresses, the first that answers, and the class of every failure."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Callable
from typing import Any, NamedTuple

from qalipsis.engine.step import StepError

REFUSED = frozenset({errno.ECONNREFUSED})
TIMED_OUT = frozenset({errno.ETIMEDOUT})
RESET = frozenset({errno.ECONNRESET, errno.EPIPE, errno.ECONNABORTED})


class Address(NamedTuple):
    """Where to connect to: what getaddrinfo says."""

    family: int
    sockaddr: Any


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
