"""Each service answers a real client, starts again with its data, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import aiormq
import asyncpg  # type: ignore[import-untyped]
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer  # type: ignore[import-untyped]
from redis.asyncio import Redis as RedisClient
from redis.asyncio.cluster import RedisCluster as RedisClusterClient
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError

from qalipsis.engine.step import StepError
from qalipsis.plugins import mqtt
from qalipsis.plugins.brokers.connect import Connector
from qalipsis.plugins.mqtt.connection import Connection, OnMessage, open_connection
from qalipsis.plugins.mqtt.wire import Received
from qalipsis.system_clock import SystemClock
from tests.services.fixtures import provided
from tests.services.handle import Handle
from tests.services.home import ServiceFailed, ServiceMissing, find_program, open_home
from tests.services.kafka import Kafka
from tests.services.mosquitto import Mosquitto
from tests.services.offer import Offer
from tests.services.postgres import Postgres
from tests.services.rabbitmq import Rabbitmq
from tests.services.redis import MASTERS, Redis, RedisCluster, running_redis

GONE_SECONDS = 10.0


async def started_again(service: Handle) -> None:
    """Stop and start, while the loop of the test goes on."""
    pid = service.server.pid if service.server else None
    await asyncio.to_thread(service.stop)
    assert pid is not None
    assert not is_alive(pid)
    await asyncio.to_thread(service.start)


def is_alive(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


async def test_postgres_keeps_its_rows_over_a_restart(postgres: Postgres) -> None:
    table = f"rows_{uuid4().hex}"
    connection = await asyncpg.connect(postgres.url)
    await connection.execute(f"create table {table} as select 7 as number")
    await started_again(postgres)
    with suppress(asyncpg.PostgresError, OSError):
        await connection.close(timeout=1)
    connection = await asyncpg.connect(postgres.url)
    try:
        assert await connection.fetchval(f"select number from {table}") == 7
    finally:
        await connection.execute(f"drop table {table}")
        await connection.close()


async def test_postgres_starts_again_after_a_crash_in_mid_query(postgres: Postgres) -> None:
    connection = await asyncpg.connect(postgres.url)
    query = asyncio.create_task(connection.execute("select pg_sleep(60)"))
    await asyncio.sleep(0.05)
    await asyncio.to_thread(postgres.kill)
    with pytest.raises((asyncpg.PostgresError, OSError)):
        await query
    await asyncio.to_thread(postgres.start)
    connection = await asyncpg.connect(postgres.url)
    assert await connection.fetchval("select 1") == 1
    await connection.close()


async def test_postgres_refuses_a_wrong_password(postgres: Postgres) -> None:
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(postgres.url, password="wrong")


async def test_redis_keeps_its_values_over_a_restart(redis_server: Redis) -> None:
    key = f"key-{uuid4().hex}"
    async with RedisClient.from_url(redis_server.url) as client:
        await client.set(key, "value")
    await started_again(redis_server)
    async with RedisClient.from_url(redis_server.url) as client:
        assert await client.getdel(key) == b"value"


async def test_redis_with_a_password_lets_in_who_knows_it() -> None:
    with running_redis(password="a secret: with/signs") as redis:
        async with RedisClient.from_url(redis.url) as client:
            assert await client.ping()
        at_once = Retry(NoBackoff(), 0)
        async with RedisClient(host=redis.host, port=redis.port, password="wrong", retry=at_once) as client:
            with pytest.raises(AuthenticationError):
                await client.ping()


async def test_redis_cluster_serves_every_slot(redis_cluster: RedisCluster) -> None:
    async with RedisClusterClient.from_url(redis_cluster.urls[-1]) as client:
        for number in range(100):
            await client.set(f"key-{number}", number, ex=60)
        assert len(client.get_primaries()) == len(client.get_replicas()) == MASTERS


async def test_rabbitmq_keeps_durable_messages_over_a_restart(rabbitmq: Rabbitmq) -> None:
    name = f"queue-{uuid4().hex}"
    async with aiormq.Connection(rabbitmq.url) as connection:
        channel = await connection.channel()
        await channel.queue_declare(name, durable=True)
        lasting = aiormq.spec.Basic.Properties(delivery_mode=2)
        await channel.basic_publish(b"body", routing_key=name, properties=lasting)
    await started_again(rabbitmq)
    async with aiormq.Connection(rabbitmq.url) as connection:
        channel = await connection.channel()
        assert (await channel.basic_get(name, no_ack=True)).body == b"body"
        await channel.queue_delete(name)


async def test_rabbitmq_refuses_a_user_without_rights(rabbitmq: Rabbitmq) -> None:
    if rabbitmq.other_user is None or rabbitmq.other_password is None:
        pytest.skip("an existing broker has no such user")
    url = f"amqp://{rabbitmq.other_user}:{rabbitmq.other_password}@{rabbitmq.host}:{rabbitmq.port}"
    with pytest.raises(aiormq.AMQPError):
        await aiormq.connect(url)


@asynccontextmanager
async def mqtt_connection(url: str, on_message: OnMessage | None = None) -> AsyncIterator[Connection]:
    settings = mqtt.client(url).settings()
    connector = Connector(settings.where, settings.address, settings.security, SystemClock().now)
    try:
        connection = await open_connection(connector, settings, uuid4().hex, on_message)
        yield connection
        connection.close()
    finally:
        await connector.aclose()


async def test_mosquitto_keeps_retained_messages_over_a_restart(mosquitto: Mosquitto) -> None:
    topic = f"topic/{uuid4().hex}"
    async with mqtt_connection(mosquitto.url) as connection:
        await connection.publish(topic.encode(), b"payload", qos=1, retain=True)
    await started_again(mosquitto)
    messages: asyncio.Queue[Received] = asyncio.Queue()
    async with mqtt_connection(mosquitto.url, messages.put_nowait) as connection:
        await connection.subscribe(topic, qos=1, sends_retained=True)
        async with asyncio.timeout(10):
            assert (await messages.get()).payload == b"payload"
        await connection.publish(topic.encode(), b"", qos=1, retain=True)


async def test_mosquitto_asks_for_a_password_on_its_second_port(mosquitto: Mosquitto) -> None:
    async with mqtt_connection(mosquitto.secured_url):
        pass
    wrong = f"mqtt://{mosquitto.user}:wrong@{mosquitto.host}:{mosquitto.secured_port}"
    with pytest.raises(StepError, match="refused the user"):
        async with mqtt_connection(wrong):
            pass


async def test_kafka_keeps_its_records_over_a_restart(kafka_broker: Kafka) -> None:
    topic = f"topic-{uuid4().hex}"
    async with AIOKafkaProducer(bootstrap_servers=kafka_broker.bootstrap) as producer:
        await producer.send_and_wait(topic, b"value")
    await started_again(kafka_broker)
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=kafka_broker.bootstrap, group_id=topic, auto_offset_reset="earliest"
    )
    async with consumer, asyncio.timeout(20):
        assert (await consumer.getone()).value == b"value"


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_nothing_is_left_of_the_services(how: signal.Signals) -> None:
    # All of them where it is hardest, when nobody lives to stop them.
    names = [] if how is signal.SIGKILL else ["postgres", "redis", "mosquitto"]
    with TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)  # PostgreSQL runs under another account
        session = subprocess.Popen(
            [sys.executable, "-m", "tests.services", *names],
            env={**os.environ, "TMPDIR": directory},
            stdout=subprocess.PIPE,
            text=True,
        )
        assert session.stdout is not None
        try:
            with session.stdout as lines:
                assert any("Press Ctrl-C" in line for line in lines)
            assert len(os.listdir(directory)) >= len(names)
            assert len(processes_in(directory)) >= len(names)
            session.send_signal(how)
            session.wait(GONE_SECONDS)
        finally:
            session.kill()
            session.wait()
        deadline = time.monotonic() + GONE_SECONDS
        while (left := processes_in(directory) or os.listdir(directory)) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not left


def processes_in(directory: str) -> dict[int, str]:
    """The processes that work somewhere below a directory, also when that is removed."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*/cwd"):
        with suppress(OSError):
            if (place := os.readlink(entry)).startswith(directory):
                found[int(entry.parent.name)] = place
    return found


