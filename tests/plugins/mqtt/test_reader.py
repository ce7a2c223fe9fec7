from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

from qalipsis.errors import ServiceUnavailable
from qalipsis.plugins import mqtt
from qalipsis.plugins.brokers import recovery
from tests.plugins.brokers.bench import Bench, dealt, until
from tests.services.mosquitto import Mosquitto

from .brokers import Broker, broker_that
from .test_step import topic


async def test_readers_without_a_group_get_everything(mosquitto: Mosquitto, bench: Bench) -> None:
    client, where = mqtt.client(mosquitto.url), topic()
    readings = [await bench.read(client.subscribe(f"{where}/#")) for _ in range(2)]
    publish = client.publish(f"{where}/a/b", lambda n: n, qos=1)
    for n in range(20):
        await bench.ask(publish, n)
    for reading in readings:
        assert [message.payload for message in await reading.take(20)] == list(range(20))
        assert await reading.is_silent()


async def test_readers_of_a_group_share_the_messages(mosquitto: Mosquitto, bench: Bench) -> None:
    client, where = mqtt.client(mosquitto.url), topic()
    # A group is named after steps, and its name may have letters that MQTT does not allow there.
    readings = [await bench.read(client.subscribe(where, qos=1), group="run/a+b") for _ in range(2)]
    publish = client.publish(where, lambda n: n, qos=1)
    for n in range(20):
        await bench.ask(publish, n)
    shares = await dealt(readings, 20)
    assert all(shares)
    assert sorted(message.payload for share in shares for message in share) == list(range(20))


async def test_what_is_published_as_soon_as_a_reader_is_open_is_not_missed(
    mosquitto: Mosquitto, bench: Bench
) -> None:
    client = mqtt.client(mosquitto.url)
    for _ in range(20):
        where = topic()
        reading = await bench.read(client.subscribe(where))
        await bench.ask(client.publish(where, "1"))
        await reading.take(1)


async def test_old_brokers_have_no_groups_and_that_is_told(mosquitto: Mosquitto, bench: Bench) -> None:
    client = mqtt.client(mosquitto.url, version="3.1.1")
    with pytest.raises(ServiceUnavailable, match=r"test_reader.py:\d+: .*version=5"):
        await bench.read(client.subscribe(topic()), group="g")
    await bench.read(client.subscribe(topic()))
    async with broker_that(Broker.be_small) as broker:
        with pytest.raises(ServiceUnavailable, match="no shared subscriptions"):
            await bench.read(mqtt.client(broker.url).subscribe("t"), group="g")


async def test_a_subscription_that_is_refused_ends_the_start(bench: Bench) -> None:
    async with broker_that(Broker.refuse) as broker:
        with pytest.raises(ServiceUnavailable, match="refused the subscription to 'a/#': not authorized"):
            await bench.read(mqtt.client(broker.url).subscribe("a/#"))
    async with broker_that(Broker.let_in) as broker:
        with pytest.raises(ServiceUnavailable, match=r"confirmed no subscription within 0\.1 s"):
            await bench.read(mqtt.client(broker.url, timeout="100ms").subscribe("a/#"))


async def test_a_broker_that_is_down_or_refuses_the_login_ends_the_start(
    mosquitto: Mosquitto, bench: Bench
) -> None:
    with pytest.raises(ServiceUnavailable, match=r"127\.0\.0\.1:1 refuses"):
        await bench.read(mqtt.client("mqtt://127.0.0.1:1").subscribe("t"))
    url = mosquitto.secured_url.replace("//qalipsis:", "//anna:wrong-")
    with pytest.raises(ServiceUnavailable, match="'anna'") as caught:
        await bench.read(mqtt.client(url).subscribe("t"))
    assert "wrong" not in str(caught.value)


