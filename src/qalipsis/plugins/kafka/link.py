"""Asks a cluster about its topics, and says exactly why it cannot be asked."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from aiokafka import errors
from aiokafka.conn import AIOKafkaConnection, create_conn
from aiokafka.protocol.admin import DeleteGroupsRequest
from aiokafka.protocol.coordination import FindCoordinatorRequest
from aiokafka.protocol.metadata import MetadataRequest

from qalipsis.engine.step import StepError
from qalipsis.plugins.kafka.failures import (
    AUTH,
    DENIED,
    DRIVER_ERRORS,
    NO_TOPIC,
    UNAVAILABLE,
    failure,
    kind_of,
    reason,
)
from qalipsis.plugins.kafka.settings import Connection, shown

NO_LEADER = -1

_driver = logging.getLogger("aiokafka")
if _driver.level == logging.NOTSET:
    # It reports each attempt on a lost broker, ten times a second; what matters is raised, and counted once.
    _driver.setLevel(logging.CRITICAL + 1)


@dataclass(frozen=True, slots=True)
class Topic:
    """What a broker says of a topic."""

    partitions: frozenset[int]
    without_leader: frozenset[int] = frozenset()
    error: str = ""
    """The class of what stands against its use, empty for nothing."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """Which topics there are, and on which brokers."""

    topics: dict[str, Topic] = field(default_factory=dict)
    brokers: tuple[tuple[str, int], ...] = ()


def driver_options(connection: Connection) -> dict[str, Any]:
    """What every client of the driver is given; raises StepError("tls") when a file cannot be used."""
    sasl, tls = connection.sasl, connection.tls
    options: dict[str, Any] = {"client_id": connection.client_id, "security_protocol": "PLAINTEXT"}
    if tls is not None:
        options["ssl_context"] = _ssl_context(connection)
        options["security_protocol"] = "SSL"
    if sasl is not None:
        options["security_protocol"] = "SASL_PLAINTEXT" if tls is None else "SASL_SSL"
        options["sasl_mechanism"] = sasl.mechanism
        options["sasl_plain_username"] = sasl.user
        options["sasl_plain_password"] = sasl.password
    return options


def bootstrap_servers(connection: Connection) -> list[str]:
    return [shown(host, port) for host, port in connection.brokers]


class Link:
    """A connection to any broker of a cluster, made when it is needed, and again when it is lost."""

    def __init__(self, connection: Connection, timeout: float) -> None:
        self._connection = connection
        self._timeout = timeout
        self._options = driver_options(connection)
        self._others: tuple[tuple[str, int], ...] = ()
        """Brokers that the cluster named: the one that was given may be the one that is gone."""
        self._wire: AIOKafkaConnection | None = None

    async def metadata(self, topics: Collection[str] | None) -> Metadata:
        """What the cluster says about some topics, or about all; creates none of them.

        Raises StepError, with everything that was tried.
        """
        wire = self._wire
        if wire is not None and wire.connected():
            with contextlib.suppress(StepError):
                return await self._ask(wire, topics)
        self.close()
        wire = self._wire = await self._connect()
        return await self._ask(wire, topics)

    async def require(self, topics: Sequence[str]) -> Metadata:
        """The same of topics that must be there and usable; raises StepError when one is not."""
        metadata = await self.metadata(topics)
        for name in topics:
            topic = metadata.topics.get(name)
            if topic is None or topic.error == NO_TOPIC:
                raise StepError(NO_TOPIC, await self._no_topic(name))
            if topic.error == DENIED:
                who = f"user {self._connection.user!r}" if self._connection.user else "this client"
                raise StepError(
                    DENIED, f"Kafka at {self._connection.address} does not let {who} use {name!r}"
                )
        return metadata

    async def delete_group(self, group: str) -> None:
        """Let the cluster forget a group that nobody is a member of; one that has members stays.

        Raises StepError when nobody can be asked.
        """
        await self.metadata([])
        assert self._wire is not None
        try:
            async with asyncio.timeout(self._timeout):
                found = await self._wire.send(FindCoordinatorRequest(group, 0))
                wire = await create_conn(
                    found.host,
                    found.port,
                    request_timeout_ms=round(self._timeout * 1000),
                    **self._options,
                )
                try:
                    await wire.send(DeleteGroupsRequest([group]))
                finally:
                    wire.close()
        except DRIVER_ERRORS as error:
            raise failure(error, f"cannot delete the group {group!r}") from error

    def close(self) -> None:
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.close()

    async def _connect(self) -> AIOKafkaConnection:
        failures = []
        addresses = dict.fromkeys(self._connection.brokers + self._others)
        for host, port in addresses:
            try:
                async with asyncio.timeout(self._timeout / len(addresses)):
                    return await create_conn(
                        host, port, request_timeout_ms=round(self._timeout * 1000), **self._options
                    )
            except DRIVER_ERRORS as error:
                failures.append(self._refused(host, port, error))
        raise next((failure for failure in failures if failure.kind == AUTH), failures[0])

    async def _ask(self, wire: AIOKafkaConnection, topics: Collection[str] | None) -> Metadata:
        request = MetadataRequest(None if topics is None else list(topics), allow_auto_topic_creation=False)
        try:
            async with asyncio.timeout(self._timeout):
                answer = await wire.send(request)
        except DRIVER_ERRORS as error:
            self.close()
            raise self._refused(wire.host, wire.port, error) from error
        brokers = tuple((host, port) for _, host, port, *_ in answer.brokers)
        self._others = brokers
        found = {}
        for code, name, is_internal, partitions in answer.topics:
            if topics is None and is_internal:
                continue
            found[name] = _topic(code, partitions)
        return Metadata(found, brokers)

    async def _no_topic(self, name: str) -> str:
        known = (await self.metadata(None)).topics
        near = get_close_matches(name, known, n=3, cutoff=0.6)
        hint = f"; near it: {', '.join(near)}" if near else ""
        return f"Kafka at {self._connection.address} has no topic {name!r}{hint}"

    def _refused(self, host: str, port: int, error: BaseException) -> StepError:
        connection = self._connection
        place = f"Kafka at {shown(host, port)}"
        kind = kind_of(error)
        if kind == AUTH:
            if connection.sasl is None:
                made = StepError(AUTH, f"{place} wants a login; give the cluster sasl=")
            elif isinstance(error, errors.UnsupportedSaslMechanismError):
                mechanism = connection.sasl.mechanism
                made = StepError(AUTH, f"{place} knows no login with {mechanism}; use another one")
            else:
                made = StepError(AUTH, f"{place} refuses the login of user {connection.user!r}")
        elif kind == "tls":
            made = StepError("tls", f"no TLS with {place}: {reason(error)}")
        elif kind == "timeout":
            made = StepError("timeout", f"{place} does not answer within {self._timeout:g} s")
        elif isinstance(error, errors.KafkaConnectionError):
            made = StepError(UNAVAILABLE, f"{place} hangs up{self._why_it_hangs_up()}")
        else:
            made = StepError(kind, f"cannot connect to {place}: {reason(error)}")
        made.__cause__ = error
        return made

    def _why_it_hangs_up(self) -> str:
        """A broker that is spoken to in the wrong way says nothing, it closes the connection."""
        missing = [
            f"{what} ({option}=)"
            for what, option, is_used in (
                ("TLS", "tls", self._connection.tls is not None),
                ("a login", "sasl", self._connection.sasl is not None),
            )
            if not is_used
        ]
        return f"; perhaps it wants {' or '.join(missing)}" if missing else ""


def _topic(code: int, partitions: Sequence[tuple[Any, ...]]) -> Topic:
    if code:
        return Topic(frozenset(), error=kind_of(errors.for_code(code)()))
    leaders = {number: leader for _, number, leader, *_ in partitions}
    return Topic(
        frozenset(leaders), frozenset(number for number, leader in leaders.items() if leader == NO_LEADER)
    )


def _ssl_context(connection: Connection) -> ssl.SSLContext:
    tls = connection.tls
    assert tls is not None
    try:
        context = ssl.create_default_context(cafile=tls.ca)
        if not tls.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if tls.cert is not None:
            context.load_cert_chain(tls.cert, tls.key, tls.key_password)
    except (OSError, ValueError) as error:
        files = ", ".join(str(file) for file in (tls.ca, tls.cert, tls.key) if file is not None)
        raise StepError(
            "tls", f"the files for TLS with {connection.address} cannot be used ({files}): {error}"
        ) from error
    return context
