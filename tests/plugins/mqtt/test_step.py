from __future__ import annotations

import asyncio
from typing import Any
from uuid import uuid4

import pytest

from qalipsis.errors import ServiceUnavailable
from qalipsis.plugins import mqtt
from tests.plugins.brokers.bench import Bench, until
from tests.services.mosquitto import Mosquitto

from .brokers import Broker, broker_that

VERSIONS = pytest.mark.parametrize("version", [5, "3.1.1"])


def topic() -> str:
    """One that no other test uses."""
    return f"test/{uuid4().hex}"


@VERSIONS
@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_a_message_arrives_as_it_was_published(
    mosquitto: Mosquitto, bench: Bench, version: Any, qos: Any
) -> None:
    client, where = mqtt.client(mosquitto.secured_url, version=version), topic()
    reading = await bench.read(client.subscribe(f"{where}/+", qos=2))
    publish = client.publish(lambda n: f"{where}/{n}", lambda n: {"level": n, "unit": "%"}, qos=qos)
    published = await bench.ask(publish, 7)
    [message] = await reading.take(1)
    assert (message.topic, message.payload, message.qos) == (f"{where}/7", {"level": 7, "unit": "%"}, qos)
    assert message.raw == b'{"level":7,"unit":"%"}'
    assert not message.retain
    assert published.topic == message.topic
    assert published.sent <= published.done
    assert abs(message.received_at - published.done) < 5
    assert published.sent <= message.received_at
    assert bench.books == (1, 1, 0)
    assert bench.counters(publish) == {"records-produced": 1}
    assert reading.meters.counters == {"records-consumed": 1}


@pytest.mark.parametrize(
    ("payload", "raw"),
    [(b"\x00\xff", b"\x00\xff"), ("grün", "grün".encode()), ([1, None], b"[1,null]"), (None, b""), (7, b"7")],
)
async def test_payloads_are_bytes_texts_or_json(
    mosquitto: Mosquitto, bench: Bench, payload: Any, raw: bytes
) -> None:
    client, where = mqtt.client(mosquitto.url), topic()
    reading = await bench.read(client.subscribe(where, decode=bytes))
    await bench.ask(client.publish(where, payload))
    assert (await reading.take(1))[0].payload == raw


async def test_a_payload_that_is_no_data_is_the_authors_error_and_sends_nothing(
    mosquitto: Mosquitto, bench: Bench
) -> None:
    publish = mqtt.client(mosquitto.url).publish("t", lambda value: {object(): 1})
    with pytest.raises(ValueError, match="cannot be sent"):
        await bench.ask(publish)
    with pytest.raises(ValueError, match="wildcard"):
        await bench.ask(mqtt.client(mosquitto.url).publish(lambda value: "a/#", "x"))
    assert bench.books == (0, 0, 0)


async def test_a_retained_message_is_there_for_who_subscribes_later(
    mosquitto: Mosquitto, bench: Bench
) -> None:
    client, where = mqtt.client(mosquitto.url), topic()
    await bench.ask(client.publish(where, "kept", qos=1, retain=True))
    reading = await bench.read(client.subscribe(where, decode=str))
    [message] = await reading.take(1)
    assert (message.payload, message.retain) == ("kept", True)
    await bench.ask(client.publish(where, None, qos=1, retain=True))


async def test_a_large_payload_goes_through_in_parts(mosquitto: Mosquitto, bench: Bench) -> None:
    client, where = mqtt.client(mosquitto.url), topic()
    reading = await bench.read(client.subscribe(where, decode=bytes))
    large = bytes(range(256)) * 16_384
    await bench.ask(client.publish(where, large, qos=1))
    assert (await reading.take(1))[0].payload == large


async def test_minions_share_a_connection_or_have_their_own(mosquitto: Mosquitto, bench: Bench) -> None:
    shared = mqtt.client(mosquitto.url)
    owned = mqtt.client(mosquitto.url, connections="per-minion")
    publishes = {client: client.publish(topic(), "x", qos=1) for client in (shared, owned)}
    for client, count in ((shared, 1), (owned, 10)):
        minions = [bench.minion() for _ in range(10)]
        for _ in range(2):
            await asyncio.gather(*(bench.ask(publishes[client], None, minion) for minion in minions))
        step = await bench.step(publishes[client])
        assert step.connections(10) == {(mosquitto.host, mosquitto.port): count}
        assert bench.meters.drain() is None
        assert step._meters.phases["connect"].count == count


async def test_many_publish_at_once_over_one_connection(mosquitto: Mosquitto, bench: Bench) -> None:
    client, where = mqtt.client(mosquitto.url), topic()
    reading = await bench.read(client.subscribe(where, qos=1))
    publish, minion = client.publish(where, lambda n: n, qos=1), bench.minion()
    await asyncio.gather(*(bench.ask(publish, n, minion) for n in range(500)))
    assert sorted(message.payload for message in await reading.take(500)) == list(range(500))
    assert bench.books == (500, 500, 0)


async def test_a_broker_that_is_not_there_is_told_before_the_start(bench: Bench) -> None:
    publish = mqtt.client("mqtt://anna:very%20secret@127.0.0.1:1").publish("t", "x")
    step = await bench.step(publish)
    with pytest.raises(ServiceUnavailable, match=r"test_step.py:\d+: .*127.0.0.1:1 refuses") as caught:
        await step.reach()
    assert "secret" not in str(caught.value)
    assert (await bench.fails(publish)).kind == "connect-refused"
    assert bench.books == (0, 0, 0)  # nothing was sent


