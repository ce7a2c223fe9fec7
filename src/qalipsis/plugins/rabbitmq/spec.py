"""What an author says about RabbitMQ: a client, what it produces and reads. Nothing here connects."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypedDict, TypeVar, Unpack, overload

from qalipsis.language.context import Context
from qalipsis.language.durations import Duration
from qalipsis.language.location import NOWHERE, Location, caller
from qalipsis.language.of_client import OfClient
from qalipsis.language.security import Cert, Verify
from qalipsis.language.source import Source
from qalipsis.language.spec import Spec, named
from qalipsis.plugins.brokers.address import shown
from qalipsis.plugins.brokers.options import count_problems, flag_problems
from qalipsis.plugins.brokers.payload import Payload, decode_problems
from qalipsis.plugins.rabbitmq.problems import client_problems, name_problems, produce_problems
from qalipsis.plugins.rabbitmq.records import Message, Produced
from qalipsis.plugins.rabbitmq.settings import Settings, settled

if TYPE_CHECKING:
    from typing_extensions import TypeVar as DefaultTypeVar

    # The default lets a step without functions be kept in a variable and be used after any step.
    In = DefaultTypeVar("In", contravariant=True, default=Any)
else:
    In = TypeVar("In", contravariant=True)

Out = TypeVar("Out", covariant=True)
Decoded = TypeVar("Decoded")

PREFETCH = 1_000


class Properties(TypedDict, Generic[In], total=False):
    """Properties of a message, each a value or a function of the step's input. None leaves one out."""

    headers: Mapping[str, Any] | Callable[[In], Mapping[str, Any] | None] | None
    content_type: str | Callable[[In], str | None] | None
    message_id: str | Callable[[In], str | None] | None
    correlation_id: str | Callable[[In], str | None] | None
    reply_to: str | Callable[[In], str | None] | None
    type: str | Callable[[In], str | None] | None
    priority: int | Callable[[In], int | None] | None
    expiration: Duration | Callable[[In], Duration | None] | None


class ContextProperties(TypedDict, Generic[In], total=False):
    """As `Properties`, with functions of (context, input)."""

    headers: Mapping[str, Any] | Callable[[Context, In], Mapping[str, Any] | None] | None
    content_type: str | Callable[[Context, In], str | None] | None
    message_id: str | Callable[[Context, In], str | None] | None
    correlation_id: str | Callable[[Context, In], str | None] | None
    reply_to: str | Callable[[Context, In], str | None] | None
    type: str | Callable[[Context, In], str | None] | None
    priority: int | Callable[[Context, In], int | None] | None
    expiration: Duration | Callable[[Context, In], Duration | None] | None


PROPERTIES = frozenset(Properties.__annotations__)


@dataclass(frozen=True, eq=False)
class RabbitmqClient:
    """Connections to one virtual host of a broker with the same options; made by `client`.

    Options are kept as written, so that every mistake is found at once when the scenario is compiled.
    """

    url: Any
    timeout: Any = "10s"
    connections: Any = 1
    verify: Any = True
    cert: Any = None
    location: Location = NOWHERE

    @overload
    def produce(
        self,
        exchange: str | Callable[[In], str] = "",
        *,
        routing_key: str | Callable[[In], str] = "",
        body: Payload | Callable[[In], Payload],
        persistent: bool = False,
        confirm: bool = True,
        mandatory: bool | None = None,
        **properties: Unpack[Properties[In]],
    ) -> Produce[In]: ...
    @overload
    def produce(
        self,
        exchange: str | Callable[[Context, In], str] = "",
        *,
        routing_key: str | Callable[[Context, In], str] = "",
        body: Payload | Callable[[Context, In], Payload],
        persistent: bool = False,
        confirm: bool = True,
        mandatory: bool | None = None,
        **properties: Unpack[ContextProperties[In]],
    ) -> Produce[In]: ...
    def produce(
        self,
        exchange: Any = "",
        *,
        routing_key: Any = "",
        body: Any,
        persistent: Any = False,
        confirm: Any = True,
        mandatory: Any = None,
        **properties: Any,
    ) -> Produce[Any]:
        """Send one message per execution; parts are values or functions of the input.

        `mandatory` fails a message that no queue takes. When not said, that holds for the default exchange,
        which leads to one queue by its name, and not for others, where perhaps nobody needs to listen.
        """
        unknown = sorted(properties.keys() - PROPERTIES)
        if unknown:
            raise TypeError(
                f"produce() knows no property {unknown[0]!r}; it knows {', '.join(sorted(PROPERTIES))}"
            )
        return Produce(self, exchange, routing_key, body, persistent, confirm, mandatory, properties)

    @overload
    def consume(
        self,
        queue: str,
        prefetch: int = PREFETCH,
        ack: bool = True,
        *,
        decode: Literal["json"] = "json",
    ) -> Consume[Message[Any]]: ...
    @overload
    def consume(
        self, queue: str, prefetch: int = PREFETCH, ack: bool = True, *, decode: type[str]
    ) -> Consume[Message[str]]: ...
    @overload
    def consume(
        self, queue: str, prefetch: int = PREFETCH, ack: bool = True, *, decode: type[bytes]
    ) -> Consume[Message[bytes]]: ...
    @overload
    def consume(
        self, queue: str, prefetch: int = PREFETCH, ack: bool = True, *, decode: Callable[[bytes], Decoded]
    ) -> Consume[Message[Decoded]]: ...
    def consume(
        self, queue: str, prefetch: Any = PREFETCH, ack: Any = True, *, decode: Any = "json"
    ) -> Consume[Message[Any]]:
        """Take messages off a queue; the workers of a feed compete for them.

        A join or a broadcast needs every message in every worker, and a queue gives each to one reader only.
        There it is read exclusively: one worker may, several are refused, and need `subscribe`.
        """
        return Consume(self, queue, prefetch, ack, decode)

    @overload
    def subscribe(
        self,
        exchange: str,
        routing_key: str = "#",
        prefetch: int = PREFETCH,
        *,
        decode: Literal["json"] = "json",
    ) -> Subscribe[Message[Any]]: ...
    @overload
    def subscribe(
        self, exchange: str, routing_key: str = "#", prefetch: int = PREFETCH, *, decode: type[str]
    ) -> Subscribe[Message[str]]: ...
    @overload
    def subscribe(
        self, exchange: str, routing_key: str = "#", prefetch: int = PREFETCH, *, decode: type[bytes]
    ) -> Subscribe[Message[bytes]]: ...
    @overload
    def subscribe(
        self,
        exchange: str,
        routing_key: str = "#",
        prefetch: int = PREFETCH,
        *,
        decode: Callable[[bytes], Decoded],
    ) -> Subscribe[Message[Decoded]]: ...
    def subscribe(
        self, exchange: str, routing_key: Any = "#", prefetch: Any = PREFETCH, *, decode: Any = "json"
    ) -> Subscribe[Message[Any]]:
        """Read a copy of what is sent to an exchange from now on, through a queue that exists as long.

        In joins and broadcasts every worker gets everything; in `unicast()` the workers share one queue.
        """
        return Subscribe(self, exchange, routing_key, prefetch, decode)

    def settings(self) -> Settings:
        """The checked options; call only when `problems()` is empty."""
        return self._settings

    def problems(self) -> list[str]:
        """Every mistake in the options, each as a sentence that says what to write instead."""
        return list(self._problems)

    # Journeys make steps while they run, so that these are asked for again and again.

    @cached_property
    def _settings(self) -> Settings:
        return settled(self)

    @cached_property
    def _problems(self) -> tuple[str, ...]:
        return tuple(client_problems(self))

    def __repr__(self) -> str:
        return f"RabbitmqClient({shown(self.url) if isinstance(self.url, str) else self.url!r})"


