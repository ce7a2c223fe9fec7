from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from msgspec import Struct

from qalipsis.engine.step import StepError
from qalipsis.plugins import sql

from .desk import Desk

Databases = Callable[..., sql.Database]


async def test_a_row_is_saved_and_the_value_goes_on(shop: sql.Database, desk: Desk, admin: Any) -> None:
    user = {"id": 3, "name": "ann"}
    save = shop.save(
        "orders", columns={"id": lambda user: user["id"], "name": lambda user: user["name"], "price": 5}
    )
    assert await desk.do(save, user) is user
    assert [dict(row) for row in await admin.fetch("SELECT id, name, price FROM orders")] == [
        {"id": 3, "name": "ann", "price": Decimal(5)}
    ]
    assert desk.counters(save) == {"rows-saved": 1}
    assert desk.books == (1, 1, 0)


async def test_many_rows_are_saved_in_one_statement(shop: sql.Database, desk: Desk, admin: Any) -> None:
    save = shop.save(
        "orders",
        columns=lambda context, names: [
            {"name": name, "id": context.minion.index * 10 + n} for n, name in names
        ],
    )
    await desk.do(save, list(enumerate(["a", "b", "c"])))
    assert await admin.fetchval("SELECT array_agg(name ORDER BY id) FROM orders") == ["a", "b", "c"]
    assert desk.counters(save) == {"rows-saved": 3}
    assert desk.books == (1, 1, 0)


async def test_what_a_row_leaves_out_has_its_default(shop: sql.Database, desk: Desk, admin: Any) -> None:
    await desk.do(shop.save("orders", columns=[{"price": 1}, {"name": "b"}]))
    rows = [tuple(row) for row in await admin.fetch("SELECT id, name, price FROM orders ORDER BY id")]
    assert rows == [(1, "none", Decimal(1)), (2, "b", None)]


async def test_what_the_database_made_is_returned(shop: sql.Database, desk: Desk) -> None:
    save = shop.save(
        "orders", columns=lambda names: [{"name": name} for name in names], returning=("id", "name")
    )
    before = desk.clock.epoch(desk.clock.now())
    rows = await desk.do(save, ["a", "b"])
    assert rows == [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}]
    assert before < rows[0].received_at <= desk.clock.epoch(desk.clock.now())
    assert desk.counters(save) == {"rows-saved": 2}


async def test_nothing_to_save_asks_the_database_nothing(shop: sql.Database, desk: Desk) -> None:
    names: list[str] = []
    assert (
        await desk.do(shop.save("orders", columns=lambda value: [{"name": name} for name in value]), names)
        is names
    )
    assert await desk.do(shop.save("orders", columns=lambda value: value, returning="id"), []) == []
    assert desk.books == (0, 0, 0)


async def test_names_and_values_cannot_become_commands(database: Databases, desk: Desk, admin: Any) -> None:
    await admin.execute('CREATE TABLE "Odd; table" ("a "" b" text, "select" int)')
    evil = '\'); DROP TABLE "Odd; table"; --'
    save = database().save("Odd; table", columns={'a " b': evil, "select": 1}, returning=['a " b'])
    assert await desk.do(save) == [{'a " b': evil}]


async def test_a_table_of_another_schema(database: Databases, desk: Desk, admin: Any) -> None:
    schema = await admin.fetchval("SELECT current_schema()")
    await admin.execute("CREATE TABLE things (id int)")
    elsewhere = sql.postgres(database().url)
    await desk.do(elsewhere.save(f"{schema}.things", columns={"id": 4}))
    assert await desk.do(elsewhere.search(f"SELECT id FROM {schema}.things")) == [{"id": 4}]


async def test_rows_are_searched_with_parameters(shop: sql.Database, desk: Desk, admin: Any) -> None:
    await admin.execute("INSERT INTO orders (name) SELECT 'n' || n FROM generate_series(1, 5) AS n")
    search = shop.search(
        "SELECT id, name FROM orders WHERE id > $1 AND id < $2", params=[lambda value: value["id"], 5]
    )
    assert await desk.do(search, {"id": 2}) == [{"id": 3, "name": "n3"}, {"id": 4, "name": "n4"}]
    assert await desk.do(search, {"id": 9}) == []
    assert desk.counters(search) == {"rows-read": 2}
    by_function = shop.search(
        "SELECT id FROM orders WHERE id = $1", params=lambda context, value: (context.minion.index - 5,)
    )
    assert await desk.do(by_function) == [{"id": 2}]


@dataclass
class Order:
    id: int
    price: float
    received_at: float


class Named(Struct):
    name: str
    details: dict[str, Any] | None = None


