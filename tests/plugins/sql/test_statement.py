from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qalipsis.plugins.sql.statement import (
    insert,
    last,
    look_ahead,
    look_back,
    main_table,
    quoted,
    without_place,
)

ALL = 'SELECT * FROM (\nSELECT * FROM t\n) AS polled WHERE "a" IS NOT NULL AND "b" IS NOT NULL'
QUERY = " SELECT * FROM t; "


@settings(deadline=None)
@given(st.text(min_size=1))
def test_a_quoted_name_has_no_end_inside(name: str) -> None:
    inside = quoted(name)[1:-1]
    assert '"' not in inside.replace('""', "")
    assert inside.replace('""', '"') == name


def test_rows_of_different_columns_are_one_statement() -> None:
    text, parameters = insert("shop.orders", [{"id": 1, "name": "a"}, {"price": 3, "id": 2}], ["id"])
    assert text == (
        'INSERT INTO "shop"."orders" ("id", "name", "price") '
        'VALUES ($1, $2, DEFAULT), ($3, DEFAULT, $4) RETURNING "id"'
    )
    assert parameters == [1, "a", 2, 3]


def test_what_makes_no_statement_is_refused() -> None:
    with pytest.raises(ValueError, match="no column"):
        insert("t", [{}])
    with pytest.raises(ValueError, match="32767"):
        insert("t", [{"id": 1}] * 32_768)


def test_what_a_poll_asks_for() -> None:
    by = ("a", "b")
    order = 'ORDER BY "a" ASC, "b" ASC'
    assert look_ahead(QUERY, by, False, 0, 10, None) == f"{ALL} {order} FETCH FIRST 10 ROWS WITH TIES"
    assert f'{ALL} AND ("a", "b") >= ($3, $4) {order}' in look_ahead(QUERY, by, False, 2, 10, False)
    assert f'{ALL} AND ("a", "b") > ($3, $4) {order}' in look_ahead(QUERY, by, False, 2, 10, True)
    assert look_back(QUERY, by, False, 0, False) == f'{ALL} AND ("a", "b") <= ($1, $2) {order}'
    assert (
        look_back(QUERY, by, False, 1, True)
        == f'{ALL} AND ("a", "b") >= ($2, $3) AND ("a", "b") <= ($4, $5) {order}'
    )


def test_downwards_everything_is_turned_round() -> None:
    by = ("a", "b")
    order = 'ORDER BY "a" DESC, "b" DESC'
    assert f'("a", "b") < ($1, $2) {order}' in look_ahead(QUERY, by, True, 0, 10, True)
    assert look_back(QUERY, by, True, 0, True) == (
        f'{ALL} AND ("a", "b") <= ($1, $2) AND ("a", "b") >= ($3, $4) {order}'
    )
    assert last(QUERY, by, True).endswith('ORDER BY "a" ASC, "b" ASC FETCH FIRST 1 ROW WITH TIES')
    assert last(QUERY, by, False).endswith('ORDER BY "a" DESC, "b" DESC FETCH FIRST 1 ROW WITH TIES')
    assert without_place(QUERY, by).endswith('WHERE "a" IS NULL OR "b" IS NULL)')


@pytest.mark.parametrize(
    ("statement", "table"),
    [
        ("SELECT * FROM orders", "orders"),
        ("insert into shop.orders values (1)", "shop.orders"),
        ("UPDATE orders SET a = 1", "orders"),
        ("SELECT 1", ""),
    ],
)
def test_the_table_of_a_statement(statement: str, table: str) -> None:
    assert main_table(statement) == table
