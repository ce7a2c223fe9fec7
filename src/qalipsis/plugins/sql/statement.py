"""Statements as text: names quoted, values as parameters, never the other way round."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

MOST_PARAMETERS = 32_767
"""Of one statement: the driver counts them in 15 bits."""

_TABLE = re.compile(r"\b(?:from|into|update|table)\s+([\w.\"]+)", re.IGNORECASE)


def quoted(name: str) -> str:
    """An identifier exactly as written, whatever characters are in it."""
    return '"' + name.replace('"', '""') + '"'


def table_parts(table: str) -> tuple[str, ...]:
    """`orders` or `shop.orders` in its parts; empty when it is neither."""
    parts = tuple(table.split("."))
    return parts if len(parts) <= 2 and all(part.strip() for part in parts) else ()


def insert(
    table: str, rows: Sequence[Mapping[str, Any]], returning: Sequence[str] = ()
) -> tuple[str, list[Any]]:
    """One statement that inserts all rows, and its parameters; what a row leaves out has its default.

    Raises ValueError when the rows make no statement.
    """
    columns = tuple(dict.fromkeys(column for row in rows for column in row))
    if not columns:
        raise ValueError("the rows name no column")
    parameters: list[Any] = []
    lines = []
    for row in rows:
        cells = []
        for column in columns:
            if column in row:
                parameters.append(row[column])
                cells.append(f"${len(parameters)}")
            else:
                cells.append("DEFAULT")
        lines.append(f"({', '.join(cells)})")
    if len(parameters) > MOST_PARAMETERS:
        raise ValueError(
            f"{len(parameters)} values are more than the {MOST_PARAMETERS} that one statement takes; "
            "save fewer rows at once"
        )
    name = ".".join(map(quoted, table_parts(table)))
    text = f"INSERT INTO {name} ({_list(columns)}) VALUES {', '.join(lines)}"
    return (f"{text} RETURNING {_list(returning)}" if returning else text), parameters


def whole(query: str) -> str:
    """All rows of the author's query."""
    # On lines of its own, so that the author may end it with a comment.
    return f"SELECT * FROM (\n{query.strip().rstrip(';')}\n) AS polled"


def look_back(query: str, by: Sequence[str], is_descending: bool, parameters: int, has_floor: bool) -> str:
    """All rows of the author's query from floor to head, in order.

    The author's query has so many `parameters`; behind them come the floor's values, if any, and the head's.
    """
    conditions = [_not_null(by)]
    if has_floor:
        conditions.append(_compared(by, "<=" if is_descending else ">=", parameters))
        parameters += len(by)
    conditions.append(_compared(by, ">=" if is_descending else "<=", parameters))
    return f"{whole(query)} WHERE {' AND '.join(conditions)} ORDER BY {_order(by, is_descending)}"


def look_ahead(
    query: str, by: Sequence[str], is_descending: bool, parameters: int, batch: int, beyond: bool | None
) -> str:
    """The next rows of the author's query, in order: a batch of them, and those that equal the last of it.

    They are beyond the values behind the author's `parameters`, or at these values and beyond; all, if None.
    """
    conditions = [_not_null(by)]
    if beyond is not None:
        operator = ("<" if is_descending else ">") + ("" if beyond else "=")
        conditions.append(_compared(by, operator, parameters))
    return (
        f"{whole(query)} WHERE {' AND '.join(conditions)} ORDER BY {_order(by, is_descending)} "
        f"FETCH FIRST {batch} ROWS WITH TIES"
    )


def last(query: str, by: Sequence[str], is_descending: bool) -> str:
    """The rows of the author's query that are last in the order of the poll."""
    order = _order(by, not is_descending)
    return f"{whole(query)} WHERE {_not_null(by)} ORDER BY {order} FETCH FIRST 1 ROW WITH TIES"


def without_place(query: str, by: Sequence[str]) -> str:
    """Whether the author's query has rows that the order cannot place."""
    condition = " OR ".join(f"{quoted(column)} IS NULL" for column in by)
    return f"SELECT EXISTS ({whole(query)} WHERE {condition})"


def main_table(statement: str) -> str:
    """The first table that a statement names, for reports; empty when none is found."""
    found = _TABLE.search(statement)
    return found.group(1) if found else ""


def _not_null(by: Sequence[str]) -> str:
    return " AND ".join(f"{quoted(column)} IS NOT NULL" for column in by)


def _compared(by: Sequence[str], operator: str, parameters: int) -> str:
    values = ", ".join(f"${parameters + place}" for place in range(1, len(by) + 1))
    return f"({_list(by)}) {operator} ({values})"


def _order(by: Sequence[str], is_descending: bool) -> str:
    return ", ".join(f"{quoted(column)} {'DESC' if is_descending else 'ASC'}" for column in by)


def _list(columns: Sequence[str]) -> str:
    return ", ".join(map(quoted, columns))
