from __future__ import annotations

import csv
from io import StringIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qalipsis.plugins.files import csv_rows
from qalipsis.plugins.files.csv_rows import BrokenRow, CsvRows

CELLS = st.text(st.sampled_from("ab,;\"'\\\r\n #\t\0é"), max_size=8)


def rows_of(
    text: str, size: int = 1000, most: int = 256, **dialect: Any
) -> tuple[list[tuple[int, list[str]]], list[BrokenRow]]:
    """(line, cells) of each row, when the lines of `text` arrive `size` at a time."""
    options = {"separator": ",", "quote": '"', "escape": None, "comment": None, "skip_blank": True}
    rows = CsvRows(**{**options, **dialect})  # type: ignore[arg-type]
    lines = StringIO(text, newline="").readlines()
    blocks = [lines[at : at + size] for at in range(0, len(lines), size)] or [[]]
    found: list[tuple[int, list[str]]] = []
    broken: list[BrokenRow] = []
    for number, block in enumerate(blocks, start=1):
        rows.accept(block, number == len(blocks))
        while (taken := rows.take(most)) is not None:
            found += zip(taken.lines, taken.cells, strict=True)
            broken += [taken.broken] if taken.broken else []
    return found, broken


@given(
    st.lists(st.lists(CELLS, min_size=2, max_size=4)),
    st.integers(1, 5),
    st.integers(1, 3),
    # Only with the long end of lines does the module quote each half of it.
    st.sampled_from([(csv.QUOTE_MINIMAL, "\r\n"), *((csv.QUOTE_ALL, end) for end in ("\r\n", "\n", "\r"))]),
    st.sampled_from([",", ";", "\t"]),
)
def test_what_the_csv_module_writes_is_read_back_with_its_lines(
    rows: list[list[str]], size: int, most: int, style: tuple[int, str], separator: str
) -> None:
    quoting, end = style
    file = StringIO(newline="")
    begins = []
    for row in rows:
        begins.append(len(StringIO(file.getvalue(), newline="").readlines()) + 1)
        csv.writer(file, delimiter=separator, quoting=quoting, lineterminator=end).writerow(row)  # type: ignore[arg-type]
    found, broken = rows_of(file.getvalue(), size, most, separator=separator)
    assert broken == []
    assert found == list(zip(begins, rows, strict=True))


@given(st.lists(st.lists(CELLS.filter(lambda cell: "\0" not in cell), min_size=2, max_size=3)))
def test_escaped_quotes_are_read_back(rows: list[list[str]]) -> None:
    file = StringIO(newline="")
    csv.writer(file, escapechar="\\", doublequote=False).writerows(rows)
    found, broken = rows_of(file.getvalue(), 1, escape="\\")
    assert broken == []
    assert [cells for _, cells in found] == rows


def test_a_quote_that_escapes_itself_is_a_doubled_one() -> None:
    assert rows_of('a,"b""c"\n', escape='"') == ([(1, ["a", 'b"c'])], [])


def test_without_quotes_they_are_letters() -> None:
    assert rows_of('a,"b\n"c",d\n', quote=None) == ([(1, ["a", '"b']), (2, ['"c"', "d"])], [])


def test_blank_lines_are_skipped_or_rows_without_cells() -> None:
    text = "a\n\n\r\nb\n"
    assert rows_of(text)[0] == [(1, ["a"]), (4, ["b"])]
    assert rows_of(text, skip_blank=False)[0] == [(1, ["a"]), (2, []), (3, []), (4, ["b"])]


@pytest.mark.parametrize("size", [1, 2, 100])
def test_comments_stand_between_rows_only(size: int) -> None:
    text = '# one, "two\na,b\n#c,d\n\n"e\n#f",g\n# h\n'
    expected = [(2, ["a", "b"]), (5, ["e\n#f", "g"])]
    assert rows_of(text, size, comment="#") == (expected, [])
    blank = [(2, ["a", "b"]), (4, []), (5, ["e\n#f", "g"])]
    assert rows_of(text, size, comment="#", skip_blank=False) == (blank, [])


@pytest.mark.parametrize("size", [1, 3, 100])
def test_a_quote_that_is_never_closed_costs_one_row(size: int) -> None:
    found, broken = rows_of('a,b\n1,"x\n2,y\n3,z\n', size)
    assert found == [(1, ["a", "b"]), (3, ["2", "y"]), (4, ["3", "z"])]
    assert broken == [BrokenRow(2, '1,"x', "a quoted field does not end")]


@pytest.mark.parametrize("size", [1, 2, 100])
def test_text_after_a_closing_quote_breaks_a_row(size: int) -> None:
    found, broken = rows_of('a,b\n1,"x"y\n2,z\n', size)
    assert found == [(1, ["a", "b"]), (3, ["2", "z"])]
    assert [(row.line, row.text) for row in broken] == [(2, '1,"x"y')]
    assert "expected after" in broken[0].reason


def test_a_row_that_does_not_end_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(csv_rows, "LONGEST_RECORD", 1000)
    rows = CsvRows(",", '"', None, None, True)
    rows.accept(['1,"x\n'], False)
    broken = None
    for count in range(200):
        while (taken := rows.take()) is not None:
            broken = broken or taken.broken
        if broken:
            break
        rows.accept([f"{count},{'y' * 10}\n"] * 10, False)
    assert broken == BrokenRow(1, '1,"x', "a quoted field does not end")
    assert sum(map(len, rows._lines)) < 3000


def test_fields_may_be_longer_than_the_csv_module_lets_them() -> None:
    long = "x" * 1_000_000
    assert rows_of(f"a,{long}\n")[0] == [(1, ["a", long])]
