"""A network of its own for a process, which rejects everything that comes in and was not asked for."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from uuid import uuid4

import pytest

from tests.services.home import HOST, find_program

RULES = """
    table inet fence {
        chain inbound {
            type filter hook input priority 0; policy accept;
            iif lo accept
            ct state established,related accept
            reject
        }
    }
"""

LISTEN = """
import socket, time
listener = socket.create_server(("", {port}))
print("ready", flush=True)
time.sleep(60)
"""


@dataclass(frozen=True, slots=True)
class Network:
    """`outside` is our address as seen from within, `inside` the one that nobody reaches."""

    name: str
    outside: str
    inside: str

    @property
    def prefix(self) -> tuple[str, ...]:
        """What makes a command run in it."""
        return ("ip", "netns", "exec", self.name)

    def rules(self, words: str) -> None:
        """What passes from now on."""
        subprocess.run([*self.prefix, "nft", "-f", "-"], input=words, text=True, check=True)

    def listen(self, port: int) -> subprocess.Popen[str]:
        """A process within that accepts connections from anywhere, to be killed."""
        command = [*self.prefix, sys.executable, "-c", LISTEN.format(port=port)]
        listener = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert listener.stdout is not None
        assert listener.stdout.readline() == "ready\n"
        return listener


@asynccontextmanager
async def open_network() -> AsyncIterator[Network]:
    """Skips the test where the kernel, or our account, has none."""
    missing = [each for each in ("ip", "nft") if shutil.which(each) is None]
    if missing or os.geteuid() != 0:
        reason = f"{' and '.join(missing)} not installed" if missing else "only root makes networks"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    id = uuid4().int
    name, link = f"faults-{id % 0xFFFFFF:06x}", f"{id % 0xFFFFFF:06x}"
    subnet = f"10.{200 + id % 50}.{id // 64 % 256}"
    network = Network(name, f"{subnet}.1", f"{subnet}.2")
    _run("ip", "netns", "add", name)
    try:
        _run("ip", "link", "add", f"o{link}", "type", "veth", "peer", "name", f"i{link}", "netns", name)
        _run("ip", "address", "add", f"{network.outside}/24", "dev", f"o{link}")
        _run("ip", "link", "set", f"o{link}", "up")
        _run(*network.prefix, "ip", "address", "add", f"{network.inside}/24", "dev", f"i{link}")
        _run(*network.prefix, "ip", "link", "set", f"i{link}", "up")
        _run(*network.prefix, "ip", "link", "set", "lo", "up")
        network.rules(RULES)
        yield network
    finally:
        _run("ip", "netns", "delete", name)  # and with it the link


@asynccontextmanager
async def relay(address: str, port: int) -> AsyncIterator[None]:
    """Whoever connects to this address speaks to the service of this port, which listens on loopback only."""

    relayed: set[asyncio.Task[None]] = set()

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError):
                while data := await reader.read(65536):
                    writer.write(data)
                    await writer.drain()
        finally:
            writer.close()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(HOST, port)
        for each in (carry(reader, back), carry(there, writer)):
            task = asyncio.create_task(each)
            relayed.add(task)
            task.add_done_callback(relayed.discard)

    server = await asyncio.start_server(connect, address, port)
    try:
        yield
    finally:
        server.close()
        left = tuple(relayed)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)


def _run(*words: str) -> None:
    subprocess.run([find_program(words[0]), *words[1:]], check=True)
