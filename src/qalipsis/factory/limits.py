"""Whether this machine can hold the connections that a campaign may open."""

from __future__ import annotations

import os
import resource
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

RESERVE: Final = 64
"""Descriptors kept for what user code, name resolution and the loop itself open."""

PORT_RANGE: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
DEFAULT_PORTS: Final = (32768, 60999)

Target = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Need:
    """What one worker may hold open, and what it may open at all."""

    connections: Mapping[Target, int]
    descriptors_allowed: int
    descriptors_open: int


def refusal(
    needs: Mapping[int, Need], ports: tuple[int, int], others: Mapping[Target, int] | None = None
) -> str | None:
    """Why the campaign cannot run here, with the numbers and the remedy; None when it can.

    `needs` are by worker; `ports` the first and last port that connections may come from; `others` the
    connections that other campaigns may hold on this machine.
    """
    for worker, need in needs.items():
        wanted = sum(need.connections.values())
        allowed, used = need.descriptors_allowed, need.descriptors_open
        if wanted > allowed - used - RESERVE:
            return (
                f"worker {worker} may hold {wanted:,} connections, but its process may open {allowed:,} "
                f"descriptors, of which {used:,} are open and {RESERVE} kept in reserve: raise the limit "
                f"(ulimit -n {wanted + used + RESERVE}), use more workers or fewer minions, or let minions "
                'share connections (connections="pool")'
            )
    first, last = ports
    together: Counter[Target] = Counter()
    for need in needs.values():
        together.update(need.connections)
    for (host, port), wanted in together.items():
        held = (others or {}).get((host, port), 0)
        if wanted + held > last - first + 1:
            beside = f" beside {held:,} of other campaigns" if held else ""
            return (
                f"the campaign may hold {wanted:,} connections to {host}:{port}{beside}, but this "
                f"machine has {last - first + 1:,} ports for them ({first} to {last}): widen "
                "net.ipv4.ip_local_port_range, spread the load over more target addresses, use fewer "
                'minions, or let minions share connections (connections="pool")'
            )
    return None


def raise_descriptor_limit() -> int:
    """Allow this process as many descriptors as it may have; returns how many that are."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def open_descriptors() -> int:
    """How many descriptors this process has open."""
    return len(os.listdir("/proc/self/fd"))


def local_ports() -> tuple[int, int]:
    """The ports that this machine's outgoing connections come from."""
    try:
        first, last = PORT_RANGE.read_text().split()
    except OSError:
        return DEFAULT_PORTS
    return int(first), int(last)
