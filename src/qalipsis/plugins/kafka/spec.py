"""What an author says about Kafka: a cluster, records, topics. Nothing here connects to anything."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import (
    TYPE_CHECKING,
    Any,
    ClassVar,
    Generic,
    Literal,
    Protocol,
    TypedDict,
    TypeVar,
    Unpack,
    overload,
)

from msgspec import Struct

from qalipsis.language.context import Context
from qalipsis.language.durations import Duration, seconds
from qalipsis.language.location import NOWHERE, Location, caller
from qalipsis.language.source import Source
from qalipsis.language.spec import Spec
from qalipsis.plugins.kafka.problems import cluster_problems, consume_problems, produce_problems
from qalipsis.plugins.kafka.record import Produced, Record
from qalipsis.plugins.kafka.security import Sasl, Tls
from qalipsis.plugins.kafka.settings import Connection, connection_of

if TYPE_CHECKING:
    from typing_extensions import TypeVar as DefaultTypeVar

    # The default lets a step without functions be kept in a variable and be used after any step.
    In = DefaultTypeVar("In", contravariant=True, default=Any)
else:
    In = TypeVar("In", contravariant=True)

K = TypeVar("K")
V = TypeVar("V")


class Dataclass(Protocol):
    """What `@dataclass` makes."""

    __dataclass_fields__: ClassVar[dict[str, Any]]


Bootstrap = str | Sequence[str]
Security = Literal[True] | str | PathLike[str] | Tls | None
Data = bytes | str | float | bool | Mapping[Any, Any] | Sequence[Any] | Struct | Dataclass | None
"""Bytes as they are, text as UTF-8, None as null, anything else as JSON."""
HeaderFields = Mapping[str, Data] | Sequence[tuple[str, Data]]


class ClusterOptions(TypedDict, total=False):
    """Where the brokers are, when no `Cluster` says so."""

    bootstrap: Bootstrap
    tls: Security
    sasl: Sasl | None
    client_id: str | None


class ConsumeOptions(ClusterOptions, total=False):
    """What a consumer may say beside topics, key and value."""

    pattern: str | None
    group: str | None
    offset: Literal["latest", "earliest"]
    bad_records: Literal["skip", "fail"]
    timeout: Duration
    recovery_timeout: Duration
    options: Mapping[str, Any] | None


class ProduceOptions(ClusterOptions, total=False):
    """What holds for all records of a step."""

    key_serialiser: Literal["json"] | Callable[[Any], bytes] | None
    value_serialiser: Literal["json"] | Callable[[Any], bytes] | None
    acks: Literal["all", 1, 0]
    linger: Duration
    compression: Literal["gzip", "snappy", "lz4", "zstd"] | None
    timeout: Duration
    options: Mapping[str, Any] | None


class Parts(ProduceOptions, Generic[In], total=False):
    """What a record may say beside topic and value, each a value or a function of the step's input."""

    key: Data | Callable[[In], object]
    headers: HeaderFields | Callable[[In], HeaderFields | None] | None
    partition: int | Callable[[In], int | None] | None
    timestamp: float | Callable[[In], float | None] | None


class ContextParts(ProduceOptions, Generic[In], total=False):
    """As `Parts`, with functions of (context, input)."""

    key: Data | Callable[[Context, In], object]
    headers: HeaderFields | Callable[[Context, In], HeaderFields | None] | None
    partition: int | Callable[[Context, In], int | None] | None
    timestamp: float | Callable[[Context, In], float | None] | None


@dataclass(frozen=True, eq=False)
class Cluster:
    """How brokers are connected to; made by `cluster`.

    Options are kept as written, so that every mistake is found at once when the scenario is compiled.
    """

    bootstrap: Any = "localhost:9092"
    tls: Any = None
    sasl: Any = field(default=None, repr=False)
    client_id: Any = None
    location: Location = NOWHERE

    @property
    def consume(self) -> Consume:
        return Consume(self)

    @property
    def produce(self) -> Produce:
        return Produce(self)

    def connection(self) -> Connection:
        """The checked options; call only when `problems()` is empty."""
        return connection_of(self)

    def problems(self) -> list[str]:
        """Every mistake in the options, each as a sentence that says what to write instead."""
        return list(cluster_problems(self))


