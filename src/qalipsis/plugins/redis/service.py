"""A server or a cluster as one worker sees it: sends commands where their keys live."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from typing import Any

from redis import exceptions as driver

from qalipsis.engine.step import StepError
from qalipsis.errors import ConfigurationError, ServiceUnavailable
from qalipsis.language.location import Location
from qalipsis.plugins.redis.commands import Words
from qalipsis.plugins.redis.failures import PASSING, Unsent, refusal
from qalipsis.plugins.redis.link import tls_context
from qalipsis.plugins.redis.node import NO_BOOKS, Answers, Books, Node
from qalipsis.plugins.redis.settings import Address, Settings
from qalipsis.plugins.redis.topology import Topology, parsed

BREATH = 0.05
"""Seconds before a cluster is asked again what it refused, doubled each time: a failover takes seconds."""
LONGEST_BREATH = 0.4
DOWN_SECONDS = 0.05
"""For so long the requests to a server that cannot be connected to fail as the first of them did: hundreds
of them, all connecting in vain, would take the worker's core."""

ASKING: Words = (b"ASKING",)


class Service:
    """Shared by the steps of a client; every call ends within the client's timeout."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        try:
            if settings.tls is not None:
                tls_context(settings.tls)
        except OSError as error:
            raise ConfigurationError(f"the certificates for Redis cannot be used: {error}") from error
        self._nodes: dict[Address, Node] = {}
        self._topology = Topology()
        self._is_reached = False
        self._learning: asyncio.Task[None] | None = None
        self._down: dict[Address, tuple[float, Unsent]] = {}

    def deadline(self) -> float:
        return asyncio.get_running_loop().time() + self.settings.timeout

    async def reach(self) -> None:
        """Connect, log in, and get to know the cluster. Raises StepError."""
        if self._is_reached:
            return
        deadline = self.deadline()
        if self.settings.is_cluster:
            await self._learn(deadline)
        else:
            [answer] = await self._node(self.settings.addresses[0]).ask([(b"PING",)], deadline, NO_BOOKS)
            # Who may not even ping is connected and logged in all the same.
            if isinstance(answer, driver.ResponseError) and not isinstance(answer, driver.NoPermissionError):
                raise self.refused(answer, (b"PING",), self.settings.addresses[0])
        self._is_reached = True

    async def send(self, commands: Sequence[Words], is_repeatable: bool, books: Books) -> Answers:
        """The answers in the order of the commands; errors among them are values.

        One request per server. In a cluster, what was redirected, or could not be served during a failover,
        is sent again until the timeout; what may have been done already only when it `is_repeatable`.
        """
        deadline = self.deadline()
        if not self.settings.is_cluster:
            return await self._node(self.settings.addresses[0]).ask(commands, deadline, books)
        return await self._send_around(commands, is_repeatable, books, deadline)

    async def ask(
        self, words: Words, books: Books = NO_BOOKS, patience: float = 0.0, is_repeatable: bool = True
    ) -> Any:
        """The answer to one command; raises StepError for one that is an error.

        `patience` seconds are added to the timeout, for a command that blocks.
        """
        deadline = self.deadline() + patience
        if self.settings.is_cluster:
            [answer] = await self._send_around([words], is_repeatable, books, deadline)
        else:
            [answer] = await self._node(self.settings.addresses[0]).ask([words], deadline, books)
        if isinstance(answer, driver.ResponseError):
            raise self.refused(answer, words)
        return answer

    async def ask_at(self, address: Address, words: Words, books: Books = NO_BOOKS) -> Any:
        """The same of a particular server."""
        [answer] = await self._node(address).ask([words], self.deadline(), books)
        if isinstance(answer, driver.ResponseError):
            raise self.refused(answer, words, address)
        return answer

    async def masters(self) -> list[Address]:
        """Every server that holds keys. Raises StepError."""
        if not self.settings.is_cluster:
            return [self.settings.addresses[0]]
        await self._learn(self.deadline())
        return self._topology.masters

    def refused(self, error: driver.ResponseError, words: Words, address: Address | None = None) -> StepError:
        """The failure that an answer means."""
        place = address or self._address(words)
        failure = StepError(*refusal(error, words, place, self.settings))
        failure.__cause__ = error
        return failure

    async def aclose(self) -> None:
        """Close every connection; safe to call twice."""
        if self._learning is not None:
            self._learning.cancel()
            with suppress(asyncio.CancelledError):
                await self._learning
        nodes, self._nodes = self._nodes, {}
        for node in nodes.values():
            await node.aclose()

    # Clusters

    async def _send_around(
        self, commands: Sequence[Words], is_repeatable: bool, books: Books, deadline: float
    ) -> Answers:
        answers: Answers = [None] * len(commands)
        asking: dict[int, Address] = {}
        pending: Sequence[int] = range(len(commands))
        rounds = 0
        breath = BREATH
        if not self._topology.masters:
            await self._learn(deadline)
        while True:
            groups: dict[tuple[Address, bool], list[int]] = {}
            for index in pending:
                address = asking.get(index)
                place = (self._address(commands[index]), False) if address is None else (address, True)
                groups.setdefault(place, []).append(index)
            requests = [
                self._ask_group(address, [commands[index] for index in group], is_asking, books, deadline)
                for (address, is_asking), group in groups.items()
            ]
            rounds += 1
            asking.clear()
            again: list[int] = []
            # A redirect is followed at once; one after the other means that the servers do not agree yet.
            needs_breath = rounds > 2
            failure: StepError | None = None
            outcomes = await _all(requests)
            for ((address, _), group), outcome in zip(groups.items(), outcomes, strict=True):
                if isinstance(outcome, StepError):
                    if outcome.kind not in PASSING or not (is_repeatable or isinstance(outcome, Unsent)):
                        raise outcome
                    failure, needs_breath = outcome, True
                    again += group
                    continue
                for index, answer in zip(group, outcome, strict=True):
                    answers[index] = answer
                    if isinstance(answer, driver.MovedError):
                        self._topology.moved(answer.slot_id, _redirected(answer, address))
                        self._learn_soon()
                    elif isinstance(answer, driver.AskError):
                        asking[index] = _redirected(answer, address)
                    elif isinstance(answer, driver.ClusterDownError | driver.TryAgainError):
                        needs_breath = True
                    else:
                        continue
                    again.append(index)
            if not again:
                return answers
            pending = sorted(again)
            if needs_breath:
                if asyncio.get_running_loop().time() + breath >= deadline:
                    raise failure or self.refused(answers[pending[0]], commands[pending[0]])
                await asyncio.sleep(breath)
                breath = min(2 * breath, LONGEST_BREATH)
                self._learn_soon()

    async def _ask_group(
        self, address: Address, commands: list[Words], is_asking: bool, books: Books, deadline: float
    ) -> Answers | StepError:
        now = asyncio.get_running_loop().time
        down = self._down.get(address)
        if down is not None and now() < down[0]:
            return down[1]
        try:
            if not is_asking:
                return await self._node(address).ask(commands, deadline, books)
            interleaved = [words for command in commands for words in (ASKING, command)]
            return (await self._node(address).ask(interleaved, deadline, books))[1::2]
        except StepError as error:
            if isinstance(error, Unsent) and error.kind != "timeout":
                self._down[address] = (now() + DOWN_SECONDS, error)
            return error

    def _learn_soon(self) -> None:
        """Ask who serves what, beside the requests and for all of them at once."""
        if self._learning is None or self._learning.done():
            self._learning = asyncio.get_running_loop().create_task(self._learn_quietly())

    async def _learn_quietly(self) -> None:
        # Who needs the answer asks again, and fails with its own deadline.
        with suppress(StepError):
            await self._learn(self.deadline())

    async def _learn(self, deadline: float) -> None:
        """Ask the servers in turn who serves what, until one knows. Raises the last StepError."""
        known = dict.fromkeys([*self._topology.masters, *self.settings.addresses])
        failure: StepError | None = None
        now = asyncio.get_running_loop().time
        for asked, address in enumerate(known):
            # One that is frozen must not take the time of the others.
            until = now() + (deadline - now()) / (len(known) - asked)
            try:
                [answer] = await self._node(address).ask([(b"CLUSTER", b"SLOTS")], until, NO_BOOKS)
            except StepError as error:
                if error.kind not in PASSING:
                    raise
                failure = error
                continue
            if isinstance(answer, driver.ResponseError):
                failure = self._no_cluster(answer, address)
                if failure.kind not in PASSING:
                    raise failure
                continue
            topology = parsed(answer, address)
            if topology.masters:
                self._topology = topology
                return
            failure = StepError("cluster", f"Redis at {address} knows no server with slots yet")
        raise failure or StepError("cluster", "the cluster has no address")

    def _no_cluster(self, error: driver.ResponseError, address: Address) -> StepError:
        if "cluster support disabled" in str(error):
            return StepError(
                "no-cluster", f"Redis at {address} is no cluster: write one address without cluster=True"
            )
        return self.refused(error, (b"CLUSTER SLOTS",), address)

    def _address(self, words: Words) -> Address:
        """Who serves a command, as far as is known."""
        first = self.settings.addresses[0]
        return (self._topology.address(key_of(words)) or first) if self.settings.is_cluster else first

    def _node(self, address: Address) -> Node:
        node = self._nodes.get(address)
        if node is None:
            node = self._nodes[address] = Node(address, self.settings)
        return node


def key_of(words: Words) -> bytes:
    """Where the key of a command stands."""
    name = words[0]
    if name in (b"XREAD", b"XREADGROUP"):
        return words[-2]  # of one stream, before the id after which is read
    if name in (b"XGROUP", b"XINFO"):
        return words[2]
    return words[1] if len(words) > 1 else b""


def _redirected(error: driver.AskError, asked: Address) -> Address:
    """Where a redirect points to; without a host, to another port of the server that was asked."""
    return Address(error.host or asked.host, error.port)


async def _all(requests: list[Coroutine[Any, Any, Answers | StepError]]) -> list[Answers | StepError]:
    return [await requests[0]] if len(requests) == 1 else await asyncio.gather(*requests)


def unavailable(error: StepError, name: str, location: Location) -> ServiceUnavailable:
    """What stops a campaign before its start: where the client was written, what is wrong, what to do."""
    hint = "\n    start the service, or correct the client's address" if error.kind in PASSING else ""
    return ServiceUnavailable(f"{location.file}:{location.line}: {name} cannot be used: {error}{hint}")
