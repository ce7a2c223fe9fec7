from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import asyncpg
import pytest

from qalipsis.engine.pump import Shard
from qalipsis.engine.source import MOST_IN_BATCH
from qalipsis.errors import ServiceUnavailable
from qalipsis.plan.ownership import Ownership
from qalipsis.plugins import sql
from qalipsis.plugins.sql import reader as reader_module
from tests.services.postgres import Postgres

from .desk import Desk

Databases = Callable[..., sql.Database]

QUICK = "50ms"


async def settle(count: int = 3) -> None:
    """Time for so many polls."""
    await asyncio.sleep(count * 0.06)


def ids(rows: list[Any]) -> list[int]:
    return [row["id"] for row in rows]


async def test_rows_come_in_order_those_that_are_there_and_those_that_follow(
    shop: sql.Database, desk: Desk, admin: Any
) -> None:
    await admin.execute("INSERT INTO orders (id, name) VALUES (2, 'b'), (1, 'a')")
    before = desk.clock.epoch(desk.clock.now())
    reading = await desk.read(shop.poll("SELECT id, name FROM orders", by="id", every=QUICK))
    first = await reading.take(2)
    assert first == [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]
    assert before < first[0].received_at <= desk.clock.epoch(desk.clock.now())
    await admin.execute("INSERT INTO orders (id) VALUES (4), (3)")
    assert ids(await reading.take(2)) == [3, 4]
    await settle()
    assert reading.at_hand() == []
    assert reading.meters.counters["rows-read"] == 4
    assert reading.meters.counters["polls"] >= 3


@pytest.mark.parametrize(("order", "sign"), [("asc", 1), ("desc", -1)])
async def test_ties_that_come_later_are_read_once_in_both_directions(
    database: Databases, desk: Desk, admin: Any, order: Any, sign: int
) -> None:
    await admin.execute("CREATE TABLE things (value int, id int)")
    insert = "INSERT INTO things SELECT $1, unnest($2::int[])"
    await admin.execute(insert, 10 * sign, [1, 2])
    reading = await desk.read(
        database().poll("SELECT * FROM things -- all", by="value", order=order, every=QUICK, lateness=QUICK)
    )
    assert sorted(ids(await reading.take(2))) == [1, 2]
    await admin.execute(insert, 10 * sign, [3, 3])
    assert ids(await reading.take(2)) == [3, 3]
    async with admin.transaction():
        await admin.execute(insert, 11 * sign, [4])
        await admin.execute(insert, 10 * sign, [5])
    rest = await reading.take(2)
    assert sorted(ids(rest)) == [4, 5]
    await settle()
    await admin.execute(insert, 11 * sign, [6])
    await admin.execute(insert, 9 * sign, [7])  # before the place of the poll, and too late
    assert ids(await reading.take(1)) == [6]
    await settle()
    assert reading.at_hand() == []


async def test_a_transaction_that_commits_late_is_not_skipped(
    shop: sql.Database, desk: Desk, admin: Any, postgres: Postgres
) -> None:
    reading = await desk.read(shop.poll("SELECT id FROM orders;", by="id", every=QUICK))
    slow = await asyncpg.connect(postgres.url, timeout=10)
    await slow.execute(f"SET search_path TO {shop.settings().schema}")
    async with slow.transaction():
        await slow.execute("INSERT INTO orders DEFAULT VALUES")
        await admin.execute("INSERT INTO orders DEFAULT VALUES")
        assert ids(await reading.take(1)) == [2]
        await settle()
    assert ids(await reading.take(1)) == [1]
    await slow.close(timeout=5)
    await settle()
    assert reading.at_hand() == []


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_concurrent_writers_lose_and_repeat_no_row(
    database: Databases, desk: Desk, admin: Any, postgres: Postgres, order: Any
) -> None:
    """Eight writers take numbers in order, commit in disorder, and share every second value."""
    sign = 1 if order == "asc" else -1
    await admin.execute("CREATE SEQUENCE numbers; CREATE TABLE things (value int, writer int, turn int)")
    mine = database()
    reading = await desk.read(
        mine.poll("SELECT * FROM things", by="value", order=order, every="10ms", batch=20)
    )

    async def write(writer: int) -> None:
        chance = Random(writer)
        connection = await asyncpg.connect(postgres.url, timeout=10)
        await connection.execute(f"SET search_path TO {mine.settings().schema}")
        for turn in range(30):
            async with connection.transaction():
                await connection.execute(
                    f"INSERT INTO things SELECT {sign} * (nextval('numbers') / 2), $1, $2", writer, turn
                )
                await asyncio.sleep(chance.choice((0, 0, 0.001, 0.02)))
        await connection.close(timeout=5)

    await asyncio.gather(*map(write, range(8)))
    rows = await reading.take(240)
    await settle()
    assert reading.at_hand() == []
    assert Counter((row["writer"], row["turn"]) for row in rows) == Counter(
        (writer, turn) for writer in range(8) for turn in range(30)
    )


