"""A real Kafka, broker and controller in one process."""

from __future__ import annotations

import os
import struct
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from uuid import uuid4
from xml.etree import ElementTree

from tests.plugins.http.certificates import Certificates
from tests.services.handle import Handle
from tests.services.home import HOST, ServiceMissing, answers, find_program, free_port, open_home

PROJECT = Path(__file__).with_name("pom.xml")

# The last two: after a crash the controller, itself new, would wait 9 s for the broker that it remembers.
SETTINGS = """
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
listeners=PLAINTEXT://{host}:{port},LOGIN://{host}:{login_port},TLS://{host}:{tls_port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port},LOGIN://{host}:{login_port},TLS://{host}:{tls_port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,LOGIN:SASL_PLAINTEXT,TLS:SSL
listener.name.login.sasl.enabled.mechanisms=PLAIN
listener.name.login.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required \\
  user_{user}="{password}";
listener.name.tls.ssl.keystore.type=PEM
listener.name.tls.ssl.keystore.location={certificate}
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs={directory}/data
num.partitions=1
auto.create.topics.enable=true
offsets.topic.num.partitions=1
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.num.partitions=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
log.cleaner.dedupe.buffer.size=8388608
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
"""

LOGGING = """
appenders=console
appender.console.type=Console
appender.console.name=console
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d %p %m (%c)%n
rootLogger.level=INFO
rootLogger.appenderRefs=console
rootLogger.appenderRef.console.ref=console
"""

# A broker for tests lives for minutes: a small heap, the plainest collector, no second compilation of code.
JAVA = ("-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData")

# Metadata, version 1, request number 7, of no topic at all. The answer repeats the number and counts brokers:
# none until ours serves its clients. Its length is known, because the one broker's host is.
METADATA_REQUEST = struct.pack(">ihhihi", 14, 3, 1, 7, -1, 0)
METADATA_ANSWER = struct.pack(">iii", 28 + len(HOST), 7, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kafka(Handle):
    """A running broker; a topic is made when it is first used, with one partition.

    The same broker listens on two more ports: one wants a login with SASL PLAIN, one speaks TLS. They are 0
    for a broker that was not started by these tests.
    """

    login_port: int = 0
    user: str = "tester"
    password: str = field(default="of-the-tests", repr=False)
    tls_port: int = 0
    ca: Path = Path()

    @property
    def url(self) -> str:
        return self.bootstrap

    @property
    def bootstrap(self) -> str:
        return self.address

    @classmethod
    def from_bootstrap(cls, address: str) -> Kafka:
        """An existing broker that the tests may use, and not stop."""
        host, _, port = address.partition(",")[0].rpartition(":")
        return cls(host=host or HOST, port=int(port))


def find_jars() -> Path:
    """The directory where `tests/services/install` put the version that the project file names."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "qalipsis-tests"
    version = ElementTree.parse(PROJECT).findtext(".//{*}kafka.version")
    jars = cache / f"kafka-{version}"
    if not jars.is_dir():
        raise ServiceMissing(f"Kafka {version} is not in {cache}; run `sh tests/services/install`")
    return jars


@contextmanager
def running_kafka() -> Iterator[Kafka]:
    """A Kafka on free loopback ports; gone at the end."""
    java, jars = find_program("java"), find_jars()
    with open_home("kafka") as home:
        port, login_port, tls_port, controller_port = (free_port() for _ in range(4))
        certificates = Certificates(home.path)
        ours = Kafka(host=HOST, port=port, login_port=login_port, tls_port=tls_port, ca=certificates.ca)
        settings, logging = home.path / "server.properties", home.path / "log4j2.properties"
        settings.write_text(
            SETTINGS.format(
                host=HOST,
                port=port,
                login_port=login_port,
                user=ours.user,
                password=ours.password,
                tls_port=tls_port,
                certificate=certificates.server,
                controller_port=controller_port,
                directory=home.path,
            )
        )
        logging.write_text(LOGGING)
        own = (f"-Djava.io.tmpdir={home.path}", f"-Dlog4j2.configurationFile={logging}")
        program = [java, *JAVA, *own, "-cp", f"{jars}/*"]
        cluster = urlsafe_b64encode(uuid4().bytes).decode().rstrip("=")
        # With "=", because one identifier in 64 begins with a dash and would be read as another option.
        home.run_once(
            [*program, "kafka.tools.StorageTool", "format", f"--cluster-id={cluster}", "-c", str(settings)]
        )
        server = home.server(
            "kafka",
            [*program, "kafka.Kafka", str(settings)],
            lambda: answers(port, METADATA_REQUEST, METADATA_ANSWER),
        )
        server.start()
        yield replace(ours, server=server)