async def test_messages_that_cannot_be_decoded_are_counted_told_once_and_left_out(
    mosquitto: Mosquitto, bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    client, where = mqtt.client(mosquitto.url), topic()
    reading = await bench.read(client.subscribe(where))
    for payload in ("{", "{}", "no", "[1]"):
        await bench.ask(client.publish(where, payload, qos=1))
    assert [message.payload for message in await reading.take(2)] == [{}, [1]]
    assert reading.meters.counters == {"bad-records": 2, "records-consumed": 2}
    assert len([record for record in caplog.records if "cannot be decoded" in record.message]) == 1


async def test_what_nobody_takes_is_dropped_counted_and_told(
    mosquitto: Mosquitto, bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    client, where = mqtt.client(mosquitto.url), topic()
    reading = await bench.read(client.subscribe(where, buffer=5))
    publish = client.publish(where, lambda n: n, qos=1)
    other = await bench.read(client.subscribe(where))
    for n in range(8):
        await bench.ask(publish, n)
    await other.take(8)
    assert [message.payload for message in await reading.take(5)] == [0, 1, 2, 3, 4]
    assert reading.meters.counters == {"records-dropped": 3, "records-consumed": 5}
    assert "larger buffer" in caplog.text
    await reading.reader.aclose()
    assert "3 messages were dropped in all" in caplog.text


async def test_a_reader_comes_back_with_what_was_published_meanwhile(
    mosquitto: Mosquitto, bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    client, where = mqtt.client(mosquitto.url), topic()
    reading = await bench.read(client.subscribe(where, qos=1))
    publish = client.publish(where, lambda n: n, qos=1)
    await bench.ask(publish, 1)
    await reading.take(1)
    reading.reader._connection._transport.abort()  # type: ignore[attr-defined]
    await asyncio.sleep(0)
    await bench.ask(publish, 2)
    assert [message.payload for message in await reading.take(1)] == [2]
    await until(lambda: reading.meters.counters.get("reconnects") == 1)
    assert "missing" not in caplog.text


@pytest.mark.parametrize("version", [5, "3.1.1"])
async def test_a_reader_survives_a_restart_of_its_broker(
    mosquitto: Mosquitto, bench: Bench, caplog: pytest.LogCaptureFixture, version: Any
) -> None:
    caplog.set_level(logging.WARNING)
    client, where = mqtt.client(mosquitto.url, version=version), topic()
    reading = await bench.read(client.subscribe(where, qos=0))
    mosquitto.kill()
    await asyncio.sleep(0.05)
    mosquitto.start()
    taking = asyncio.create_task(reading.take(1))
    publish = client.publish(where, "7")
    async with asyncio.timeout(20):
        while not taking.done():
            await bench.ask(publish)
            await asyncio.sleep(0.05)
    assert taking.result()[0].payload == 7
    assert "may be missing" in caplog.text


async def test_a_reader_gives_up_when_its_broker_stays_away(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "RECOVERY_SECONDS", 0.5)
    broker = Broker(confirming)
    await broker.start()
    reading = await bench.read(mqtt.client(broker.url).subscribe("t"))
    await broker.stop()
    failure = await reading.fails()
    assert failure.kind == "connect-refused"
    assert broker.address in str(failure)


async def test_a_reader_leaves_no_session_behind(bench: Bench) -> None:
    farewells: list[bytes] = []

    def behave(broker: Broker, writer: asyncio.StreamWriter, first: int, body: bytes) -> None:
        confirming(broker, writer, first, body)
        if first == 0xE0:
            farewells.append(body)

    async with broker_that(behave) as broker:
        reading = await bench.read(mqtt.client(broker.url).subscribe("t"))
        await reading.reader.aclose()
        await reading.reader.aclose()
        await until(lambda: len(farewells) > 0)
    assert farewells == [b"\x00\x05\x11\x00\x00\x00\x00"]


async def test_a_message_of_qos_2_that_is_sent_again_is_read_once(bench: Bench) -> None:
    message = b"\x34\x08\x00\x01t\x00\x07\x00\x31\x32"

    def behave(broker: Broker, writer: asyncio.StreamWriter, first: int, body: bytes) -> None:
        confirming(broker, writer, first, body)
        if first >> 4 == 8:
            writer.write(message)
        if first >> 4 == 5:  # PUBREC: again once, then go on
            broker.published += 1
            writer.write(b"\x3c" + message[1:] if broker.published == 1 else b"\x62\x02\x00\x07")
        if first >> 4 == 7:
            broker.left += 1

    async with broker_that(behave) as broker:
        reading = await bench.read(mqtt.client(broker.url).subscribe("t", qos=2))
        assert [m.payload for m in await reading.take(1)] == [12]
        await until(lambda: broker.left > 0)
        assert await reading.is_silent(0.05)


def confirming(broker: Broker, writer: asyncio.StreamWriter, first: int, body: bytes) -> None:
    broker.let_in(writer, first, body)
    if first >> 4 == 8:
        writer.write(b"\x90\x04" + body[:2] + b"\x00\x02")
