"""Keeps a factory in its cluster, whatever becomes of the connection to the broker."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Final

from qalipsis.cluster.transport import Transport
from qalipsis.errors import ServiceUnavailable, TransportClosed
from qalipsis.factory.session import Session

RETRY_SECONDS: Final = 5.0
TOLD_EVERY: Final = 12
"""Tries between two lines in the log: a minute."""

_log = logging.getLogger(__name__)


async def stay(
    session: Session,
    transport: Transport,
    open_transport: Callable[[], Awaitable[Transport]],
    timeout_seconds: float,
) -> None:
    """Serve until the factory is told to end. A transport that was given up is replaced, for ever if need be.

    Every transport is closed in the end, the given one as well. Raises what `Session.serve` raises otherwise.
    """
    while True:
        try:
            await session.serve(timeout_seconds)
            return
        except TransportClosed as error:
            if session.is_ending:
                return
            _log.warning("%s; the factory tries to come back every %g s", error, RETRY_SECONDS)
        finally:
            await transport.aclose()
        replacement = await _opened(session, open_transport)
        if replacement is None:
            return
        _log.warning("the broker is back, and the factory introduces itself again")
        transport = replacement
        session.move_to(transport)


async def _opened(session: Session, open_transport: Callable[[], Awaitable[Transport]]) -> Transport | None:
    """Another transport; None when the factory is told to end before there is one."""
    tries = 0
    while not await session.wait_ending(RETRY_SECONDS):
        try:
            return await open_transport()
        except ServiceUnavailable as error:
            # Also a refused login: it was accepted before, and whoever mends it must not look for factories.
            if tries % TOLD_EVERY == 0:
                _log.warning("still without a broker: %s", error)
            tries += 1
    return None
