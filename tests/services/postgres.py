"""A real PostgreSQL with a cluster of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit

from tests.services.handle import Handle
from tests.services.home import HOST, ServiceMissing, find_program, free_port, open_home

PROGRAMS = "/usr/lib/postgresql/*/bin"
ACCOUNT = "postgres"  # PostgreSQL refuses to run as root

# Durability costs the tests time and gives them nothing: they start the server again, not the machine.
SETTINGS = """
listen_addresses = '{host}'
port = {port}
unix_socket_directories = '{directory}'
max_connections = 200
shared_buffers = 32MB
fsync = off
synchronous_commit = off
full_page_writes = off
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Postgres(Handle):
    """A running server; `user` owns `database` and may do everything."""

    user: str
    password: str = field(repr=False)
    database: str

    @property
    def url(self) -> str:
        secret = quote(self.password, safe="")
        return f"postgresql://{quote(self.user, safe='')}:{secret}@{self.host}:{self.port}/{self.database}"

    @classmethod
    def from_url(cls, url: str) -> Postgres:
        """An existing server that the tests may use, and not stop."""
        parts = urlsplit(url)
        return cls(
            host=parts.hostname or HOST,
            port=parts.port or 5432,
            user=unquote(parts.username or "postgres"),
            password=unquote(parts.password or ""),
            database=parts.path.strip("/") or "postgres",
        )


def account() -> str | None:
    """The system's account to run PostgreSQL as, None for our own."""
    if os.geteuid() != 0:
        return None
    try:
        pwd.getpwnam(ACCOUNT)
    except KeyError:
        raise ServiceMissing(
            f"PostgreSQL does not run as root and there is no account {ACCOUNT!r}; run the tests as another"
        ) from None
    return ACCOUNT


@contextmanager
def running_postgres(password: str = "secret of qalipsis") -> Iterator[Postgres]:
    """A PostgreSQL on a free loopback port, with logins by SCRAM; gone at the end."""
    initdb, postgres, is_ready = (
        find_program(name, PROGRAMS) for name in ("initdb", "postgres", "pg_isready")
    )
    user = account()
    # No SIGKILL: it would leave the processes of connections, and no server starts beside those.
    with open_home("postgres", signal.SIGQUIT) as home:
        port = free_port()
        data, secret = home.path / "data", home.path / "password"
        secret.write_text(password)
        if user:
            shutil.chown(home.path, user, user)
            shutil.chown(secret, user, user)
        plain = {"LC_ALL": "C.UTF-8", "PGTZ": "UTC"}
        home.run_once(
            [
                *(initdb, "-D", str(data), "-U", "qalipsis", "-A", "scram-sha-256", f"--pwfile={secret}"),
                *("-E", "UTF8", "--no-sync", "--no-instructions"),
            ],
            user=user,
            environment=plain,
        )
        with (data / "postgresql.conf").open("a") as settings:
            settings.write(SETTINGS.format(host=HOST, port=port, directory=home.path))

        def answers() -> bool:
            command = [is_ready, "-q", "-h", HOST, "-p", str(port), "-t", "1"]
            return subprocess.run(command, check=False).returncode == 0

        server = home.server(
            "postgres",
            [postgres, "-D", str(data)],
            answers,
            user=user,
            environment=plain,
            stop_signal=signal.SIGINT,  # "fast": ends the connections instead of waiting for them
        )
        server.start()
        yield Postgres(
            host=HOST, port=port, user="qalipsis", password=password, database="postgres", server=server
        )
