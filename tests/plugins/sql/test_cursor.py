from __future__ import annotations

import subprocess
import sys
from collections import Counter
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qalipsis.plugins.sql.cursor import Cursor


class Table:
    """Rows, and how a database answers a poll: rows of equal value come in any order."""

    def __init__(self, is_descending: bool, chance: Random) -> None:
        self.rows: list[dict[str, Any]] = []
        self.sign = -1 if is_descending else 1
        self._chance = chance

    def place(self, row: dict[str, Any]) -> Any:
        return self.sign * row["value"]

    def window(self, cursor: Cursor) -> list[dict[str, Any]]:
        assert cursor.head is not None
        head = self.sign * cursor.head[0]
        return [row for row in self._from(cursor.floor) if self.place(row) <= head]

    def ahead(self, cursor: Cursor, batch: int) -> list[dict[str, Any]]:
        rows = self._from(cursor.floor)
        if cursor.head is not None:
            head = self.sign * cursor.head[0]
            rows = [row for row in rows if self.place(row) > head]
        if len(rows) <= batch:
            return rows
        return [row for row in rows if self.place(row) <= self.place(rows[batch - 1])]

    def _from(self, floor: Any) -> list[dict[str, Any]]:
        rows = [row for row in self.rows if floor is None or self.place(row) >= self.sign * floor[0]]
        self._chance.shuffle(rows)
        return sorted(rows, key=self.place)


def poll(table: Table, cursor: Cursor, batch: int, now: float) -> tuple[list[dict[str, Any]], Cursor]:
    """All that is new, asked for as a reader does; fails when it does not come to an end."""
    found: list[dict[str, Any]] = []
    if cursor.head is not None:
        late, cursor = cursor.look_back(table.window(cursor), now)
        found += late
    for _ in range(len(table.rows) + 1):
        rows = table.ahead(cursor, batch)
        cursor = cursor.look_ahead(rows, now)
        found += rows
        if len(rows) < batch:
            return found, cursor
    raise AssertionError("the poll does not come to an end")


def counted(rows: list[dict[str, Any]]) -> Counter[str]:
    return Counter(repr(sorted(row.items())) for row in rows)


moves = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), st.integers(0, 3), st.sampled_from(["a", "b"])),
        st.tuples(st.just("poll"), st.sampled_from([0.0, 0.5, 1.0, 5.0]), st.none()),
    ),
    max_size=80,
)


@settings(max_examples=400, deadline=None)
@given(
    moves=moves,
    is_descending=st.booleans(),
    batch=st.integers(1, 6),
    most=st.integers(1, 6),
    lateness=st.sampled_from([0.0, 1.0, 3.0]),
    has_key=st.booleans(),
    chance=st.randoms(use_true_random=False),
)
def test_every_row_from_the_floor_on_is_read_exactly_once(
    moves: list[Any],
    is_descending: bool,
    batch: int,
    most: int,
    lateness: float,
    has_key: bool,
    chance: Random,
) -> None:
    """Ties, some of which come later, rows that are alike in all columns, both directions, tiny batches."""
    table = Table(is_descending, chance)
    cursor = Cursor(("value",), ("number",) if has_key else (), lateness, most)
    read: list[dict[str, Any]] = []
    now = 0.0
    for move, amount, text in [*moves, ("poll", 0.0, None)]:
        if move == "insert":
            origin = 10 if cursor.floor is None else cursor.floor[0]
            row = {"value": origin + table.sign * amount, "text": text}
            if has_key:
                row["number"] = len(table.rows)
            table.rows.append(row)
        else:
            now += amount
            fresh, cursor = poll(table, cursor, batch, now)
            assert fresh == sorted(fresh, key=table.place)
            read += fresh
            if not lateness:
                assert read == sorted(read, key=table.place)
    assert counted(read) == counted(table.rows)


@settings(max_examples=200, deadline=None)
@given(
    waits=st.lists(st.tuples(st.floats(0, 0.5), st.floats(0, 3.0)), max_size=60),
    polls=st.lists(st.floats(0.01, 1.5), max_size=60),
    batch=st.integers(1, 100),
    chance=st.randoms(use_true_random=False),
)
def test_numbers_taken_in_order_and_committed_out_of_order_are_all_read(
    waits: list[tuple[float, float]], polls: list[float], batch: int, chance: Random
) -> None:
    """A transaction takes the next number when it begins, and its row appears within the lateness."""
    began, hidden = 0.0, []
    for number, (pause, length) in enumerate(waits):
        began += pause
        hidden.append((began + length, {"value": number}))
    table = Table(False, chance)
    cursor = Cursor(("value",), (), 3.0, 1_000)
    read: list[Any] = []
    now = 0.0
    for pause in [*polls, began + 10]:
        now += pause
        table.rows += [row for at, row in hidden if at <= now]
        hidden = [(at, row) for at, row in hidden if at > now]
        fresh, cursor = poll(table, cursor, batch, now)
        read += [row["value"] for row in fresh]
    assert sorted(read) == list(range(len(waits)))


