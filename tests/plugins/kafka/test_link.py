"""Why a cluster cannot be used is said exactly: address, user, and never the password."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from qalipsis.plugins import kafka
from qalipsis.plugins.kafka import Cluster
from tests.services.kafka import Kafka

from .bench import Bench


@pytest.fixture
def login(kafka_broker: Kafka) -> str:
    if not kafka_broker.login_port:
        pytest.skip("the broker has no listener with logins")
    return f"{kafka_broker.host}:{kafka_broker.login_port}"


@pytest.fixture
def tls(kafka_broker: Kafka) -> str:
    if not kafka_broker.tls_port:
        pytest.skip("the broker has no listener with TLS")
    return f"{kafka_broker.host}:{kafka_broker.tls_port}"


async def refusals(bench: Bench, cluster: Cluster, topic: str) -> set[str]:
    """What producer and consumers say, without the place in the file."""
    said = {
        await bench.refused(cluster.produce(topic, value="x")),
        await bench.unreadable(cluster.consume(topic)),
        await bench.unreadable(cluster.consume(topic), f"group-{topic}"),
    }
    return {text.partition(": ")[2].partition("\n")[0] for text in said}


async def works(bench: Bench, cluster: Cluster, topic: str) -> bool:
    reading = await bench.read(cluster.consume(topic, value=str), f"group-{topic}")
    await bench.send(cluster.produce(topic, value="x"))
    return await reading.values(1) == ["x"]


async def test_a_right_login_is_let_in(bench: Bench, kafka_broker: Kafka, login: str, topic: str) -> None:
    cluster = kafka.cluster(login, sasl=kafka.plain(kafka_broker.user, kafka_broker.password))
    assert await works(bench, cluster, topic)


async def test_a_wrong_login_is_refused_by_name(bench: Bench, login: str, topic: str) -> None:
    cluster = kafka.cluster(login, sasl=kafka.plain("stranger", "hunter2"))
    said = await refusals(bench, cluster, topic)
    assert said == {f"Kafka at {login} refuses the login of user 'stranger'"}


async def test_a_login_in_another_way_is_refused(bench: Bench, login: str, topic: str) -> None:
    cluster = kafka.cluster(login, sasl=kafka.scram("tester", "hunter2", "SHA-256"))
    said = await refusals(bench, cluster, topic)
    assert said == {f"Kafka at {login} knows no login with SCRAM-SHA-256; use another one"}


async def test_a_login_that_is_missing_is_asked_for(bench: Bench, login: str, topic: str) -> None:
    [said] = await refusals(bench, kafka.cluster(login), topic)
    assert said == f"Kafka at {login} hangs up; perhaps it wants TLS (tls=) or a login (sasl=)"


async def test_tls_with_an_authority_of_ones_own(
    bench: Bench, kafka_broker: Kafka, tls: str, topic: str
) -> None:
    assert await works(bench, kafka.cluster(tls, tls=kafka_broker.ca), topic)


async def test_tls_without_looking(bench: Bench, tls: str, topic: str) -> None:
    assert await works(bench, kafka.cluster(tls, tls=kafka.tls(verify=False)), topic)


async def test_tls_with_an_unknown_authority_is_refused(bench: Bench, tls: str, topic: str) -> None:
    [said] = await refusals(bench, kafka.cluster(tls, tls=True), topic)
    assert said.startswith(f"no TLS with Kafka at {tls}: ")
    assert "certificate" in said


async def test_tls_that_is_missing_is_asked_for(bench: Bench, tls: str, topic: str) -> None:
    [said] = await refusals(bench, kafka.cluster(tls), topic)
    assert f"Kafka at {tls}" in said


async def test_tls_with_a_broker_that_speaks_none(bench: Bench, kafka_broker: Kafka, topic: str) -> None:
    cluster = kafka.cluster(kafka_broker.bootstrap, tls=True)
    bench_said = await bench.refused(cluster.produce(topic, value="x", timeout="1s"))
    assert f"Kafka at {kafka_broker.bootstrap}" in bench_said


async def test_a_file_that_is_no_certificate_is_named(
    bench: Bench, kafka_broker: Kafka, topic: str, tmp_path: object
) -> None:
    file = f"{tmp_path}/ca.pem"
    with open(file, "w") as ca:  # noqa: ASYNC230
        ca.write("no certificate")
    [said] = await refusals(bench, kafka.cluster(kafka_broker.bootstrap, tls=file), topic)
    assert file in said


@asynccontextmanager
async def silent_server() -> AsyncIterator[str]:
    """Takes connections and says nothing."""
    over = asyncio.Event()

    async def wait(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    server = await asyncio.start_server(wait, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    try:
        yield f"{host}:{port}"
    finally:
        over.set()
        server.close()
        await server.wait_closed()


async def test_something_that_says_nothing_is_refused_in_time(bench: Bench) -> None:
    async with silent_server() as address:
        cluster = kafka.cluster(address)
        said = await bench.refused(cluster.produce("t", value="x", timeout="300ms"))
        assert f"Kafka at {address} does not answer within 0.3 s" in said
        said = await bench.unreadable(cluster.consume("t", timeout="300ms"))
        assert f"Kafka at {address} does not answer within 0.3 s" in said


async def test_a_name_that_nobody_knows_is_refused(bench: Bench) -> None:
    said = await bench.refused(kafka.produce("t", value="x", bootstrap="kafka.invalid:9092"))
    assert "cannot connect to Kafka at kafka.invalid:9092" in said