def cluster(
    bootstrap: Bootstrap = "localhost:9092",
    *,
    tls: Security = None,
    sasl: Sasl | None = None,
    client_id: str | None = None,
) -> Cluster:
    """Describe how a cluster's brokers are connected to; docs/plugins/kafka.md explains every option.

    `bootstrap` is "host:port", several of them with commas between, or a list.
    """
    return Cluster(bootstrap, tls, sasl, client_id, caller())


@dataclass(frozen=True, eq=False)
class ConsumeSpec(Source[Record[K, V]], Generic[K, V]):
    """Records of topics, with keys of type K and values of type V; options are kept as written."""

    kind: ClassVar[str] = "kafka.consume"
    is_dealt_by_service: ClassVar[bool] = True

    cluster: Cluster
    topics: Any = None
    pattern: Any = None
    group: Any = None
    offset: Any = "latest"
    key: Any = bytes
    value: Any = bytes
    bad_records: Any = "skip"
    timeout: Any = "10s"
    recovery_timeout: Any = "30s"
    options: Any = None
    overruled: tuple[str, ...] = ()
    """Options of the cluster that were given here as well."""

    def names(self) -> tuple[str, ...]:
        """The topics, none when a pattern says which."""
        if self.topics is None:
            return ()
        return (self.topics,) if isinstance(self.topics, str) else tuple(dict.fromkeys(self.topics))

    def problems(self) -> list[str]:
        return [*consume_problems(self), *self.cluster.problems()]

    def problems_by_place(self, here: Location) -> list[tuple[Location, str]]:
        return _by_place(here, consume_problems(self), self.cluster)

    def default_name(self) -> str:
        topic = self.topics if isinstance(self.topics, str) else ""
        return "-".join(filter(None, ("consume", _slug(topic))))


@dataclass(frozen=True, eq=False)
class ProduceSpec(Spec[In, Produced], Generic[In]):
    """One record for a topic, made from a value of type In; parts are kept as written."""

    kind: ClassVar[str] = "kafka.produce"

    cluster: Cluster
    topic: Any
    value: Any = None
    key: Any = None
    headers: Any = None
    partition: Any = None
    timestamp: Any = None
    key_serialiser: Any = None
    value_serialiser: Any = None
    acks: Any = "all"
    linger: Any = "0ms"
    compression: Any = None
    timeout: Any = "10s"
    options: Any = None
    overruled: tuple[str, ...] = ()

    def timeout_seconds(self) -> float:
        return seconds(self.timeout)

    def problems(self) -> list[str]:
        return [*produce_problems(self), *self.cluster.problems()]

    def problems_by_place(self, here: Location) -> list[tuple[Location, str]]:
        return _by_place(here, produce_problems(self), self.cluster)

    def default_name(self) -> str:
        topic = self.topic if isinstance(self.topic, str) else ""
        return "-".join(filter(None, ("produce", _slug(topic))))


