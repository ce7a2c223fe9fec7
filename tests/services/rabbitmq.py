"""A real RabbitMQ, a node by itself."""

from __future__ import annotations

import hashlib
import json
import os
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import quote, unquote, urlsplit

from tests.services.handle import Handle
from tests.services.home import HOST, answers, find_program, free_port, open_home

# Not what is in PATH: that one changes to an account of its own.
PROGRAMS = "/usr/lib/rabbitmq/bin"

# A machine that is short of memory or disk must not make the broker hold its publishers back.
SETTINGS = """
listeners.tcp.local = {host}:{port}
loopback_users = none
load_definitions = {definitions}
vm_memory_high_watermark.absolute = 1GB
disk_free_limit.absolute = 1MB
log.console = true
log.console.level = info
log.file = false
"""

PROTOCOL = b"AMQP\x00\x00\x09\x01"
CONNECTION_START = b"\x01\x00\x00"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rabbitmq(Handle):
    """A running broker; `user` may do everything, `other_user` may do nothing in `virtual_host`."""

    user: str
    password: str = field(repr=False)
    other_user: str | None = None
    other_password: str | None = field(default=None, repr=False)
    virtual_host: str = "/"

    @property
    def url(self) -> str:
        login = f"{quote(self.user, safe='')}:{quote(self.password, safe='')}"
        return f"amqp://{login}@{self.host}:{self.port}/{quote(self.virtual_host, safe='')}"

    @classmethod
    def from_url(cls, url: str) -> Rabbitmq:
        """An existing broker that the tests may use, and not stop."""
        parts = urlsplit(url)
        return cls(
            host=parts.hostname or HOST,
            port=parts.port or 5672,
            user=unquote(parts.username or "guest"),
            password=unquote(parts.password or "guest"),
            virtual_host=unquote(parts.path[1:]) or "/",
        )


@contextmanager
def running_rabbitmq() -> Iterator[Rabbitmq]:
    """A RabbitMQ on a free loopback port, without plugins; gone at the end, with Erlang's port mapper."""
    program, mapper = find_program("rabbitmq-server", PROGRAMS), find_program("epmd")
    with open_home("rabbitmq") as home:
        port, distribution_port, mapper_port = free_port(), free_port(), free_port()
        definitions, settings = home.path / "definitions.json", home.path / "rabbitmq.conf"
        passwords = {"guest": "guest", "stranger": "secret of qalipsis"}
        definitions.write_text(json.dumps(_definitions(passwords)))
        settings.write_text(SETTINGS.format(host=HOST, port=port, definitions=definitions))
        (home.path / "plugins").write_text("[].")
        environment = {
            "HOME": str(home.path),  # for Erlang's cookie
            "LC_ALL": "C.UTF-8",
            "ERL_EPMD_ADDRESS": HOST,
            "ERL_EPMD_PORT": str(mapper_port),
            "RABBITMQ_NODENAME": f"qalipsis-{port}@localhost",
            "RABBITMQ_DIST_PORT": str(distribution_port),
            "RABBITMQ_MNESIA_BASE": str(home.path / "mnesia"),
            "RABBITMQ_LOG_BASE": str(home.path),
            "RABBITMQ_CONFIG_FILE": str(settings),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(home.path / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(home.path / "plugins"),
            "RABBITMQ_PID_FILE": str(home.path / "pid"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            # The script then becomes the broker, instead of waiting for it and hiding its process id.
            "RUNNING_UNDER_SYSTEMD": "true",
        }
        # Erlang would start one that stays for good.
        home.server(
            "epmd",
            [mapper, "-port", str(mapper_port), "-address", HOST],
            lambda: answers(mapper_port, b"", b""),
        ).start()
        server = home.server(
            "rabbitmq",
            [program],
            lambda: answers(port, PROTOCOL, CONNECTION_START),
            environment=environment,
        )
        server.start()
        yield Rabbitmq(
            host=HOST,
            port=port,
            user="guest",
            password=passwords["guest"],
            other_user="stranger",
            other_password=passwords["stranger"],
            server=server,
        )


def _definitions(passwords: dict[str, str]) -> dict[str, object]:
    """The virtual host and the users; the first may do everything in it, the others nothing."""
    everything = {"user": next(iter(passwords)), "vhost": "/", "configure": ".*", "write": ".*", "read": ".*"}
    return {
        "vhosts": [{"name": "/"}],
        "users": [
            {
                "name": name,
                "password_hash": _hashed(password),
                "hashing_algorithm": "rabbit_password_hashing_sha256",
                "tags": "administrator" if name == everything["user"] else "",
            }
            for name, password in passwords.items()
        ],
        "permissions": [everything],
    }


def _hashed(password: str) -> str:
    salt = os.urandom(4)
    return b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()
