"""What an author says about TCP: a client, and the requests it makes. Nothing here connects to anything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, overload

from qalipsis.language.context import Context
from qalipsis.language.durations import Duration, seconds
from qalipsis.language.location import NOWHERE, Location, caller
from qalipsis.language.payloads import Payload
from qalipsis.language.security import Cert, Verify
from qalipsis.language.spec import Spec
from qalipsis.plugins.tcp.problems import client_problems, name_problems, request_problems
from qalipsis.plugins.tcp.response import Response
from qalipsis.plugins.tcp.settings import Settings, settled
from qalipsis.plugins.tcp.until import Line, Until

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    # The default lets a request without functions be kept in a variable and be used after any step.
    In = TypeVar("In", contravariant=True, default=Any)
    Kept = TypeVar("Kept", default=Any)
else:
    from typing import TypeVar

    In = TypeVar("In", contravariant=True)
    Kept = TypeVar("Kept")

LINE = Line()


@dataclass(frozen=True)
class TcpClient:
    """Connections to one address with the same options, one per minion; made by `client`.

    Options are kept as written, so that every mistake is found at once when the scenario is compiled. A
    client is known by what it says and where it is written: one that a journey makes anew in each pass stays
    the same, and two that are written in two lines have connections of their own.
    """

    address: Any
    port: Any = None
    connect_timeout: Any = "5s"
    timeout: Any = "10s"
    tls: Any = False
    verify: Any = True
    cert: Any = None
    server_name: Any = None
    max_response: Any = "10MB"
    no_delay: Any = True
    location: Location = NOWHERE

    @overload
    def request(
        self,
        payload: Payload | Callable[[In], Payload],
        until: Until = LINE,
        timeout: Duration | None = None,
    ) -> RequestSpec[In]: ...
    @overload
    def request(
        self,
        payload: Callable[[Context, In], Payload],
        until: Until = LINE,
        timeout: Duration | None = None,
    ) -> RequestSpec[In]: ...
    def request(self, payload: Any, until: Until = LINE, timeout: Duration | None = None) -> RequestSpec[Any]:
        """Send `payload` as it is and read the response as `until` says; connect first when need be.

        An empty payload sends nothing and reads: for a service that speaks first.
        """
        return RequestSpec(payload, until, timeout, client=self)

    def close(self) -> CloseSpec[Kept]:
        """Close the minion's connection, if it has one, and emit the input."""
        return CloseSpec(client=self)

    def settings(self) -> Settings:
        """The checked options; call only when `problems()` is empty."""
        return settled(self)

    def problems(self) -> list[str]:
        """Every mistake in the options, each as a sentence that says what to write instead."""
        return list(client_problems(self))

    def __repr__(self) -> str:
        port = "" if self.port is None else f", port={self.port!r}"
        return f"tcp.client({self.address!r}{port})"


def client(
    address: str,
    port: int | None = None,
    connect_timeout: Duration = "5s",
    timeout: Duration = "10s",
    tls: bool = False,
    verify: Verify = True,
    cert: Cert | None = None,
    server_name: str | None = None,
    max_response: str | int = "10MB",
    no_delay: bool = True,
) -> TcpClient:
    """Describe connections to `address`; the page docs/plugins/tcp.md explains every option.

    Share one client between the steps of a scenario: a minion then keeps its connection from step to step.
    """
    return TcpClient(
        address=address,
        port=port,
        connect_timeout=connect_timeout,
        timeout=timeout,
        tls=tls,
        verify=verify,
        cert=cert,
        server_name=server_name,
        max_response=max_response,
        no_delay=no_delay,
        location=caller(),
    )


@dataclass(frozen=True, eq=False, repr=False)
class RequestSpec(Spec[In, Response], Generic[In]):
    """One request, from a value of type In to a `Response`; parts are kept as written.

    It goes over the connection of its client, or of the client of the step it names.
    """

    kind: ClassVar[str] = "tcp.request"

    payload: Any
    until: Any = LINE
    timeout: Any = None
    client: TcpClient | None = None
    step: Any = None

    def timeout_seconds(self) -> float | None:
        """The request's own timeout; None when the client's holds."""
        return None if self.timeout is None else seconds(self.timeout)

    def own_problems(self) -> list[str]:
        """The mistakes that are not the client's."""
        found = list(request_problems(self))
        return found if self.client is not None else [*name_problems("tcp.reuse", self.step), *found]

    def problems(self) -> list[str]:
        return [problem for _, problem in self.problems_by_place(NOWHERE)]

    def problems_by_place(self, here: Location) -> list[tuple[Location, str]]:
        found = [(here, problem) for problem in self.own_problems()]
        if self.client is not None:
            found += [(self.client.location, problem) for problem in self.client.problems()]
        return found

    def refers_to(self) -> tuple[str, ...]:
        return (self.step,) if isinstance(self.step, str) else ()

    def __repr__(self) -> str:
        return f"<request with {self.client!r}>" if self.step is None else f"<tcp.reuse({self.step!r})>"


@overload
def reuse(
    step: str,
    payload: Payload | Callable[[In], Payload],
    until: Until = LINE,
    timeout: Duration | None = None,
) -> RequestSpec[In]: ...
@overload
def reuse(
    step: str,
    payload: Callable[[Context, In], Payload],
    until: Until = LINE,
    timeout: Duration | None = None,
) -> RequestSpec[In]: ...
def reuse(step: str, payload: Any, until: Until = LINE, timeout: Duration | None = None) -> RequestSpec[Any]:
    """A request over the connection that the step of this name opened for the minion; it never connects."""
    return RequestSpec(payload, until, timeout, step=step)


@dataclass(frozen=True, eq=False)
class CloseSpec(Spec[Kept, Kept], Generic[Kept]):
    """Closes the minion's connection and emits the input."""

    kind: ClassVar[str] = "tcp.close"

    client: TcpClient | None = None
    step: Any = None

    def problems(self) -> list[str]:
        return [problem for _, problem in self.problems_by_place(NOWHERE)]

    def problems_by_place(self, here: Location) -> list[tuple[Location, str]]:
        if self.client is None:
            return [(here, problem) for problem in name_problems("tcp.close", self.step)]
        return [(self.client.location, problem) for problem in self.client.problems()]

    def refers_to(self) -> tuple[str, ...]:
        return (self.step,) if isinstance(self.step, str) else ()


def close(step: str) -> CloseSpec[Kept]:
    """Close the connection that the step of this name opened for the minion, and emit the input."""
    return CloseSpec(step=step)
