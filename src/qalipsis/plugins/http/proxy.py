"""Through a proxy to the target: CONNECT and SOCKS5, spoken on the bare socket before TLS begins."""

from __future__ import annotations

import asyncio
import socket
from ipaddress import ip_address

from qalipsis.engine.step import StepError
from qalipsis.plugins.http.auth import basic_credentials
from qalipsis.plugins.http.url import Proxy

MAX_ANSWER = 16_384
"""Bytes of a proxy's answer to CONNECT; a longer one is none."""

SOCKS_VERSION = 5
NO_AUTHENTICATION, USER_AND_PASSWORD, NOTHING_ACCEPTABLE = 0, 2, 0xFF
CONNECT = 1
IPV4, DOMAIN, IPV6 = 1, 3, 4
SOCKS_ERRORS = {
    1: "a general failure",
    2: "that its rules forbid it",
    3: "that the network is unreachable",
    4: "that the host is unreachable",
    5: "that the connection was refused",
    6: "that the time to live expired",
    7: "that it knows no CONNECT",
    8: "that it knows no such kind of address",
}


def authorization(proxy: Proxy) -> bytes | None:
    """The value of Proxy-Authorization, when the proxy's URL names a user."""
    if proxy.user is None:
        return None
    return basic_credentials(proxy.user, proxy.password or "").encode()


async def open_tunnel(sock: socket.socket, proxy: Proxy, host: str, port: int) -> None:
    """Make the connected socket lead to `host` and `port`. Raises StepError("proxy") when it is refused."""
    try:
        if proxy.scheme == "http":
            await _connect(sock, proxy, host, port)
        else:
            await _socks5(sock, proxy, host, port)
    except OSError as error:
        raise _refused(proxy, f"closed the connection ({error.strerror or error})") from error


async def _connect(sock: socket.socket, proxy: Proxy, host: str, port: int) -> None:
    loop = asyncio.get_running_loop()
    authority = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    request = f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n".encode()
    credentials = authorization(proxy)
    if credentials is not None:
        request += b"Proxy-Authorization: %b\r\n" % credentials
    await loop.sock_sendall(sock, request + b"\r\n")
    answer = b""
    while b"\r\n\r\n" not in answer:
        piece = await loop.sock_recv(sock, 4096)
        answer += piece
        if not piece or len(answer) > MAX_ANSWER:
            raise _refused(proxy, f"gave no complete answer to CONNECT {authority}")
    line = answer.partition(b"\r\n")[0].decode("latin-1")
    version, _, status = line.partition(" ")
    if not version.startswith("HTTP/1.") or not status.startswith("2"):
        hint = "; write user and password into the proxy's URL" if status.startswith("407") else ""
        raise _refused(proxy, f"answered {line!r} to CONNECT {authority}{hint}")
    if not answer.endswith(b"\r\n\r\n"):
        # The target speaks only when spoken to: these bytes belong to nobody.
        raise _refused(proxy, f"sent more than its answer to CONNECT {authority}")


async def _socks5(sock: socket.socket, proxy: Proxy, host: str, port: int) -> None:
    loop = asyncio.get_running_loop()
    method = NO_AUTHENTICATION if proxy.user is None else USER_AND_PASSWORD
    methods = bytes((NO_AUTHENTICATION,) if method == NO_AUTHENTICATION else (NO_AUTHENTICATION, method))
    await loop.sock_sendall(sock, bytes((SOCKS_VERSION, len(methods))) + methods)
    version, chosen = await _receive(sock, 2, proxy)
    if version != SOCKS_VERSION:
        raise _refused(proxy, "does not speak SOCKS5")
    if chosen == USER_AND_PASSWORD == method:
        user, password = (proxy.user or "").encode(), (proxy.password or "").encode()
        if len(user) > 255 or len(password) > 255:
            raise _refused(proxy, "takes no user or password of more than 255 bytes")
        await loop.sock_sendall(sock, b"\x01%c%b%c%b" % (len(user), user, len(password), password))
        _, status = await _receive(sock, 2, proxy)
        if status:
            raise _refused(proxy, "does not accept the user and password of its URL")
    elif chosen != NO_AUTHENTICATION:
        raise _refused(proxy, "wants authentication; write user and password into its URL")
    await loop.sock_sendall(sock, b"\x05\x01\x00%b%b" % (_socks_address(host), port.to_bytes(2, "big")))
    _, status, _, kind = await _receive(sock, 4, proxy)
    if status:
        reason = SOCKS_ERRORS.get(status, f"error {status}")
        raise _refused(proxy, f"answered {reason}, asked for {host}:{port}")
    if kind == DOMAIN:
        [length] = await _receive(sock, 1, proxy)
    else:
        length = 16 if kind == IPV6 else 4
    await _receive(sock, length + 2, proxy)  # the address it uses, which matters to nobody


def _socks_address(host: str) -> bytes:
    try:
        address = ip_address(host)
    except ValueError:
        name = host.encode()
        return b"%c%c%b" % (DOMAIN, len(name), name)
    return bytes((IPV4 if address.version == 4 else IPV6,)) + address.packed


async def _receive(sock: socket.socket, count: int, proxy: Proxy) -> bytes:
    """Exactly so many bytes: what follows belongs to the tunnel."""
    loop = asyncio.get_running_loop()
    received = b""
    while len(received) < count:
        piece = await loop.sock_recv(sock, count - len(received))
        if not piece:
            raise _refused(proxy, "closed the connection before the tunnel was open")
        received += piece
    return received


def _refused(proxy: Proxy, what: str) -> StepError:
    return StepError("proxy", f"the proxy {proxy.host}:{proxy.port} {what}")