async def test_a_long_table_is_read_in_batches(shop: sql.Database, desk: Desk, admin: Any) -> None:
    await admin.execute("INSERT INTO orders (name) SELECT 'x' FROM generate_series(1, 5500)")
    reading = await desk.read(shop.poll("SELECT id FROM orders", by="id", every="1h", batch=2_000))
    assert ids(await reading.take(5_500)) == list(range(1, 5_501))
    assert max(map(len, reading.batches)) == MOST_IN_BATCH


async def test_one_value_with_more_rows_than_a_batch(shop: sql.Database, desk: Desk, admin: Any) -> None:
    await admin.execute("INSERT INTO orders (price) SELECT 1 FROM generate_series(1, 2500)")
    poll = shop.poll("SELECT id, price FROM orders", by="price", every=QUICK, batch=10)
    reading = await desk.read(poll)
    assert sorted(ids(await reading.take(2_500))) == list(range(1, 2_501))
    await admin.execute("INSERT INTO orders (price) VALUES (1.00), (2)")
    assert sorted(ids(await reading.take(2))) == [2_501, 2_502]
    await settle()
    assert reading.at_hand() == []


async def test_moments_and_numbers_order_together(database: Databases, desk: Desk, admin: Any) -> None:
    await admin.execute("CREATE TABLE events (at timestamptz, id int, load float8)")
    noon = datetime(2024, 5, 1, 12, tzinfo=UTC)
    rows = [(noon + timedelta(microseconds=n // 2), n % 2, float("nan")) for n in range(6)]
    await admin.executemany("INSERT INTO events VALUES ($1, $2, $3)", rows[::-1])
    query = "SELECT * FROM events WHERE id < $1"
    by_both = await desk.read(database().poll(query, by=["at", "id"], params=[2], every=QUICK, lateness=0))
    assert [(row["at"], row["id"]) for row in await by_both.take(6)] == [row[:2] for row in rows]
    later = database().poll(query, by=("at", "id"), params=[2], start=rows[3][:2], every=QUICK)
    assert len(await (await desk.read(later)).take(3)) == 3
    by_load = await desk.read(database().poll(query, by="load", params=[2], every=QUICK))
    assert len(await by_load.take(6)) == 6
    await admin.execute("INSERT INTO events VALUES ($1, 1, 'infinity')", noon)
    await admin.execute("INSERT INTO events VALUES ($1, 0, 'NaN')", noon)
    assert len(await by_load.take(2)) == 2
    assert len(await by_both.take(0)) == 0
    await settle()
    assert by_load.at_hand() == []


async def test_a_poll_begins_where_it_is_told(shop: sql.Database, desk: Desk, admin: Any) -> None:
    await admin.execute("INSERT INTO orders (name) SELECT 'x' FROM generate_series(1, 5)")
    query = "SELECT id FROM orders"
    upwards = await desk.read(shop.poll(query, by="id", start=4, every=QUICK))
    downwards = await desk.read(shop.poll(query, by="id", start=2, order="desc", every=QUICK))
    new = await desk.read(shop.poll(query, by="id", start=sql.NEW, every=QUICK))
    assert ids(await upwards.take(2)) == [4, 5]
    assert ids(await downwards.take(2)) == [2, 1]
    await admin.execute("INSERT INTO orders (id) VALUES (6)")
    assert ids(await new.take(1)) == ids(await upwards.take(1)) == [6]
    await settle()
    assert [reading.at_hand() for reading in (upwards, downwards, new)] == [[], [], []]


async def test_new_rows_of_an_empty_table_are_all_rows(shop: sql.Database, desk: Desk, admin: Any) -> None:
    reading = await desk.read(shop.poll("SELECT id FROM orders", by="id", start=sql.NEW, every=QUICK))
    await admin.execute("INSERT INTO orders DEFAULT VALUES")
    assert ids(await reading.take(1)) == [1]


@dataclass
class Order:
    id: int
    received_at: float


async def test_rows_become_what_the_author_wants(shop: sql.Database, desk: Desk, admin: Any) -> None:
    await admin.execute("INSERT INTO orders DEFAULT VALUES")
    reading = await desk.read(shop.poll("SELECT id, name FROM orders", by="id", into=Order, every=QUICK))
    [order] = await reading.take(1)
    assert order.id == 1
    assert order.received_at > 1e9
    misfit = await desk.read(shop.poll("SELECT id, 'x' AS received_at FROM orders", by="id", into=Order))
    error = await misfit.fails()
    assert (error.kind, "does not fit into Order" in str(error)) == ("row", True)


async def test_workers_share_the_rows_whatever_order_they_read_them_in(
    database: Databases, desk: Desk, admin: Any
) -> None:
    """One worker began before the ties were complete, the other after: each row belongs to one of them."""
    await admin.execute("CREATE TABLE things (value int, id int)")
    poll = database().poll("SELECT * FROM things", by="value", every=QUICK)
    early = await desk.read(poll)
    for number in range(0, 40, 4):
        await admin.execute(
            "INSERT INTO things SELECT 1, generate_series($1::int, $2::int)", number, number + 3
        )
        await early.take(4)
    await admin.execute("UPDATE things SET id = id WHERE id % 2 = 0")  # moves the rows about in the table
    late = await desk.read(poll)
    await late.take(40)
    own: list[int] = []
    for worker, reading in enumerate((early, late)):
        shard = Shard(Ownership((1, 1)).owner, worker)
        got = [row["id"] for batch in reading.batches for row in shard.own(batch)]
        assert got
        own += got
    assert sorted(own) == list(range(40))


@pytest.mark.parametrize(
    ("query", "options", "words"),
    [
        ("SELECT * FROM nothing", {}, 'relation "nothing" does not exist'),
        ("SELECT name FROM orders", {}, "has no column 'id', but name"),
        ("SELECT id FROM orders", {"key": "nothing"}, "has no column 'nothing'"),
        ("SELECT id, id FROM orders", {}, "two columns the same name"),
        ("SELECT id FROM orders WHERE id > $1", {}, "1 parameters, and params has 0 values"),
        ("SELECT id FROM orders", {"params": [1]}, "0 parameters, and params has 1 values"),
        ("SELECT id, price FROM orders", {"by": "price"}, "rows without price"),
        ("SELECT id::text::citext AS id FROM orders", {}, "id::text"),
        ("SELECT id FROM orders", {"start": "first"}, "str"),
        ("SELECT details::json AS id FROM orders", {}, "ordering operator"),
        ("SELEKT", {}, "syntax error"),
    ],
)
async def test_what_cannot_be_polled_is_told_before_the_start(
    shop: sql.Database, desk: Desk, admin: Any, query: str, options: dict[str, Any], words: str
) -> None:
    await admin.execute("CREATE EXTENSION IF NOT EXISTS citext SCHEMA pg_catalog")
    await admin.execute("INSERT INTO orders DEFAULT VALUES")
    with pytest.raises(ServiceUnavailable) as caught:
        await desk.read(shop.poll(query, **{"by": "id", **options}))
    message = str(caught.value)
    assert words in message
    assert f"PostgreSQL at 127.0.0.1:{shop.settings().port}" in message
    assert "secret" not in message


async def test_a_poll_survives_a_restart_of_its_database(
    shop: sql.Database, desk: Desk, admin: Any, postgres: Postgres
) -> None:
    reading = await desk.read(shop.poll("SELECT id FROM orders", by="id", every=QUICK))
    await admin.execute("INSERT INTO orders VALUES (1), (2)")
    await reading.take(2)
    await asyncio.to_thread(postgres.stop)
    await asyncio.sleep(0.3)
    await asyncio.to_thread(postgres.start)
    again = await asyncpg.connect(postgres.url, timeout=10)
    await again.execute(f"INSERT INTO {shop.settings().schema}.orders (id) VALUES (3)")
    await again.close(timeout=5)
    assert ids(await reading.take(1)) == [3]
    assert reading.meters.counters["poll-errors"] >= 1
    await settle()
    assert reading.at_hand() == []


async def test_a_poll_whose_database_stays_away_gives_up(
    shop: sql.Database, desk: Desk, postgres: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader_module, "RECOVERY_SECONDS", 0.5)
    reading = await desk.read(shop.poll("SELECT id FROM orders", by="id", every=QUICK))
    await asyncio.to_thread(postgres.stop)
    try:
        error = await reading.fails()
    finally:
        await asyncio.to_thread(postgres.start)
    assert error.kind == "connect-refused"
    assert "it was away for 0.5 s" in str(error)
    assert "secret" not in str(error)


async def test_a_table_that_is_dropped_ends_the_poll_at_once(
    shop: sql.Database, desk: Desk, admin: Any
) -> None:
    reading = await desk.read(shop.poll("SELECT id FROM orders", by="id", every=QUICK))
    await admin.execute("DROP TABLE orders")
    assert (await reading.fails()).kind == "no-table"


async def test_a_poll_can_be_closed_while_it_asks(shop: sql.Database, desk: Desk) -> None:
    """The query sleeps; closing cancels it on the server, and does not wait for its end."""
    reading = await desk.read(shop.poll("SELECT id FROM orders", by="id", every=QUICK))
    await reading.aclose()
    began = desk.clock.now()
    nap = "pg_sleep(CASE WHEN clock_timestamp() > $1 THEN 30 ELSE 0 END)::text"
    soon = datetime.now(UTC) + timedelta(seconds=0.3)
    slow = shop.poll(f"SELECT 1 AS id, {nap} AS nap", by="id", params=[soon], every=QUICK)
    reading = await desk.read(slow)
    await asyncio.sleep(0.6)
    await reading.aclose()
    assert desk.clock.now() - began < 4
