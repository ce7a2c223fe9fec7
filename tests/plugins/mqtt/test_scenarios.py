from __future__ import annotations

from typing import Any

from qalipsis import Minion, journey, scenario
from qalipsis.metrics.ledger import Slot
from qalipsis.plugins import mqtt
from tests.plugins.brokers.bench import play
from tests.plugins.http.certificates import Certificates
from tests.services.mosquitto import Mosquitto

from .brokers import Broker, broker_that
from .test_step import topic


async def test_a_message_meets_its_minion_in_whatever_worker_it_lives(mosquitto: Mosquitto) -> None:
    broker, where = mqtt.client(mosquitto.url), topic()
    chain = (
        scenario("met", minions=40)
        .start()
        .returns(lambda context, _: context.minion.index)
        .then(broker.publish(lambda n: f"{where}/{n}", lambda n: {"id": n}, qos=1))
        .named("publish")
        .inner_join(
            broker.subscribe(f"{where}/+", qos=1),
            on=lambda context, _: context.minion.index,
            having=lambda message: message.payload["id"],
            timeout="10s",
        )
        .named("join")
        .verify(lambda pair: pair.right.received_at >= pair.left.sent)
    )
    played = await play(chain, workers=2)
    assert played[Slot.PASSES_COMPLETED] == 40
    assert (played[Slot.REQUESTS_ATTEMPTED], played[Slot.REQUESTS_OK]) == (40, 40)
    assert played.counter("publish", "records-produced") == 40
    assert played.counter("join", "matched") == 40
    assert played.counter("join", "right-read") == 40
    assert played.counter("join", "records-consumed") == 80  # by each of the workers


async def test_workers_share_a_unicast_feed(mosquitto: Mosquitto) -> None:
    broker, where = mqtt.client(mosquitto.url), topic()
    chain = (
        scenario("dealt", minions=20)
        .aside(
            "talk",
            lambda aside: (
                aside.returns(list(range(40)))
                .flatten()
                .then(broker.publish(where, lambda n: n, qos=1))
                .named("publish")
            ),
        )
        .start()
        .then(broker.subscribe(where, qos=1).unicast(idle_timeout="10s"))
        .named("take")
    )
    played = await play(chain, workers=2)
    assert played.counter("take", "records-delivered") == 20
    assert all(played.step("take", worker).counters["records-consumed"] >= 10 for worker in range(2))


async def test_a_journey_publishes_too(mosquitto: Mosquitto) -> None:
    broker, where = mqtt.client(mosquitto.url, connections="per-minion"), topic()

    @journey("talkative", minions=5)
    async def talkative(minion: Minion) -> None:
        for n in range(3):
            sent = await minion.do(broker.publish(where, n, qos=1), name="publish")
            assert sent.done >= sent.sent

    played = await play(talkative.chain())
    assert played[Slot.PASSES_COMPLETED] == 5
    assert played[Slot.REQUESTS_OK] == 15
    assert played.step("publish").phases["connect"].count == 5


async def test_tls_checks_the_broker_and_can_be_told_what_to_trust(
    bench: Any, certificates: Certificates
) -> None:
    async with broker_that(Broker.let_in, certificates.server_context(wants_client=True)) as broker:
        pair = certificates.client, certificates.client_key
        trusting = mqtt.client(broker.url, verify=certificates.ca, cert=pair)
        await bench.ask(trusting.publish("t", "x"))
        await bench.ask(mqtt.client(broker.url, verify=False, cert=pair).publish("t", "x"))
        failure = await bench.fails(mqtt.client(broker.url, cert=pair).publish("t", "x"))
        assert failure.kind == "tls"
        assert "verify=" in str(failure)
