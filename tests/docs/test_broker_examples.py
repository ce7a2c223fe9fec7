"""The pages on message brokers: their examples compile, and their tables know every option."""

from __future__ import annotations

import asyncio
import re
from inspect import signature
from pathlib import Path
from typing import Any

import aiormq
import pytest
from aiormq.abc import DeliveredMessage
from pamqp.commands import Basic

from qalipsis.factory.loader import load_plans
from qalipsis.metrics.ledger import Slot
from qalipsis.plan.model import Plan
from qalipsis.plugins import mqtt
from qalipsis.plugins import rabbitmq as amqp
from qalipsis.plugins.rabbitmq.spec import PROPERTIES
from tests.plugins.brokers.bench import play_plan
from tests.services.mosquitto import Mosquitto
from tests.services.rabbitmq import Rabbitmq

PAGES = Path(__file__).parents[2] / "docs" / "plugins"
CLIENTS: dict[str, Any] = {
    "mqtt": (mqtt.client, mqtt.MqttClient.publish, mqtt.MqttClient.subscribe),
    "rabbitmq": (
        amqp.client,
        amqp.RabbitmqClient.produce,
        amqp.RabbitmqClient.consume,
        amqp.RabbitmqClient.subscribe,
    ),
}
SCENARIOS = {"mqtt": {"echo", "sensor", "alarms"}, "rabbitmq": {"orders", "work", "watch"}}


@pytest.mark.parametrize("page", CLIENTS)
def test_the_examples_are_scenarios_without_mistakes(page: str, tmp_path: Path) -> None:
    assert set(plans_of(page, tmp_path, {})) == SCENARIOS[page]


def plans_of(page: str, folder: Path, properties: dict[str, Any]) -> dict[str, Plan]:
    text = (PAGES / f"{page}.md").read_text()
    module = folder / f"{page}_page.py"
    module.write_text("\n".join(re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)))
    return load_plans([module], properties).plans


async def test_the_first_example_of_mqtt_runs_as_it_stands(mosquitto: Mosquitto, tmp_path: Path) -> None:
    plan = plans_of("mqtt", tmp_path, {"mqtt.broker": mosquitto.url})["echo"]
    played = await play_plan(lambda: plan)
    assert played[Slot.PASSES_COMPLETED] == 20


async def test_the_first_example_of_rabbitmq_runs_with_a_service_that_answers(
    rabbitmq: Rabbitmq, tmp_path: Path
) -> None:
    async with asyncio.timeout(30), aiormq.connect(rabbitmq.url) as connection:
        channel = await connection.channel()
        for exchange in ("orders", "invoices"):
            await channel.exchange_declare(exchange, exchange_type="topic")
        queue = str((await channel.queue_declare(exclusive=True)).queue)
        await channel.queue_bind(queue, "orders", "orders.new")

        async def invoice(order: DeliveredMessage) -> None:
            properties = Basic.Properties(correlation_id=order.header.properties.correlation_id)
            await channel.basic_publish(
                b"{}", exchange="invoices", routing_key="invoices.sent", properties=properties
            )

        await channel.basic_consume(queue, invoice, no_ack=True)
        plan = plans_of("rabbitmq", tmp_path, {"rabbitmq.url": rabbitmq.url})["orders"]
        played = await play_plan(lambda: plan)
        for exchange in ("orders", "invoices"):
            await channel.exchange_delete(exchange)
    assert played[Slot.PASSES_COMPLETED] == 20


@pytest.mark.parametrize("page", CLIENTS)
def test_every_option_is_explained(page: str) -> None:
    text = (PAGES / f"{page}.md").read_text()
    explained = set(re.findall(r"`(\w+)`", text)) | set(re.findall(r"\b(\w+)=", text))
    options = {name for function in CLIENTS[page] for name in signature(function).parameters}
    if page == "rabbitmq":
        options |= PROPERTIES
    assert options - {"self", "properties"} <= explained


@pytest.mark.parametrize("page", CLIENTS)
def test_links_lead_somewhere(page: str) -> None:
    text = (PAGES / f"{page}.md").read_text()
    for target in re.findall(r"\]\(([^)#\s]+)\)", text):
        assert (PAGES / target).exists(), target