def client(
    url: str,
    timeout: Duration = "10s",
    connections: int = 1,
    verify: Verify = True,
    cert: Cert | None = None,
) -> RabbitmqClient:
    """Describe how to reach a virtual host: `amqp://user:password@host:5672/vhost`, or `amqps://…`.

    Share one client between the steps of a scenario. `timeout` bounds connecting and the wait for each
    confirm; `connections` is how many the producing steps of a worker use. See docs/plugins/rabbitmq.md.
    """
    return RabbitmqClient(url, timeout, connections, verify, cert, caller())


@dataclass(frozen=True, eq=False, repr=False)
class Produce(OfClient, Spec[In, Produced], Generic[In]):
    """One message, from a value of type In to a `Produced`; parts are kept as written."""

    kind: ClassVar[str] = "rabbitmq.produce"

    client: RabbitmqClient
    exchange: Any
    routing_key: Any
    body: Any
    persistent: Any
    confirm: Any
    mandatory: Any
    properties: dict[str, Any] = field(default_factory=dict)

    def own_problems(self) -> Iterator[str]:
        return produce_problems(self)

    def default_name(self) -> str:
        return named("produce", self.exchange or self.routing_key, "rabbitmq-produce")

    def __repr__(self) -> str:
        return f"<{self.default_name()} with {self.client!r}>"


@dataclass(frozen=True, eq=False, repr=False)
class Consume(OfClient, Source[Out]):
    """The messages of a queue, each a `Message`."""

    kind: ClassVar[str] = "rabbitmq.consume"
    is_dealt_by_service: ClassVar[bool] = True

    client: RabbitmqClient
    queue: Any
    prefetch: Any
    ack: Any
    decode: Any

    def default_name(self) -> str:
        return named("consume", self.queue, "rabbitmq-consume")

    def own_problems(self) -> list[str]:
        return [
            *name_problems("consume", "queue", self.queue),
            *count_problems("consume prefetch", self.prefetch, 1, 65_535),
            *flag_problems("consume ack", self.ack),
            *decode_problems("consume", self.decode),
        ]

    def __repr__(self) -> str:
        return f"<queue {self.queue} with {self.client!r}>"


@dataclass(frozen=True, eq=False, repr=False)
class Subscribe(OfClient, Source[Out]):
    """Copies of the messages that an exchange routes, each a `Message`."""

    kind: ClassVar[str] = "rabbitmq.subscribe"
    is_dealt_by_service: ClassVar[bool] = True

    client: RabbitmqClient
    exchange: Any
    routing_key: Any
    prefetch: Any
    decode: Any

    def default_name(self) -> str:
        return named("subscribe", self.exchange, "rabbitmq-subscribe")

    def own_problems(self) -> list[str]:
        found = [*name_problems("subscribe", "exchange", self.exchange)]
        if not isinstance(self.routing_key, str):
            found.append(f"subscribe(routing_key={self.routing_key!r}) should be a text such as 'orders.#'")
        found += count_problems("subscribe prefetch", self.prefetch, 1, 65_535)
        found += decode_problems("subscribe", self.decode)
        return found

    def __repr__(self) -> str:
        return f"<exchange {self.exchange} with {self.client!r}>"