def test_a_server_that_does_not_start_shows_its_log() -> None:
    with open_home("failing") as home:
        server = home.server("failing", ["sh", "-c", "echo the reason; exit 3"], lambda: False)
        with pytest.raises(ServiceFailed, match=r"failing ended with 3[^$]*the reason"):
            server.start()
        assert server.pid is None
    assert not home.path.exists()


def test_a_server_that_does_not_answer_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.services.home.START_SECONDS", 0.1)
    with open_home("mute") as home:
        server = home.server("mute", ["sleep", "60"], lambda: False)
        with pytest.raises(ServiceFailed, match="mute did not answer within"):
            server.start()
        assert server.pid is None
        assert not processes_in(str(home.path))


def test_a_missing_program_tells_how_to_get_it() -> None:
    with pytest.raises(ServiceMissing, match="tests/services/install"):
        find_program("no-such-program")


@contextmanager
def missing() -> Iterator[Redis]:
    find_program("no-such-program")
    yield Redis(host="unreached", port=0)


UNHAD = Offer("unhad", "QALIPSIS_TEST_UNHAD_URL", Redis.from_url, missing)


@pytest.mark.parametrize(("ci", "outcome"), [("", pytest.skip.Exception), ("true", pytest.fail.Exception)])
def test_a_missing_service_skips_and_fails_in_ci(
    monkeypatch: pytest.MonkeyPatch, ci: str, outcome: type[BaseException]
) -> None:
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="no-such-program is not installed"):
        next(provided(UNHAD))


def test_an_existing_service_is_used_and_not_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(UNHAD.variable, "redis://:a%20secret@somewhere:1234/0")
    (service,) = provided(UNHAD)
    assert service == Redis(host="somewhere", port=1234, password="a secret")
    with pytest.raises(pytest.skip.Exception, match="somewhere:1234 was not started by these tests"):
        service.stop()


@pytest.mark.parametrize("url", ["postgresql://u%40x:p%3Aw@host:1/base", "postgresql://u:@host:5432/base"])
def test_an_address_is_read_as_it_is_written(url: str) -> None:
    assert Postgres.from_url(url).url == url
