"""Why a campaign does not start: a service that cannot be used."""

from __future__ import annotations

from qalipsis.engine.step import StepError
from qalipsis.errors import ServiceUnavailable
from qalipsis.language.location import Location

AWAY = frozenset(
    {"closed", "connect-failed", "connect-refused", "connect-timeout", "dns", "reset", "timeout"}
)
"""Nobody was met at the address; every other failure says itself what to do."""


def unavailable(error: StepError, location: Location, client: object) -> ServiceUnavailable:
    """The failure of a client, with the place where the author made it and what to do."""
    hint = "\n    start the service, or correct the client's address" if error.kind in AWAY else ""
    return ServiceUnavailable(f"{location}: {client!r} cannot be reached: {error}{hint}")
