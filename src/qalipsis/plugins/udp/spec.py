"""What an author says about UDP: a client, and the datagrams it sends. Nothing here opens a socket."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, overload

from qalipsis.language.addresses import parse_address
from qalipsis.language.context import Context
from qalipsis.language.durations import Duration, seconds
from qalipsis.language.location import NOWHERE, Location, caller
from qalipsis.language.payloads import Payload
from qalipsis.language.spec import Spec
from qalipsis.plugins.udp.problems import client_problems, name_problems, request_problems
from qalipsis.plugins.udp.response import Response

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    # The default lets a request without functions be kept in a variable and be used after any step.
    In = TypeVar("In", contravariant=True, default=Any)
    Kept = TypeVar("Kept", default=Any)
else:
    from typing import TypeVar

    In = TypeVar("In", contravariant=True)
    Kept = TypeVar("Kept")

Matching = Callable[[bytes, bytes], object]
"""Whether a datagram (second) is an answer to a request (first)."""


@dataclass(frozen=True)
class UdpClient:
    """Datagrams to one address, from a socket per minion; made by `client`.

    Options are kept as written, so that every mistake is found at once when the scenario is compiled. A
    client is known by what it says and where it is written: one that a journey makes anew in each pass stays
    the same, and two that are written in two lines have sockets of their own.
    """

    address: Any
    port: Any = None
    timeout: Any = "1s"
    location: Location = NOWHERE

    @overload
    def request(
        self,
        payload: Payload | Callable[[In], Payload],
        answers: int = 1,
        matching: Matching | None = None,
        timeout: Duration | None = None,
    ) -> RequestSpec[In]: ...
    @overload
    def request(
        self,
        payload: Callable[[Context, In], Payload],
        answers: int = 1,
        matching: Matching | None = None,
        timeout: Duration | None = None,
    ) -> RequestSpec[In]: ...
    def request(
        self,
        payload: Any,
        answers: int = 1,
        matching: Matching | None = None,
        timeout: Duration | None = None,
    ) -> RequestSpec[Any]:
        """Send `payload` as one datagram and wait for so many answers; 0 waits for none.

        `matching(request, response)` tells an answer from whatever else comes, such as late answers.
        """
        return RequestSpec(payload, answers, matching, timeout, client=self)

    def close(self) -> CloseSpec[Kept]:
        """Close the minion's socket, if it has one, and emit the input."""
        return CloseSpec(client=self)

    def place(self) -> tuple[str, int]:
        """Host and port; call only when `problems()` is empty."""
        return parse_address(self.address, self.port)

    def problems(self) -> list[str]:
        """Every mistake in the options, each as a sentence that says what to write instead."""
        return list(client_problems(self))

    def __repr__(self) -> str:
        port = "" if self.port is None else f", port={self.port!r}"
        return f"udp.client({self.address!r}{port})"


def client(address: str, port: int | None = None, timeout: Duration = "1s") -> UdpClient:
    """Describe datagrams to `address`; the page docs/plugins/udp.md explains every option.

    `timeout` is how long an answer may take. Share one client between the steps of a scenario: a minion then
    keeps its socket, and so its local port, from step to step.
    """
    return UdpClient(address, port, timeout, location=caller())


@dataclass(frozen=True, eq=False, repr=False)
class RequestSpec(Spec[In, Response], Generic[In]):
    """One datagram, from a value of type In to the `Response`; parts are kept as written.

    It leaves from the socket of its client, or of the client of the step it names.
    """

    kind: ClassVar[str] = "udp.request"

    payload: Any
    answers: Any = 1
    matching: Any = None
    timeout: Any = None
    client: UdpClient | None = None
    step: Any = None

    def timeout_seconds(self, client: UdpClient) -> float:
        """The request's own timeout, or the client's."""
        return seconds(client.timeout if self.timeout is None else self.timeout)

    def problems(self) -> list[str]:
        return [problem for _, problem in self.problems_by_place(NOWHERE)]

    def problems_by_place(self, here: Location) -> list[tuple[Location, str]]:
        found = [(here, problem) for problem in request_problems(self)]
        if self.client is None:
            return [(here, problem) for problem in name_problems("udp.reuse", self.step)] + found
        return found + [(self.client.location, problem) for problem in self.client.problems()]

    def refers_to(self) -> tuple[str, ...]:
        return (self.step,) if isinstance(self.step, str) else ()

    def __repr__(self) -> str:
        return f"<request with {self.client!r}>" if self.step is None else f"<udp.reuse({self.step!r})>"


@overload
def reuse(
    step: str,
    payload: Payload | Callable[[In], Payload],
    answers: int = 1,
    matching: Matching | None = None,
    timeout: Duration | None = None,
) -> RequestSpec[In]: ...
@overload
def reuse(
    step: str,
    payload: Callable[[Context, In], Payload],
    answers: int = 1,
    matching: Matching | None = None,
    timeout: Duration | None = None,
) -> RequestSpec[In]: ...
def reuse(
    step: str,
    payload: Any,
    answers: int = 1,
    matching: Matching | None = None,
    timeout: Duration | None = None,
) -> RequestSpec[Any]:
    """A datagram from the socket that the step of this name opened for the minion."""
    return RequestSpec(payload, answers, matching, timeout, step=step)


@dataclass(frozen=True, eq=False)
class CloseSpec(Spec[Kept, Kept], Generic[Kept]):
    """Closes the minion's socket and emits the input."""

    kind: ClassVar[str] = "udp.close"

    client: UdpClient | None = None
    step: Any = None

    def problems(self) -> list[str]:
        return [problem for _, problem in self.problems_by_place(NOWHERE)]

    def problems_by_place(self, here: Location) -> list[tuple[Location, str]]:
        if self.client is None:
            return [(here, problem) for problem in name_problems("udp.close", self.step)]
        return [(self.client.location, problem) for problem in self.client.problems()]

    def refers_to(self) -> tuple[str, ...]:
        return (self.step,) if isinstance(self.step, str) else ()


def close(step: str) -> CloseSpec[Kept]:
    """Close the socket that the step of this name opened for the minion, and emit the input."""
    return CloseSpec(step=step)
