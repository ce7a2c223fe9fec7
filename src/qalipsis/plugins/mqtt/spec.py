"""What an author says about MQTT: a client, what it publishes and subscribes to. Nothing here connects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, TypeVar, overload

from qalipsis.language.callables import function_problems
from qalipsis.language.context import Context
from qalipsis.language.durations import Duration
from qalipsis.language.location import NOWHERE, Location, caller
from qalipsis.language.of_client import OfClient
from qalipsis.language.security import Cert, Verify
from qalipsis.language.source import Source
from qalipsis.language.spec import Spec, named
from qalipsis.plugins.brokers.address import shown
from qalipsis.plugins.brokers.options import count_problems
from qalipsis.plugins.brokers.payload import Payload, decode_problems, payload_problems
from qalipsis.plugins.mqtt.problems import client_problems, qos_problems
from qalipsis.plugins.mqtt.records import Message, Published
from qalipsis.plugins.mqtt.settings import Connections, Settings, settled
from qalipsis.plugins.mqtt.topics import checked_filter, checked_topic

if TYPE_CHECKING:
    from typing_extensions import TypeVar as DefaultTypeVar

    # The default lets a step without functions be kept in a variable and be used after any step.
    In = DefaultTypeVar("In", contravariant=True, default=Any)
else:
    In = TypeVar("In", contravariant=True)

Out = TypeVar("Out", covariant=True)
Decoded = TypeVar("Decoded")

Qos = Literal[0, 1, 2]
BUFFER = 10_000


@dataclass(frozen=True, eq=False)
class MqttClient:
    """Connections to one broker with the same options; made by `client`.

    Options are kept as written, so that every mistake is found at once when the scenario is compiled.
    """

    url: Any
    client_id_prefix: Any = "qalipsis"
    version: Any = 5
    keep_alive: Any = "60s"
    timeout: Any = "10s"
    connections: Any = "shared"
    verify: Any = True
    cert: Any = None
    location: Location = NOWHERE

    @overload
    def publish(
        self,
        topic: str | Callable[[In], str],
        payload: Payload | Callable[[In], Payload],
        qos: Qos = 0,
        retain: bool = False,
    ) -> Publish[In]: ...
    @overload
    def publish(
        self,
        topic: str | Callable[[Context, In], str],
        payload: Payload | Callable[[Context, In], Payload],
        qos: Qos = 0,
        retain: bool = False,
    ) -> Publish[In]: ...
    def publish(self, topic: Any, payload: Any, qos: Any = 0, retain: Any = False) -> Publish[Any]:
        """Publish one message per execution. Topic and payload are values or functions of the input."""
        return Publish(self, topic, payload, qos, retain)

    @overload
    def subscribe(
        self, topic_filter: str, qos: Qos = 0, *, decode: Literal["json"] = "json", buffer: int = BUFFER
    ) -> Subscribe[Message[Any]]: ...
    @overload
    def subscribe(
        self, topic_filter: str, qos: Qos = 0, *, decode: type[str], buffer: int = BUFFER
    ) -> Subscribe[Message[str]]: ...
    @overload
    def subscribe(
        self, topic_filter: str, qos: Qos = 0, *, decode: type[bytes], buffer: int = BUFFER
    ) -> Subscribe[Message[bytes]]: ...
    @overload
    def subscribe(
        self, topic_filter: str, qos: Qos = 0, *, decode: Callable[[bytes], Decoded], buffer: int = BUFFER
    ) -> Subscribe[Message[Decoded]]: ...
    def subscribe(
        self, topic_filter: str, qos: Any = 0, *, decode: Any = "json", buffer: Any = BUFFER
    ) -> Subscribe[Message[Any]]:
        """Read the messages whose topic fits; at most `buffer` of them wait to be taken."""
        return Subscribe(self, topic_filter, qos, decode, buffer)

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
        return f"MqttClient({shown(self.url) if isinstance(self.url, str) else self.url!r})"


def client(
    url: str,
    client_id_prefix: str = "qalipsis",
    version: Literal[5, "3.1.1"] = 5,
    keep_alive: Duration = "60s",
    timeout: Duration = "10s",
    connections: Connections = "shared",
    verify: Verify = True,
    cert: Cert | None = None,
) -> MqttClient:
    """Describe how to reach a broker, such as `mqtt://user:password@host:1883` or `mqtts://host`.

    Share one client between the steps of a scenario. `timeout` bounds connecting and the wait for each answer
    of the broker. The page docs/plugins/mqtt.md explains every option.
    """
    return MqttClient(
        url, client_id_prefix, version, keep_alive, timeout, connections, verify, cert, caller()
    )


@dataclass(frozen=True, eq=False, repr=False)
class Publish(OfClient, Spec[In, Published], Generic[In]):
    """One message, from a value of type In to a `Published`; parts are kept as written."""

    kind: ClassVar[str] = "mqtt.publish"

    client: MqttClient
    topic: Any
    payload: Any
    qos: Any
    retain: Any

    def default_name(self) -> str:
        return named("publish", self.topic, "mqtt-publish")

    def own_problems(self) -> list[str]:
        found: list[str] = []
        if callable(self.topic):
            found += function_problems("publish topic", self.topic, ("value", "context, value"))
        else:
            try:
                checked_topic(self.topic)
            except ValueError as error:
                found.append(f"publish topic: {error}")
        found += payload_problems("publish payload", self.payload)
        found += qos_problems("publish", self.qos)
        if not isinstance(self.retain, bool):
            found.append(f"publish(retain={self.retain!r}) should be True or False")
        return found

    def __repr__(self) -> str:
        return f"<publish {self.topic if isinstance(self.topic, str) else '…'} with {self.client!r}>"


@dataclass(frozen=True, eq=False, repr=False)
class Subscribe(OfClient, Source[Out]):
    """The messages of a subscription, each a `Message`."""

    kind: ClassVar[str] = "mqtt.subscribe"
    is_dealt_by_service: ClassVar[bool] = True

    client: MqttClient
    topic_filter: Any
    qos: Any
    decode: Any
    buffer: Any

    def default_name(self) -> str:
        return named("subscribe", self.topic_filter, "subscribe-all")

    def own_problems(self) -> list[str]:
        found: list[str] = []
        try:
            checked_filter(self.topic_filter)
        except ValueError as error:
            found.append(f"subscribe: {error}")
        found += qos_problems("subscribe", self.qos)
        found += decode_problems("subscribe", self.decode)
        found += count_problems("subscribe buffer", self.buffer, 1, 10_000_000)
        return found

    def __repr__(self) -> str:
        return f"<subscription to {self.topic_filter} with {self.client!r}>"
