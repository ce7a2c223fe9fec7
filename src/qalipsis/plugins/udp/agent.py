"""What the steps of one client share in a worker: its address, and the seats of minions."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine
from typing import Any, Final

from qalipsis.engine.dialing import Address, Resolver, connect_failure
from qalipsis.engine.step import StepError, StepMinion, StepRuntime
from qalipsis.language.addresses import shown_address
from qalipsis.metrics.meters import StepMeters
from qalipsis.plugins.udp.exchange import Commons, DatagramSocket
from qalipsis.plugins.udp.seat import Seat
from qalipsis.plugins.udp.spec import UdpClient

DNS_TTL: Final = 60.0
"""Seconds for which an address is used for new sockets before it is looked up again."""

DNS_SECONDS: Final = 5.0
"""How long a name may take to be looked up."""


class Agent:
    """One client's side of the wire; closed when the last step is."""

    def __init__(self, client: UdpClient, runtime: StepRuntime) -> None:
        self.client = client
        self._host, self._port = client.place()
        self._commons = Commons(runtime.clock.now, runtime.wheel, shown_address(self._host, self._port))
        self._now = runtime.clock.now
        self._resolver = Resolver(self._now, {}, DNS_TTL)
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def where(self) -> str:
        return self._commons.where

    def seat(self, minion: StepMinion) -> Seat:
        """The minion's seat, made when it comes for the first time."""
        seat = minion.resources.get(self)
        if seat is None:
            seat = minion.resources[self] = Seat()
        return seat  # type: ignore[return-value]  # the key is this very agent's

    def address(self) -> Address | None:
        """Where to send, when that is known."""
        addresses = self._resolver.known(self._host, self._port)
        return None if addresses is None else preferred(addresses)

    async def find_address(self, meters: StepMeters | None = None) -> Address:
        """Where to send. Raises StepError("dns")."""
        began = self._now()
        try:
            async with asyncio.timeout(DNS_SECONDS):
                addresses = await self._resolver.find(self._host, self._port)
        except TimeoutError as error:
            raise StepError("dns", f"no address found for {self._host} within {DNS_SECONDS:g} s") from error
        if meters is not None:
            meters.phase("dns", self._now() - began)
        return preferred(addresses)

    def open(self, seat: Seat, address: Address, meters: StepMeters) -> DatagramSocket:
        """A new socket for the seat, in place of the one it has. Raises StepError."""
        if seat.socket is not None:
            seat.socket.close()
        try:
            seat.socket = DatagramSocket(self._commons, address, meters)
        except OSError as error:
            seat.socket = None
            raise connect_failure(error, self.where) from error
        seat.is_open = True
        return seat.socket

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something that waits for the address; it is cancelled when the agent closes."""
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def aclose(self) -> None:
        """End what still waits; safe to call twice."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._resolver.aclose()
        self._commons.watch.close()


def preferred(addresses: list[Address]) -> Address:
    """The first of IPv4, else the first: which one answers cannot be found out without a connection."""
    return next((address for address in addresses if address.family == socket.AF_INET), addresses[0])
