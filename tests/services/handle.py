"""What every service that the tests use has in common."""

from __future__ import annotations

import signal
from dataclasses import dataclass, field

import pytest

from tests.services.home import Server


@dataclass(frozen=True, slots=True, kw_only=True)
class Handle:
    """A service that answers on `host` and `port`.

    The same one serves the whole test session: use names of your own for tables, topics and queues, and start
    it again in a `finally` after you stopped it.
    """

    host: str
    port: int
    server: Server | None = field(default=None, repr=False, compare=False)

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """All that a client needs to know to log in."""
        raise NotImplementedError

    @property
    def urls(self) -> tuple[str, ...]:
        """Every way in, `url` first."""
        return (self.url,)

    def stop(self) -> None:
        """End it in order; connections are closed and later ones refused."""
        self._own().stop()

    def kill(self) -> None:
        """End it at once, as a crash would."""
        self._own().kill()

    def start(self) -> None:
        """Start it again on the same port and data, and return once it answers."""
        self._own().start()

    def freeze(self) -> None:
        """Suspend it: its connections stay open, and nothing is answered until `thaw`."""
        self._own().send(signal.SIGSTOP)

    def thaw(self) -> None:
        self._own().send(signal.SIGCONT)

    def _own(self) -> Server:
        """Our process; a test that would stop somebody else's is skipped."""
        if self.server is None:
            pytest.skip(f"{self.address} was not started by these tests, so they do not stop it")
        return self.server
