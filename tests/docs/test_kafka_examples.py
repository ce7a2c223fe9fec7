"""The page on Kafka: its examples compile and run, and its tables know every option."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from qalipsis.factory.loader import load_plans
from qalipsis.metrics.ledger import Slot
from qalipsis.plan.model import Plan
from qalipsis.plugins.kafka import spec
from tests.plugins.kafka.bench import make_topics, play_plan
from tests.services.kafka import Kafka

PAGE = (Path(__file__).parents[2] / "docs" / "plugins" / "kafka.md").read_text()


def plans_of(folder: Path, bootstrap: str = "localhost:9092") -> dict[str, Plan]:
    module = folder / "kafka_page.py"
    module.write_text("\n".join(re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)))
    return load_plans([module], {"kafka.bootstrap": bootstrap}).plans


def test_the_examples_are_scenarios_without_mistakes(tmp_path: Path) -> None:
    assert set(plans_of(tmp_path)) == {"orders", "payments", "corrections", "audit"}


@pytest.fixture
async def topics(kafka_broker: Kafka) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_broker.bootstrap)
    await admin.start()
    try:
        await make_topics(admin, *(NewTopic(name, 1, 1) for name in ("orders", "invoices", "payments")))
    finally:
        await admin.close()


@pytest.mark.usefixtures("topics")
async def test_the_examples_run_as_they_stand(kafka_broker: Kafka, tmp_path: Path) -> None:
    plans = plans_of(tmp_path, kafka_broker.bootstrap)

    async def send_invoices() -> None:
        async with (
            AIOKafkaConsumer(
                "orders", bootstrap_servers=kafka_broker.bootstrap, auto_offset_reset="earliest"
            ) as orders,
            AIOKafkaProducer(bootstrap_servers=kafka_broker.bootstrap) as invoices,
        ):
            async for order in orders:
                await invoices.send_and_wait("invoices", b"{}", order.key)

    system = asyncio.create_task(send_invoices())
    try:
        for name, passes in (("orders", 20), ("corrections", 2)):
            assert (await play_plan(plans[name]))[Slot.PASSES_COMPLETED] == passes, name
    finally:
        system.cancel()
        await asyncio.wait([system])


def test_every_option_is_explained() -> None:
    explained = set(re.findall(r"^\| `(\w+)`|, `(\w+)`", PAGE, re.MULTILINE))
    named = {name for pair in explained for name in pair if name}
    kinds = (spec.ConsumeOptions, spec.ProduceOptions, spec.Parts)
    options = {name for kind in kinds for name in kind.__annotations__}
    assert options - named == set()
