"""Redis as the transport sees it: sends commands where their keys live, over few connections."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Any, Final

from redis.crc import key_slot
from redis.exceptions import AskError, MovedError, NoPermissionError, ResponseError

from qalipsis.cluster.redis.address import Address, Node
from qalipsis.cluster.redis.awaited import Awaited
from qalipsis.cluster.redis.faults import ANSWERS, Passing, Words, code, judged
from qalipsis.cluster.redis.link import Link
from qalipsis.errors import QalipsisError, ServiceUnavailable, TransportClosed

MOST_REDIRECTS: Final = 5

LATE_SECONDS: Final = 0.5
"""After so long without an answer a server does not answer now, though its connections are open: more than
any way there and back takes, and `reader.BLOCK_SECONDS` says why it is not more. A request ends later."""

_PING: Final = ("PING",)
_SLOTS: Final = ("CLUSTER", "SLOTS")
_ASKING: Final = ("ASKING",)


class Lane:
    """A connection of one's own, for commands that wait; it follows its key to another server."""

    def __init__(self) -> None:
        self.link: Link | None = None

    async def to(self, node: Node, address: Address) -> Link:
        if self.link is None or not self.link.is_open or self.link.node != node:
            await self.aclose()
            link = Link(node, address)
            await link.open()
            self.link = link
        return self.link

    async def aclose(self) -> None:
        link, self.link = self.link, None
        if link is not None:
            await link.aclose()