@VERSIONS
async def test_a_login_that_is_refused_names_the_user_and_not_the_password(
    mosquitto: Mosquitto, bench: Bench, version: Any
) -> None:
    url = mosquitto.secured_url.replace("//qalipsis:", "//anna:wrong-")
    publish = mqtt.client(url, version=version).publish("t", "x")
    step = await bench.step(publish)
    with pytest.raises(ServiceUnavailable, match="refused the user 'anna'") as caught:
        await step.reach()
    assert "wrong" not in str(caught.value)
    assert (await bench.fails(publish)).kind == "auth"
    nobody = mqtt.client(url.replace(url[7 : url.index("@") + 1], "")).publish("t", "x")
    assert "a client without user" in str(await bench.fails(nobody))


async def test_a_step_that_reaches_its_broker_keeps_the_connection(
    mosquitto: Mosquitto, bench: Bench
) -> None:
    publish = mqtt.client(mosquitto.url).publish(topic(), "x")
    step = await bench.step(publish)
    await step.reach()
    await step.reach()
    await bench.ask(publish)
    bench.meters.drain()
    assert step._meters.phases["connect"].count == 1


async def test_a_broker_that_dies_fails_what_runs_and_is_connected_to_again(
    mosquitto: Mosquitto, bench: Bench
) -> None:
    publish, minion = mqtt.client(mosquitto.url).publish(topic(), "x", qos=1), bench.minion()
    await bench.ask(publish, None, minion)
    mosquitto.kill()
    try:
        failure = await bench.fails(publish, None, minion)
        assert failure.kind in ("closed", "connect-refused")
        assert mosquitto.address in str(failure)
    finally:
        mosquitto.start()
    await bench.ask(publish, None, minion)


async def test_a_message_without_answer_times_out(bench: Bench) -> None:
    async with broker_that(Broker.let_in) as broker:
        publish = mqtt.client(broker.url, timeout="100ms").publish("t", "x", qos=1)
        failure = await bench.fails(publish)
        assert failure.kind == "timeout"
        assert broker.address in str(failure)
        assert bench.failures(publish) == {"timeout": 1}
        assert bench.books == (1, 0, 1)


async def test_a_broker_that_says_nothing_does_not_hang_anybody(bench: Bench) -> None:
    async with broker_that(Broker.stay_silent) as broker:
        publish = mqtt.client(broker.url, timeout="100ms").publish("t", "x")
        assert (await bench.fails(publish)).kind in ("connect-timeout", "timeout")


async def test_what_the_broker_refuses_is_no_success(bench: Bench) -> None:
    async with broker_that(Broker.refuse) as broker:
        client = mqtt.client(broker.url)
        failure = await bench.fails(client.publish("secret/plans", "x", qos=1))
        assert failure.kind == "denied"
        assert "secret/plans" in str(failure)
        assert (await bench.fails(client.publish("secret/plans", "x", qos=2))).kind == "denied"
        assert bench.books == (2, 0, 2)


async def test_a_broker_says_what_it_cannot_take(bench: Bench) -> None:
    async with broker_that(Broker.be_small) as broker:
        client = mqtt.client(broker.url)
        assert (await bench.fails(client.publish("t", "x", qos=2))).kind == "unsupported"
        assert (await bench.fails(client.publish("t", "x", retain=True))).kind == "unsupported"
        assert (await bench.fails(client.publish("t", "x" * 200))).kind == "too-large"
        await bench.ask(client.publish("t", "x"))


async def test_no_more_messages_are_unanswered_than_the_broker_allows(bench: Bench) -> None:
    async with broker_that(Broker.be_slow) as broker:
        publish, minion = mqtt.client(broker.url).publish("t", "x", qos=1), bench.minion()
        await asyncio.gather(*(bench.ask(publish, None, minion) for _ in range(20)))
        assert broker.most_unanswered <= 3
        assert broker.published == 20


async def test_a_broker_that_speaks_something_else_is_told(bench: Bench) -> None:
    async with broker_that(Broker.speak_http) as broker:
        failure = await bench.fails(mqtt.client(broker.url).publish("t", "x"))
        assert failure.kind == "protocol"


async def test_a_broker_of_the_old_version_is_told_with_what_to_write(bench: Bench) -> None:
    async with broker_that(Broker.be_old) as broker:
        failure = await bench.fails(mqtt.client(broker.url).publish("t", "x"))
        assert 'version="3.1.1"' in str(failure)


async def test_a_silent_connection_is_kept_alive_and_a_dead_one_found_out(bench: Bench) -> None:
    async with broker_that(Broker.answer_one_ping) as broker:
        client = mqtt.client(broker.url, keep_alive="1s", timeout="200ms")
        publish, minion = client.publish("t", "x"), bench.minion()
        await bench.ask(publish, None, minion)
        seat = (await bench.step(publish))._link.seat(minion, None)
        await until(lambda: not seat.connection.is_open, seconds=5)
        assert broker.pings == 2
        assert "does not answer" in str(seat.connection.lost.result())


async def test_a_minion_that_ends_closes_its_connection(mosquitto: Mosquitto, bench: Bench) -> None:
    async with broker_that(Broker.let_in) as broker:
        publish = mqtt.client(broker.url, connections="per-minion").publish("t", "x")
        minion = bench.minion()
        await bench.ask(publish, None, minion)
        minion.close()
        minion.close()
        await until(lambda: broker.left == 1)
