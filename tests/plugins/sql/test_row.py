from __future__ import annotations

import copy
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID, uuid4

import pytest
from msgspec import Struct

from qalipsis.plugins.sql.row import Row, is_shape, shape


class Event(Struct):
    id: UUID
    at: datetime
    amount: Decimal
    received_at: float = 0.0


@dataclass
class Stamped:
    received_at: str


def test_a_row_is_a_dict_with_a_moment() -> None:
    row = Row({"id": 1}, 7.5)
    assert row == {"id": 1}
    assert (row["id"], row.received_at) == (1, 7.5)
    assert copy.copy(row).received_at == 7.5


def test_a_class_gets_what_it_has_fields_for() -> None:
    values = {"id": uuid4(), "at": datetime.now(UTC), "amount": Decimal("1.50"), "more": 1}
    event = shape(Event)(values, 7.5)
    assert event == Event(values["id"], values["at"], values["amount"], 7.5)


def test_a_column_wins_over_the_moment() -> None:
    assert shape(Stamped)({"received_at": "noon"}, 7.5) == Stamped("noon")


def test_what_does_not_fit_is_an_error() -> None:
    with pytest.raises(ValueError, match="amount"):
        shape(Event)({"id": uuid4(), "at": datetime.now(UTC)}, 7.5)


def test_what_rows_can_become() -> None:
    assert all(map(is_shape, (None, dict, Event, Stamped)))
    assert not any(map(is_shape, (list, int, 3, Stamped("x"))))
