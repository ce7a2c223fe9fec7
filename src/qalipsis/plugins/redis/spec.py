"""What an author says about Redis: a client, and what is saved, produced, polled and consumed with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, overload

from qalipsis.language.callables import function_problems
from qalipsis.language.context import Context
from qalipsis.language.durations import Duration, duration_problems, seconds
from qalipsis.language.location import NOWHERE, Location, caller
from qalipsis.language.source import Source
from qalipsis.language.spec import Spec
from qalipsis.plugins.redis.commands import ByContext, Command, In, Of, Word, field_words
from qalipsis.plugins.redis.records import Added, Entry, Field, KeyValue, Member, Saved, Scored, Text
from qalipsis.plugins.redis.settings import Settings, settle, shown

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    Value = TypeVar("Value", default=Any)
else:
    from typing import TypeVar

    Value = TypeVar("Value")
Record = TypeVar("Record", covariant=True)

Kind = Literal["scan", "sscan", "hscan", "zscan"]
KINDS = ("scan", "sscan", "hscan", "zscan")
OFFSETS = ("latest", "earliest")


@dataclass(frozen=True, eq=False, repr=False)
class RedisClient(Generic[Text]):
    """A server or a cluster with the options to reach it; made by `client`.

    Options are kept as written, so that every mistake is found at once when the scenario is compiled.
    """

    url: Any
    cluster: Any = None
    username: Any = None
    password: Any = None
    database: Any = None
    client_name: Any = None
    timeout: Any = None
    pool_size: Any = 10
    verify: Any = None
    cert: Any = None
    decode: Any = True
    location: Location = NOWHERE

    @overload
    def save(self, *commands: Command[Value]) -> Save[Value]: ...
    @overload
    def save(self, commands: Callable[[Value], Sequence[Command[Any]]], /) -> Save[Value]: ...
    @overload
    def save(self, commands: Callable[[Context, Value], Sequence[Command[Any]]], /) -> Save[Value]: ...
    def save(self, *commands: Any) -> Save[Any]:
        """Send commands in one pipeline: given one by one, or by one function that makes a list of them."""
        return Save(self, commands)

    @overload
    def produce(
        self, stream: Of[Word, In], fields: Of[Mapping[str, Word], In], max_length: int | None = None
    ) -> Produce[In]: ...
    @overload
    def produce(
        self,
        stream: ByContext[Word, In],
        fields: ByContext[Mapping[str, Word], In],
        max_length: int | None = None,
    ) -> Produce[In]: ...
    def produce(self, stream: Any, fields: Any, max_length: Any = None) -> Produce[Any]:
        """Add one entry to a stream (XADD), which is kept at about `max_length` entries."""
        return Produce(self, stream, fields, max_length)

    @overload
    def poll(
        self,
        kind: Literal["scan"],
        key: str = "*",
        every: Duration = "1s",
        count: int = 1000,
        values: bool = True,
        repeat: bool = False,
    ) -> Poll[KeyValue[Text]]: ...
    @overload
    def poll(
        self,
        kind: Literal["sscan"],
        key: str | bytes,
        every: Duration = "1s",
        count: int = 1000,
        *,
        repeat: bool = False,
    ) -> Poll[Member[Text]]: ...
    @overload
    def poll(
        self,
        kind: Literal["hscan"],
        key: str | bytes,
        every: Duration = "1s",
        count: int = 1000,
        *,
        repeat: bool = False,
    ) -> Poll[Field[Text]]: ...
    @overload
    def poll(
        self,
        kind: Literal["zscan"],
        key: str | bytes,
        every: Duration = "1s",
        count: int = 1000,
        *,
        repeat: bool = False,
    ) -> Poll[Scored[Text]]: ...
    def poll(
        self,
        kind: Any,
        key: Any = "*",
        every: Any = "1s",
        count: Any = 1000,
        values: Any = True,
        repeat: Any = False,
    ) -> Poll[Any]:
        """Look again and again at the keys of a pattern, or into a set, a hash or a sorted set.

        Emits what it has not emitted before; with `repeat`, everything at each look.
        """
        return Poll(self, kind, key, every, count, values, repeat)

    def consume(
        self,
        stream: str | bytes,
        group: str | None = None,
        offset: Literal["latest", "earliest"] = "latest",
        consumer: str = "qalipsis",
    ) -> Consume[Entry[Text]]:
        """The entries of a stream, each to one reader of a group when they are taken as unicast.

        `group` names a consumer group to share; without it one is made for the campaign and removed
        afterwards. `offset` says where a new group, or a reader without group, begins.
        """
        return Consume(self, stream, group, offset, consumer)

    def settings(self) -> Settings:
        """The checked options; call only when `problems()` is empty."""
        settings = self._settled[0]
        assert settings is not None
        return settings

    def problems(self) -> list[str]:
        """Every mistake in the options, each as a sentence that says what to write instead."""
        return list(self._settled[1])

    @cached_property
    def _settled(self) -> tuple[Settings | None, tuple[str, ...]]:
        return settle(self)

    def __repr__(self) -> str:
        urls = [self.url] if isinstance(self.url, str) or not isinstance(self.url, Sequence) else self.url
        return f"RedisClient({', '.join(shown(url) if isinstance(url, str) else '…' for url in urls)})"


@overload
def client(
    url: str | Sequence[str],
    *,
    cluster: bool | None = None,
    username: str | None = None,
    password: str | None = None,
    database: int | None = None,
    client_name: str | None = None,
    timeout: Duration | None = None,
    pool_size: int = 10,
    verify: bool | str | PurePath | None = None,
    cert: str | PurePath | tuple[str | PurePath, str | PurePath] | None = None,
    decode: Literal[True] = True,
) -> RedisClient[str]: ...
@overload
def client(
    url: str | Sequence[str],
    *,
    cluster: bool | None = None,
    username: str | None = None,
    password: str | None = None,
    database: int | None = None,
    client_name: str | None = None,
    timeout: Duration | None = None,
    pool_size: int = 10,
    verify: bool | str | PurePath | None = None,
    cert: str | PurePath | tuple[str | PurePath, str | PurePath] | None = None,
    decode: Literal[False],
) -> RedisClient[bytes]: ...
def client(
    url: Any,
    *,
    cluster: Any = None,
    username: Any = None,
    password: Any = None,
    database: Any = None,
    client_name: Any = None,
    timeout: Any = None,
    pool_size: Any = 10,
    verify: Any = None,
    cert: Any = None,
    decode: Any = True,
) -> RedisClient[Any]:
    """Describe a Redis server, or by several addresses a cluster; docs/plugins/redis.md explains each option.

    Steps that share a client share its connections.
    """
    return RedisClient(
        url=url,
        cluster=cluster,
        username=username,
        password=password,
        database=database,
        client_name=client_name,
        timeout=timeout,
        pool_size=pool_size,
        verify=verify,
        cert=cert,
        decode=decode,
        location=caller(),
    )


class OfClient:
    """What the steps and sources of a client have in common."""

    client: RedisClient[Any]

    def own_problems(self) -> list[str]:
        raise NotImplementedError

    def problems(self) -> list[str]:
        return [*self.own_problems(), *self.client.problems()]

    def problems_by_place(self, here: Location) -> list[tuple[Location, str]]:
        of_client = [(self.client.location, problem) for problem in self.client.problems()]
        return [*((here, problem) for problem in self.own_problems()), *of_client]


@dataclass(frozen=True, eq=False)
class Save(OfClient, Spec[Value, Saved[Value]], Generic[Value]):
    """Commands in one pipeline."""

    kind: ClassVar[str] = "redis.save"
    client: RedisClient[Any]
    commands: tuple[Any, ...]

    def own_problems(self) -> list[str]:
        commands = self.commands
        if len(commands) == 1 and callable(commands[0]):
            return function_problems("redis save", commands[0], ("value", "context, value"))
        if not commands:
            return ['redis save needs a command, for example redis.set("key", "value")']
        found = []
        for command in commands:
            if isinstance(command, Command):
                found += command.problems()
            else:
                found.append(
                    f"redis save takes commands such as redis.set(…), or one function that returns a list of "
                    f"them, not {command!r}"
                )
        return found

    def default_name(self) -> str:
        names = [command.name.lower() for command in self.commands if isinstance(command, Command)]
        return f"redis-{names[0]}" if len(names) == 1 and names[0].isalnum() else "redis-save"


@dataclass(frozen=True, eq=False)
class Produce(OfClient, Spec[In, Added], Generic[In]):
    """One entry to a stream."""

    kind: ClassVar[str] = "redis.produce"
    client: RedisClient[Any]
    stream: Any
    fields: Any
    max_length: Any = None

    def own_problems(self) -> list[str]:
        found = []
        for name, part in (("stream", self.stream), ("fields", self.fields)):
            if callable(part):
                found += function_problems(f"redis produce {name}", part, ("value", "context, value"))
        if not callable(self.stream):
            found += _key_problems("produce", "stream", self.stream)
        if not callable(self.fields):
            try:
                field_words(self.fields)
            except ValueError as error:
                found.append(f"redis produce: {error}")
        if self.max_length is not None and not _is_count(self.max_length):
            found.append(
                f"redis produce max_length={self.max_length!r} should be a whole number of at least 1"
            )
        return found


@dataclass(frozen=True, eq=False)
class Poll(OfClient, Source[Record], Generic[Record]):
    """Looks at keys or into a collection, again and again."""

    kind: ClassVar[str] = "redis.poll"
    client: RedisClient[Any]
    scan: Any
    key: Any
    every: Any
    count: Any
    values: Any
    repeat: Any

    def own_problems(self) -> list[str]:
        if self.scan not in KINDS:
            return [f"redis poll({self.scan!r}) should be one of {', '.join(map(repr, KINDS))}"]
        found = _key_problems(f"poll({self.scan!r})", "pattern" if self.scan == "scan" else "key", self.key)
        every = duration_problems("redis poll every", self.every)
        if not every and seconds(self.every) == 0:
            every = ["redis poll every should be above 0, so that the service is not asked without a pause"]
        found += every
        if not _is_count(self.count):
            found.append(f"redis poll count={self.count!r} should be a whole number of at least 1")
        for name in ("values", "repeat"):
            if not isinstance(getattr(self, name), bool):
                found.append(f"redis poll {name}={getattr(self, name)!r} should be True or False")
        return found

    def default_name(self) -> str:
        return f"redis-{self.scan}" if self.scan in KINDS else "redis-poll"


@dataclass(frozen=True, eq=False)
class Consume(OfClient, Source[Record], Generic[Record]):
    """Reads a stream."""

    kind: ClassVar[str] = "redis.consume"
    is_dealt_by_service: ClassVar[bool] = True
    client: RedisClient[Any]
    stream: Any
    group: Any = None
    offset: Any = "latest"
    consumer: Any = "qalipsis"

    def own_problems(self) -> list[str]:
        found = _key_problems("consume", "stream", self.stream)
        if self.group is not None:
            found += _key_problems("consume", "group", self.group)
        found += _key_problems("consume", "consumer", self.consumer)
        if self.offset not in OFFSETS:
            found.append(f'redis consume offset={self.offset!r} should be "latest" or "earliest"')
        return found


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _key_problems(verb: str, name: str, value: Any) -> list[str]:
    if isinstance(value, str | bytes) and value:
        return []
    return [f"redis {verb} {name}={value!r} should be a text that is not empty"]
