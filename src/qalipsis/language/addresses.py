"""Addresses of services as authors write them."""

from __future__ import annotations

from typing import Any

EXPECTED = 'write for example "127.0.0.1:7000", "echo.example:7000" or "[::1]:7000"'


def parse_address(address: Any, port: Any = None) -> tuple[str, int]:
    """Host and port of `"host:port"`, or of a host whose `port` is given beside it; raises ValueError."""
    if not isinstance(address, str):
        raise ValueError(f"{address!r} is no address; {EXPECTED}")
    if "://" in address:
        raise ValueError(f"{address!r} should have no scheme; {EXPECTED}")
    host, written = _parts(address.strip())
    if written and port is not None:
        raise ValueError(f"{address!r} has a port, and port={port!r} is another; give one of them")
    if not written and port is None:
        raise ValueError(f"{address!r} has no port; {EXPECTED}, or give port=7000")
    if not host or any(character in host for character in "/?#@ ,"):
        raise ValueError(f"{address!r} is no address; {EXPECTED}")
    return host, _number(written if port is None else port)


def shown_address(host: str, port: int) -> str:
    """The address for messages."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _parts(address: str) -> tuple[str, str]:
    if address.startswith("["):
        host, bracket, rest = address[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            return "", ""
        return host, rest[1:]
    if address.count(":") > 1:  # IPv6 without brackets has no room for a port
        return address, ""
    host, _, port = address.partition(":")
    return host, port


def _number(port: Any) -> int:
    text = str(port)
    if isinstance(port, bool) or not (text.isascii() and text.isdigit()) or not 0 < int(text) < 65_536:
        raise ValueError(f"the port {port!r} should be a number between 1 and 65535")
    return int(text)