@dataclass(frozen=True, slots=True, eq=False)
class Consume:
    """`kafka.consume`, or a cluster's, ready to be given topics."""

    cluster: Cluster | None = None

    # A key or value is bytes when nothing is said, what a function returns, or whatever the JSON has.

    @overload
    def __call__(
        self, topics: str | Sequence[str] | None = None, **options: Unpack[ConsumeOptions]
    ) -> ConsumeSpec[bytes, bytes]: ...
    @overload
    def __call__(
        self,
        topics: str | Sequence[str] | None = None,
        *,
        key: Callable[[bytes], K],
        **options: Unpack[ConsumeOptions],
    ) -> ConsumeSpec[K, bytes]: ...
    @overload
    def __call__(
        self,
        topics: str | Sequence[str] | None = None,
        *,
        value: Callable[[bytes], V],
        **options: Unpack[ConsumeOptions],
    ) -> ConsumeSpec[bytes, V]: ...
    @overload
    def __call__(
        self,
        topics: str | Sequence[str] | None = None,
        *,
        key: Callable[[bytes], K],
        value: Callable[[bytes], V],
        **options: Unpack[ConsumeOptions],
    ) -> ConsumeSpec[K, V]: ...
    @overload
    def __call__(
        self,
        topics: str | Sequence[str] | None = None,
        *,
        value: Literal["json"],
        **options: Unpack[ConsumeOptions],
    ) -> ConsumeSpec[bytes, Any]: ...
    @overload
    def __call__(
        self,
        topics: str | Sequence[str] | None = None,
        *,
        key: Callable[[bytes], K],
        value: Literal["json"],
        **options: Unpack[ConsumeOptions],
    ) -> ConsumeSpec[K, Any]: ...
    @overload
    def __call__(
        self,
        topics: str | Sequence[str] | None = None,
        *,
        key: Literal["json"],
        **options: Unpack[ConsumeOptions],
    ) -> ConsumeSpec[Any, bytes]: ...
    @overload
    def __call__(
        self,
        topics: str | Sequence[str] | None = None,
        *,
        key: Literal["json"],
        value: Callable[[bytes], V],
        **options: Unpack[ConsumeOptions],
    ) -> ConsumeSpec[Any, V]: ...
    @overload
    def __call__(
        self,
        topics: str | Sequence[str] | None = None,
        *,
        key: Literal["json"],
        value: Literal["json"],
        **options: Unpack[ConsumeOptions],
    ) -> ConsumeSpec[Any, Any]: ...
    def __call__(self, topics: Any = None, **options: Any) -> ConsumeSpec[Any, Any]:
        """The records of topics: a name, a list of names, or `pattern=` for all that match it."""
        of, own, overruled = _shared(self.cluster, options, caller())
        return ConsumeSpec(of, topics, overruled=overruled, **own)


@dataclass(frozen=True, slots=True, eq=False)
class Produce:
    """`kafka.produce`, or a cluster's, ready to be given a topic."""

    cluster: Cluster | None = None

    @overload
    def __call__(
        self,
        topic: str | Callable[[In], str],
        *,
        value: Data | Callable[[In], object],
        **parts: Unpack[Parts[In]],
    ) -> ProduceSpec[In]: ...
    @overload
    def __call__(
        self,
        topic: str | Callable[[Context, In], str],
        *,
        value: Data | Callable[[Context, In], object],
        **parts: Unpack[ContextParts[In]],
    ) -> ProduceSpec[In]: ...
    def __call__(self, topic: Any, *, value: Any, **parts: Any) -> ProduceSpec[Any]:
        """A record for `topic`; every part is a value, or a function of the input or (context, input)."""
        of, own, overruled = _shared(self.cluster, parts, caller())
        return ProduceSpec(of, topic, value, overruled=overruled, **own)


consume = Consume()
produce = Produce()


def _shared(
    given: Cluster | None, options: dict[str, Any], here: Location
) -> tuple[Cluster, dict[str, Any], tuple[str, ...]]:
    """The cluster of a step, the options that are the step's own, and the cluster's that stand there too."""
    names = ClusterOptions.__annotations__
    of_cluster = {name: option for name, option in options.items() if name in names}
    own = {name: option for name, option in options.items() if name not in names}
    if given is None:
        return Cluster(**of_cluster, location=here), own, ()
    return given, own, tuple(of_cluster)


def _by_place(here: Location, own: Any, cluster: Cluster) -> list[tuple[Location, str]]:
    of_cluster = [(cluster.location, problem) for problem in cluster.problems()]
    return [*((here, problem) for problem in own), *of_cluster]


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60].rstrip("-")
