"""Rows that minions insert, and meet again in an ordered poll: how long does a row take to be seen by others?

Create the table, then run this file:

psql postgresql://… -c 'CREATE TABLE purchases (id bigserial PRIMARY KEY, buyer text, cents int)'
qalipsis run examples/sql_save_and_poll.py -c shop.database=postgresql://…
"""

from qalipsis import Context, profile, prop, scenario
from qalipsis.plugins import sql

shop = sql.postgres(prop("shop.database", default="postgresql://postgres@127.0.0.1:5432/postgres"))
purchases = shop.poll(
    "SELECT id, buyer, cents FROM purchases",
    by="id",
    start=sql.NEW,  # not what earlier campaigns have left
    every="1s",
)


def purchase(context: Context, _: None) -> dict[str, int | str]:
    return {"buyer": f"minion-{context.minion.index}", "cents": context.minion.random.randint(1, 9_999)}


sql_save_and_poll = (
    scenario(
        "sql-save-and-poll",
        minions=prop("shop.minions", default=100),
        profile=profile.regular("100ms", 4),
    )
    .start()
    .returns(purchase)
    .then(
        shop.save(
            "purchases",
            columns={"buyer": lambda bought: bought["buyer"], "cents": lambda bought: bought["cents"]},
            returning=("id", "buyer", "cents"),
        )
    )
    .named("insert")
    .map(lambda rows: rows[0])
    .inner_join(
        purchases,
        on=lambda saved: saved["id"],
        having=lambda polled: polled["id"],
        timeout="15s",
    )
    .named("meet")
    .timer("time-to-see", lambda pair: pair.right.received_at - pair.left.received_at)
    .should_satisfy(lambda time: time.percentile(95).is_less_than("5s"))
    .verify(lambda pair: pair.right == pair.left)
    .named("row-is-as-saved")
)
