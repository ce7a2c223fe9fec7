"""What happens behind the API: an order is answered with 202, published to Kafka, and stored in PostgreSQL.

Start the service (it needs both), then run this file:

python -m qalipsis.demo.orders --port 8080 --database postgresql://… --kafka localhost:9092
qalipsis run examples/distributed_system.py -c orders.database=postgresql://…
"""

from datetime import timedelta

from qalipsis import Context, profile, prop, scenario
from qalipsis.plugins import http, kafka, sql

api = http.client(prop("orders.url", default="http://127.0.0.1:8080"), timeout="5s")
database = sql.postgres(prop("orders.database", default="postgresql://postgres@127.0.0.1:5432/postgres"))
messages = kafka.consume(
    prop("orders.topic", default="orders"),
    bootstrap=prop("orders.kafka", default="localhost:9092"),
    key=str,
    value="json",
)
rows = database.poll("SELECT number, id, amount FROM orders", by="number", every="500ms")
patience = prop("orders.patience", default="30s", type=timedelta)


def new_order(context: Context, _: None) -> dict[str, object]:
    number = context.minion.shelf["number"] = context.minion.shelf.get("number", 0) + 1
    run = f"{context.minion.random.getrandbits(32):08x}"
    return {"id": f"{run}-{context.minion.index}-{number}", "amount": context.minion.random.randint(1, 99)}


distributed_system = (
    scenario(
        "distributed-system",
        minions=prop("orders.minions", default=100, type=int),
        profile=profile.stages(
            profile.stage(40, ramp_up="5s", total="10s"),
            profile.stage(60, ramp_up="5s", total="15s"),
        ),
    )
    .start()
    .returns(new_order)
    .then(api.post("/orders", json=lambda order: order))
    .named("place-order")
    .verify(lambda placed: placed.status == 202)
    .named("accepted")
    .split(
        lambda placed: (
            placed.inner_join(
                messages,
                on=lambda order: order.json()["id"],
                having=lambda message: message.key,
                timeout=patience,
            )
            .named("published")
            .timer("publish-delay", lambda pair: pair.right.received_at - pair.left.done)
            .should_satisfy(lambda delay: delay.percentile(95).is_less_than("1s"))
            .verify(lambda pair: pair.right.value == pair.left.json())
            .named("message-is-the-order")
        ),
        lambda placed: (
            placed.inner_join(
                rows,
                on=lambda order: order.json()["id"],
                having=lambda row: row["id"],
                timeout=patience,
            )
            .named("stored")
            .timer("store-delay", lambda pair: pair.right.received_at - pair.left.done)
            .should_satisfy(lambda delay: delay.percentile(95).is_less_than("2s"))
            .verify(lambda pair: pair.right["amount"] == pair.left.json()["amount"])
            .named("row-is-the-order")
        ),
    )
    .delay("1s")
)