async def test_rows_become_what_the_author_wants(shop: sql.Database, desk: Desk) -> None:
    details = {"tags": ["a", "b"], "by": {"name": "ann"}}
    await desk.do(
        shop.save("orders", columns={"id": 1, "name": "a", "price": Decimal("2.50"), "details": details})
    )
    query = "SELECT id, name, price, details FROM orders"
    [order] = await desk.do(shop.search(query, into=Order))
    assert (order.id, order.price) == (1, 2.5)
    assert order.received_at > 1e9
    assert await desk.do(shop.search(query, into=Named)) == [Named("a", details)]
    [plain] = await desk.do(shop.search(query, into=dict))
    assert type(plain) is dict
    error = await desk.fails(shop.search("SELECT 'x' AS id, 1 AS price", into=Order))
    assert error.kind == "row"
    assert "does not fit into Order" in str(error)


async def test_any_statement_tells_how_many_rows_it_changed(
    shop: sql.Database, desk: Desk, admin: Any
) -> None:
    await admin.execute("INSERT INTO orders (name) SELECT 'x' FROM generate_series(1, 5)")
    update = shop.execute("UPDATE orders SET name = $1 WHERE id <= $2", params=lambda value: [value, 3])
    assert await desk.do(update, "y") == 3
    assert desk.counters(update) == {"rows-changed": 3}
    assert await desk.do(shop.execute("CREATE TABLE other (id int)")) == 0


@pytest.mark.parametrize(
    ("statement", "kind", "words"),
    [
        ("SELECT * FROM nothing", "no-table", 'relation "nothing" does not exist'),
        ("SELECT nothing FROM orders", "no-column", "nothing"),
        ("SELEKT", "syntax", "syntax error"),
        ("INSERT INTO orders (id) VALUES (1), (1)", "constraint", "orders_pkey"),
        ("INSERT INTO orders (price) VALUES (-1)", "constraint", "orders_price_check"),
        ("SELECT 1 / 0", "data", "division by zero"),
        ("SELECT $1::int", "syntax", "no parameter $1"),
        ("BEGIN", "transaction", "transaction"),
        ("CREATE TABLE elsewhere.things ()", "no-schema", "elsewhere"),
    ],
)
async def test_what_the_database_refuses_is_counted_by_class(
    shop: sql.Database, desk: Desk, statement: str, kind: str, words: str
) -> None:
    execute = shop.execute(statement)
    error = await desk.fails(execute)
    assert (error.kind, desk.failures(execute)) == (kind, {} if kind == "transaction" else {kind: 1})
    assert words in str(error)
    assert str(error).startswith("PostgreSQL at 127.0.0.1:")
    assert "secret" not in str(error)
    assert await desk.do(shop.search("SELECT 1 AS one")) == [{"one": 1}]


async def test_values_that_do_not_fit_are_told(shop: sql.Database, desk: Desk) -> None:
    error = await desk.fails(shop.search("SELECT * FROM orders WHERE id = $1", params=["seven"]))
    assert error.kind == "data"
    assert "$1" in str(error)
    error = await desk.fails(shop.search("SELECT * FROM orders WHERE id = $1"))
    assert error.kind == "params"
    assert "expects 1 argument" in str(error)


async def test_functions_that_return_something_else_are_told(shop: sql.Database, desk: Desk) -> None:
    for spec in (
        shop.save("orders", columns=lambda value: value),
        shop.save("orders", columns=lambda value: [value]),
        shop.save("orders", columns=lambda value: [{}]),
        shop.search("SELECT $1", params=lambda value: value),
    ):
        assert (await desk.fails(spec, 3)).kind == "params"
    too_many = [{"name": "x"}] * 32_768
    assert "32767" in str(await desk.fails(shop.save("orders", columns=lambda value: value), too_many))
    assert desk.books == (0, 0, 0)


async def test_what_a_function_raises_is_its_own(shop: sql.Database, desk: Desk) -> None:
    with pytest.raises(KeyError):
        await desk.do(shop.search("SELECT $1", params=lambda value: [value["id"]]), {})


async def test_the_steps_of_a_database_share_its_connections(shop: sql.Database, desk: Desk) -> None:
    search = shop.search("SELECT pg_backend_pid() AS pid")
    pids = [await desk.do(search), await desk.do(shop.search("SELECT pg_backend_pid() AS pid"))]
    assert pids[0] == pids[1]
    assert (await desk.step(search)).connections(1_000) == {("127.0.0.1", shop.settings().port): 10}


async def test_a_step_cannot_use_an_expired_lease(shop: sql.Database, desk: Desk) -> None:
    desk.ledger.lease[0] = 0.0
    with pytest.raises(StepError, match="lease"):
        await asyncio.wait_for(desk.do(shop.execute("SELECT 1")), 10)
