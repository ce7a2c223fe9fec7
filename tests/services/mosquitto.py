"""A real Mosquitto, an MQTT broker."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit

from tests.services.handle import Handle
from tests.services.home import HOST, answers, find_program, free_port, open_home

# The first listener lets everybody in, the second asks for the password. Retained messages and the clients'
# sessions survive a restart.
SETTINGS = """
per_listener_settings true
user {user}
log_dest stdout
persistence true
persistence_location {directory}/
autosave_interval 1
max_queued_messages 0

listener {port} {host}
allow_anonymous true

listener {secured_port} {host}
allow_anonymous false
password_file {directory}/passwords
"""

CONNECT = bytes.fromhex("100c 0004 4d515454 04 02 0000 0000")  # MQTT 3.1.1, a clean session, no name
ACCEPTED = bytes.fromhex("2002 0000")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mosquitto(Handle):
    """A running broker: anybody may connect on `port`, only `user` with `password` on `secured_port`."""

    secured_port: int
    user: str | None
    password: str | None = field(repr=False)

    @property
    def url(self) -> str:
        return f"mqtt://{self.address}"

    @property
    def secured_url(self) -> str:
        login = f"{quote(self.user, safe='')}:{quote(self.password or '', safe='')}@" if self.user else ""
        return f"mqtt://{login}{self.host}:{self.secured_port}"

    @property
    def urls(self) -> tuple[str, ...]:
        return self.url, self.secured_url

    @classmethod
    def from_url(cls, url: str) -> Mosquitto:
        """An existing broker that the tests may use, and not stop; its one port takes the place of both."""
        parts = urlsplit(url)
        port = parts.port or 1883
        return cls(
            host=parts.hostname or HOST,
            port=port,
            secured_port=port,
            user=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
        )


@contextmanager
def running_mosquitto(user: str = "qalipsis", password: str = "secret of qalipsis") -> Iterator[Mosquitto]:
    """A Mosquitto on two free loopback ports; gone at the end."""
    with open_home("mosquitto") as home:
        port, secured_port = free_port(), free_port()
        passwords, settings = home.path / "passwords", home.path / "mosquitto.conf"
        passwords.touch(0o600)
        home.run_once([find_program("mosquitto_passwd"), "-b", str(passwords), user, password])
        settings.write_text(
            SETTINGS.format(
                # As root it would turn into an account that may not read this directory.
                user="root" if os.geteuid() == 0 else "mosquitto",
                directory=home.path,
                host=HOST,
                port=port,
                secured_port=secured_port,
            )
        )
        server = home.server(
            "mosquitto",
            [find_program("mosquitto"), "-c", str(settings)],
            lambda: answers(port, CONNECT, ACCEPTED),
        )
        server.start()
        yield Mosquitto(
            host=HOST, port=port, secured_port=secured_port, user=user, password=password, server=server
        )