@pytest.mark.parametrize("lateness", [0.0, 5.0])
def test_what_was_read_long_ago_is_forgotten(lateness: float) -> None:
    table, cursor = Table(False, Random(1)), Cursor(("value",), (), lateness, 100)
    for second in range(1_000):
        table.rows.append({"value": second})
        fresh, cursor = poll(table, cursor, 100, float(second))
        assert fresh == [{"value": second}]
        assert len(cursor.taken) <= lateness + 1
    assert cursor.floor == (999 - lateness,)


def test_a_long_table_is_not_asked_for_again_and_again() -> None:
    table, cursor = Table(False, Random(1)), Cursor(("value",), (), 3600.0, 100)
    table.rows = [{"value": number} for number in range(10_000)]
    fresh, cursor = poll(table, cursor, 100, 0.0)
    assert [row["value"] for row in fresh] == list(range(10_000))
    assert len(cursor.taken) == 100


def test_more_equal_rows_than_fit_into_a_batch_are_all_read() -> None:
    table, cursor = Table(False, Random(1)), Cursor(("value",), (), 0.0, 10)
    table.rows = [{"value": 1, "number": number} for number in range(1_000)]
    fresh, cursor = poll(table, cursor, 10, 0.0)
    assert sorted(row["number"] for row in fresh) == list(range(1_000))
    assert poll(table, cursor, 10, 1.0)[0] == []


def rows(*pairs: tuple[Any, ...]) -> list[dict[str, Any]]:
    return [dict(zip(("value", "id", "state"), pair, strict=False)) for pair in pairs]


def behind(by: str, key: str | None, *pairs: tuple[Any, ...]) -> Cursor:
    """A poll that has taken these rows."""
    return Cursor((by,), (key,) if key else (), 5.0).look_ahead(rows(*pairs), 0.0)


def test_rows_that_change_are_not_new() -> None:
    cursor = behind("value", None, (1, 1, "new"), (2, 2, "new"), (4, 4, "new"))
    answer = rows((1, 1, "paid"), (2, 2, "new"), (3, 3, "new"), (4, 4, "lost"))
    assert cursor.look_back(answer, 1.0)[0] == rows((3, 3, "new"))


def test_without_a_key_a_row_is_rather_read_again_than_skipped() -> None:
    cursor = behind("value", None, (1, 1, "new"))
    answer = rows((1, 1, "paid"), (1, 2, "new"))
    assert cursor.look_back(answer, 1.0)[0] == answer


def test_rows_that_change_beside_equal_ones_are_told_apart_by_their_key() -> None:
    cursor = behind("value", "id", (1, 1, "new"), (1, 2, "new"))
    answer = rows((1, 2, "paid"), (1, 3, "new"))
    assert cursor.look_back(answer, 1.0)[0] == rows((1, 3, "new"))


def test_a_row_that_moves_in_the_order_is_read_again() -> None:
    """Ordered by the moment of the last change, a poll follows the changes."""
    cursor = behind("value", "id", (1, 7), (3, 8))
    assert cursor.look_back(rows((2, 7), (3, 8)), 1.0)[0] == rows((2, 7))


def test_rows_that_are_deleted_are_forgotten_and_the_place_is_kept() -> None:
    cursor = behind("value", None, (1, 1), (2, 2))
    fresh, cursor = cursor.look_back([], 9.0)
    assert (fresh, cursor.head, cursor.taken) == ([], (2,), ())
    assert cursor.look_back(rows((2, 2)), 10.0)[0] == rows((2, 2))


@pytest.mark.parametrize(
    ("one", "other"),
    [(float("nan"), float("nan")), (Decimal("1.0"), Decimal("1.00")), (0.0, -0.0)],
    ids=repr,
)
def test_values_that_are_equal_to_the_database_are_ties(one: Any, other: Any) -> None:
    cursor = Cursor(("value",), (), 0.0).look_ahead(rows((one, 1), (other, 2)), 0.0)
    assert len(cursor.taken) == 2
    assert cursor.look_back(rows((other, 2), (one, 1), (one, 3)), 1.0)[0] == rows((one, 3))


def test_nothing_new_changes_nothing() -> None:
    cursor = behind("value", None, (1, 1))
    assert cursor.look_ahead([], 9.0) == cursor


def test_a_poll_that_begins_behind_what_is_there_reads_only_what_comes() -> None:
    cursor = Cursor(("value",), (), 5.0).behind(rows((3, 1), (3, 2)), 0.0)
    assert (cursor.floor, cursor.head) == ((3,), (3,))
    assert cursor.look_back(rows((3, 2), (3, 3), (3, 1)), 1.0)[0] == rows((3, 3))
    assert Cursor(("value",)).behind([], 0.0) == Cursor(("value",))


def test_the_number_of_a_row_does_not_depend_on_the_process() -> None:
    [row] = rows((Decimal("1.50"), 7, "new"))
    assert Cursor(("value",), ("id",)).number(row) == Cursor(("value",), ("id",)).number(
        {**row, "state": "x"}
    )
    program = "from decimal import Decimal; from qalipsis.plugins.sql.cursor import Cursor; "
    program += f"print(Cursor(('value',)).number({row!r}))"
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert int(told.stdout) == Cursor(("value",)).number(row)