class Servers:
    """One server, or the masters of a cluster. Every request ends within the timeout of the address."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._awaited = Awaited()
        self._pools: dict[Node, _Pool] = {}
        self._slots: list[tuple[int, int, Node]] = []
        self._is_outdated = True
        self._learning = asyncio.Lock()
        self._suspects: set[Node] = set()
        """Have not answered lately: others are asked before them."""
        self._is_closed = False

    async def open(self) -> None:
        """Connect and log in; raises ServiceUnavailable with what is to be done."""
        try:
            if self.address.is_cluster:
                await self._learn()
                masters = {node for _, _, node in self._slots}
            else:
                masters = {self.address.nodes[0]}
                answer = (await self._pool(self.address.nodes[0]).exchange([_PING], self._seconds))[0]
                # Who may not even ping is connected and logged in all the same.
                if isinstance(answer, ResponseError) and not isinstance(answer, NoPermissionError):
                    raise judged(answer, self.address.nodes[0], self.address, _PING)
            for node in masters:
                await self._pool(node).fill()
        except Passing as error:
            await self.aclose()
            raise ServiceUnavailable(
                f"{error}; see that it runs and lets {self.address.who} in from this machine, or correct "
                f"redis.uri (redis.uris of a cluster); {_scheme_hint(self.address)}"
            ) from error
        except BaseException:
            await self.aclose()
            raise

    async def ask(
        self, key: str, commands: Sequence[Words], lane: Lane | None = None, patience: float = 0.0
    ) -> list[Any]:
        """The answers to commands about keys that live where `key` does; errors in ANSWERS are values.

        `patience` seconds are added to the timeout, for commands that wait; they need a lane. Raises Passing,
        ServiceUnavailable, and TransportClosed after `aclose`. What raised Passing may have been done or not.
        """
        if self._is_closed:
            raise TransportClosed("the transport is closed")
        node, is_asking = await self._home(key), False
        for _ in range(MOST_REDIRECTS):
            sent = [command for each in commands for command in (_ASKING, each)] if is_asking else commands
            try:
                if lane is not None:
                    link = await lane.to(node, self.address)
                    with self._awaited.until(_now() + patience + LATE_SECONDS):
                        answers = await link.exchange(sent, self._seconds + patience)
                else:
                    answers = await self._pool(node).exchange(sent, self._seconds)
            except Passing:
                self._is_outdated = True
                self._suspects.add(node)
                raise
            if is_asking:
                answers = answers[1::2]
            redirect = next((each for each in answers if isinstance(each, AskError)), None)
            if redirect is None or not self.address.is_cluster:
                return [self._checked(*each, node) for each in zip(answers, commands, strict=True)]
            node, is_asking = self._elsewhere(redirect, node), not isinstance(redirect, MovedError)
        raise Passing(f"the Redis Cluster {self.address} sends {key} around")

    async def aclose(self) -> None:
        """Close the connections; lanes are closed by who has them."""
        self._is_closed = True
        pools, self._pools = self._pools, {}
        for pool in pools.values():
            await pool.aclose()

    @property
    def is_answering(self) -> bool:
        """False while any of them lets a request wait for longer than it should."""
        return not self._awaited.is_late(_now())

    @property
    def _seconds(self) -> float:
        return self.address.timeout_seconds

    def _checked(self, answer: Any, words: Words, node: Node) -> Any:
        if isinstance(answer, ResponseError) and code(answer) not in ANSWERS:
            error = judged(answer, node, self.address, words)
            if isinstance(error, Passing):
                self._is_outdated = True
            raise error from answer
        return answer

    def _elsewhere(self, redirect: AskError, node: Node) -> Node:
        self._is_outdated = True
        return Node(redirect.host or node.host, redirect.port)

    async def _home(self, key: str) -> Node:
        if not self.address.is_cluster:
            return self.address.nodes[0]
        async with self._learning:
            if self._is_outdated:
                await self._learn()
        slot = key_slot(key.encode())
        for first, last, node in self._slots:
            if first <= slot <= last:
                return node
        self._is_outdated = True
        raise Passing(f"no node of the Redis Cluster {self.address} serves {key}")

    async def _learn(self) -> None:
        """Ask the nodes, one after the other, who serves what; raises what the last of them raised."""
        errors: list[Passing | QalipsisError] = []
        nodes = dict.fromkeys((*(node for _, _, node in self._slots), *self.address.nodes))
        for node in sorted(nodes, key=self._suspects.__contains__):
            try:
                [answer] = await self._pool(node).exchange([_SLOTS], self._seconds)
                answer = self._checked(answer, _SLOTS, node)
            except (Passing, ServiceUnavailable) as error:
                errors.append(error)
                self._suspects.add(node)
                continue
            self._suspects.discard(node)
            self._slots = list(_slots(answer, node))
            self._is_outdated = False
            await self._keep({node for _, _, node in self._slots})
            return
        # Who refuses us says more than who does not answer.
        raise next((error for error in errors if not isinstance(error, Passing)), errors[-1])

    async def _keep(self, nodes: set[Node]) -> None:
        for node in set(self._pools) - nodes - set(self.address.nodes):
            await self._pools.pop(node).aclose()

    def _pool(self, node: Node) -> _Pool:
        if node not in self._pools:
            self._pools[node] = _Pool(node, self.address, self._awaited)
        return self._pools[node]


class _Pool:
    """The connections to one server; at most `max_total` requests are under way, others wait in order."""

    def __init__(self, node: Node, address: Address, awaited: Awaited) -> None:
        self._node = node
        self._address = address
        self._awaited = awaited
        self._free: list[Link] = []
        self._room = asyncio.Semaphore(address.pool.max_total)
        self._is_closed = False

    async def fill(self) -> None:
        """Open the connections that are to be there when nobody uses them."""
        while len(self._free) < min(self._address.pool.min_idle, self._address.pool.max_total):
            link = Link(self._node, self._address)
            await link.open()
            self._free.append(link)

    async def exchange(self, commands: Sequence[Words], seconds: float) -> list[Any]:
        async with self._room:
            link = self._free.pop() if self._free else None
            if link is None or not link.is_open:
                link = Link(self._node, self._address)
                await link.open()
            try:
                # From here on: neither others who have their turn before nor opening are slow answers.
                with self._awaited.until(_now() + LATE_SECONDS):
                    return await link.exchange(commands, seconds)
            except Passing:
                await self._drop()  # they have most likely ended together
                raise
            finally:
                if link.is_open and not self._is_closed and len(self._free) < self._address.pool.max_idle:
                    self._free.append(link)
                else:
                    await link.aclose()

    async def aclose(self) -> None:
        self._is_closed = True
        await self._drop()

    async def _drop(self) -> None:
        free, self._free = self._free, []
        for link in free:
            await link.aclose()


def _now() -> float:
    return asyncio.get_running_loop().time()


def _scheme_hint(address: Address) -> str:
    if address.verify is None:
        return "a port with TLS wants rediss://"
    return "a port without TLS wants redis://"


def _slots(answer: Iterable[Any], asked: Node) -> Iterable[tuple[int, int, Node]]:
    """The ranges of slots with their masters; a node that does not know its own address is the one asked."""
    for first, last, master, *_ in answer:
        host = master[0].decode() if master[0] else ""
        yield first, last, Node(host if host not in ("", "?") else asked.host, master[1])
