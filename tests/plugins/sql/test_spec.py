from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from qalipsis import prop, scenario
from qalipsis.plan.compiler import compile_chain
from qalipsis.plan.properties import Properties
from qalipsis.plugins import sql

shop = sql.postgres("postgresql://user:pass-word@db.example:5433/shop")


def test_a_description_loads_without_any_driver() -> None:
    drivers = ("asyncio", "uvloop", "asyncpg", "ssl", "socket")
    program = f"import sys, qalipsis.plugins.sql; print([name for name in {drivers} if name in sys.modules])"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert loaded.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        (shop.save("orders", columns={"id": 1}), "save-orders"),
        (shop.save("Big.Orders_2", columns={"id": 1}, returning="id"), "save-big-orders-2"),
        (shop.search("SELECT * FROM orders WHERE id = $1"), "search-orders"),
        (shop.search("SELECT 1"), "search"),
        (shop.execute("UPDATE shop.orders SET a = 1"), "execute-shop-orders"),
        (shop.poll('SELECT * FROM "Orders"', by="id"), "poll-orders"),
    ],
)
def test_a_step_has_a_name_for_reports(spec: Any, name: str) -> None:
    assert spec.default_name() == name


@pytest.mark.parametrize(
    "database",
    [
        shop,
        sql.postgres("postgresql://user@h/db", password="pass-word"),
        sql.postgres(host="h", user="u", database="d", password="pass-word"),
        sql.postgres("postgresql://user:pass-word@h:port/db"),
        sql.postgres("postgresql://user:pass-word/#@h:1/db"),
        sql.postgres(prop("shop.database", default="postgresql://user:pass-word@h/db")),
        sql.postgres("mysql://user:pass-word@h/db"),
        sql.postgres("postgresql://user:pass-word@h/db?sslmode=require"),
        sql.postgres("postgresql://:pass-word@h/db", timeout="never"),
    ],
)
def test_a_password_is_never_shown(database: sql.Database) -> None:
    told = [repr(database), repr(database.search("SELECT 1")), repr(database.poll("SELECT 1", by="a"))]
    if "configuration" not in told[0]:
        told += database.problems()
    if not database.problems():
        told.append(repr(database.settings()))
    assert "pass-word" not in "\n".join(told)


def test_a_database_is_told_apart_in_words() -> None:
    assert repr(shop) == "<PostgreSQL db.example:5433/shop as user>"
    assert shop.settings().place == "PostgreSQL at db.example:5433 (database shop, user user)"


@pytest.mark.parametrize(
    ("database", "words"),
    [
        (sql.postgres(), "needs a user"),
        (sql.postgres("postgresql://h"), "needs a database"),
        (sql.postgres("http://u@h/d"), "should be a URL such as postgresql://"),
        (sql.postgres(7), "should be a URL such as postgresql://"),  # type: ignore[arg-type]
        (sql.postgres("postgresql://u@h:port/d"), "cannot be read"),
        (sql.postgres("postgresql://u@h/d?sslmode=require"), "give them as keywords"),
        (sql.postgres("postgresql://u@h/d/more"), "nothing behind the database name"),
        (
            sql.postgres("postgresql://u@h/d", port=70_000),
            "port=70000 should be a whole number from 1 to 65535",
        ),
        (sql.postgres("postgresql://u@h/d", host=7), "host=7 should be a text"),  # type: ignore[arg-type]
        (sql.postgres("postgresql://u@h/d", pool_size=0), "pool_size=0"),
        (sql.postgres("postgresql://u@h/d", timeout="soon"), "timeout: 'soon' is not a duration"),
        (sql.postgres("postgresql://u@h/d", connect_timeout=0), "connect_timeout cannot be zero"),
        (sql.postgres("postgresql://u@h/d", schema=" "), "schema=' ' should be the name of a schema"),
        (sql.postgres("postgresql://u@h/d", tls="/no/such.pem"), "there is no file '/no/such.pem'"),
        (sql.postgres("postgresql://u@h/d", tls=3), "tls=3 should be True, False or the path"),  # type: ignore[arg-type]
    ],
)
def test_a_mistake_in_a_database_says_what_to_write_instead(database: sql.Database, words: str) -> None:
    assert words in "\n".join(database.problems())


anything: Any = shop


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (anything.save("a.b.c", columns={"id": 1}), "should name a table"),
        (anything.save(3, columns={"id": 1}), "should name a table"),
        (anything.save("t", columns={}), "columns is empty"),
        (anything.save("t", columns={1: 2}), "has a column 1"),
        (anything.save("t", columns={"id": lambda: 3}), "save column 'id' calls its function with"),
        (anything.save("t", columns=lambda a, b, c: {}), "save columns calls its function with"),
        (anything.save("t", columns=[]), "empty list"),
        (anything.save("t", columns=[3]), "each row should be a dict"),
        (
            anything.save("t", columns=[{"id": lambda value: value}]),
            "one function that returns the whole list",
        ),
        (anything.save("t", columns=[{"id": 1}] * 40_000), "a statement takes 32767 at most"),
        (anything.save("t", columns="id"), "columns='id' should be a dict"),
        (anything.save("t", columns={"id": 1}, returning=[3]), "returning=(3,) should be names"),
        (anything.execute(" "), "needs a statement as text"),
        (anything.execute("x", params=3), "params=3 should be a list"),
        (anything.execute("x", params=[lambda: 3]), "parameter 1 calls its function with"),
        (anything.search("x", params=lambda a, b, c: []), "search params calls its function with"),
        (anything.search("x", params=[1] * 40_000), "40000 parameters"),
        (anything.search("x", into=list), "should be dict, a dataclass or a msgspec.Struct"),
        (anything.search("x", into=3), "should be dict, a dataclass or a msgspec.Struct"),
        (anything.poll("", by="id"), "needs a statement as text"),
        (anything.poll("x", by=()), "should name the ordering column"),
        (anything.poll("x", by=3), "should name the ordering column"),
        (anything.poll("x", by="id", order="up"), 'should be "asc" or "desc"'),
        (anything.poll("x", by="id", key=3), "key=(3,) should name the columns"),
        (anything.poll("x", by=("a", "b"), start=3), "one value for each of by="),
        (anything.poll("x", by=("a", "b"), start=(3, None)), "no place in an order"),
        (anything.poll("x", by="id", every=0), "every cannot be zero"),
        (anything.poll("x", by="id", lateness="-1s"), "lateness cannot be negative"),
        (anything.poll("x", by="id", params=lambda value: []), "params="),
        (anything.poll("x", by="id", params=[lambda value: 3]), "a poll has no minion to ask"),
        (anything.poll("x", by="id", into=3), "should be dict, a dataclass"),
        (anything.poll("x", by="id", batch=0), "batch=0"),
        (anything.poll("x", by="id").loop(), "use broadcast()"),
    ],
)
def test_a_mistake_in_a_step_says_what_to_write_instead(spec: Any, words: str) -> None:
    assert words in "\n".join(spec.problems())


def test_mistakes_are_told_where_they_were_made() -> None:
    broken = sql.postgres("nowhere")
    chain = (
        scenario("broken")
        .start()
        .then(broken.save("t", columns={}))
        .inner_join(broken.poll("x", by="id", every=0), on=len, having=len, timeout="1s")
    )
    plan, mistakes = compile_chain(chain, Properties({}))
    assert plan is None
    assert len({mistake.line for mistake in mistakes}) == 3
    assert all(mistake.file == __file__ for mistake in mistakes)


def test_values_of_the_configuration_stand_anywhere() -> None:
    database = sql.postgres(
        prop("db.url", type=str), password=prop("db.password", type=str), pool_size=prop("db.pool", default=3)
    )
    poll = database.poll(
        "x", by=prop("by", type=str), start=prop("start", type=int), every=prop("every", type=str)
    )
    values = {"db.url": "postgresql://u@h/d", "db.password": "p", "by": "id", "start": "7", "every": "2s"}
    properties = Properties(values)
    resolved = properties.resolve(poll)
    assert properties.mistakes == []
    assert resolved.problems() == []
    assert (resolved.by, resolved.start_values, resolved.every) == (("id",), (7,), "2s")
    settings = resolved.database.settings()
    assert (settings.host, settings.pool_size, settings.password.reveal()) == ("h", 3, "p")
    assert properties.resolve(database) is resolved.database
