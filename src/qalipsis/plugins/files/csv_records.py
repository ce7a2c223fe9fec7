"""CSV: from bytes to records, and what happens to bad rows on the way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from qalipsis.engine.step import StepError
from qalipsis.errors import ServiceUnavailable
from qalipsis.plugins.files.csv_columns import BadCell, CsvColumns, missing_columns
from qalipsis.plugins.files.csv_rows import BrokenRow, CsvRows
from qalipsis.plugins.files.fields import fields_of, is_class
from qalipsis.plugins.files.parser import Count, shown
from qalipsis.plugins.files.text_lines import TextLines

SEPARATORS = ",;\t|"


class CsvRecords:
    """The parser of `files.csv`."""

    def __init__(self, spec: Any, path: Path, count: Count) -> None:
        self._spec = spec
        self._path = path
        self._count = count
        self._text = TextLines(spec.encoding)
        self._rows = CsvRows(spec.separator, spec.quote, spec.escape, spec.comment, spec.skip_blank_lines)
        self._is_last = False
        self._columns: CsvColumns

    def accept(self, data: bytes, is_last: bool) -> None:
        self._is_last = is_last
        lines = self._text.accept(data, is_last)
        self._rows.accept(lines, is_last and not self._text.error)

    def begin(self) -> bool:
        header = self._spec.header
        if header is True:
            return self._read_header()
        if header is False and not is_class(self._spec.into):
            return self._count_columns()
        names = [each.name for each in fields_of(self._spec.into)] if header is False else header
        self._set_columns(names)
        return True

    def batches(self) -> Iterator[list[Any]]:
        while (rows := self._rows.take()) is not None:
            if rows.cells:
                yield from self._records(rows.cells, rows.lines)
            if rows.broken is not None:
                self._refuse(rows.broken)
        if self._text.error:
            raise StepError("encoding", self._encoding_problem())

    def _records(self, rows: list[list[str]], lines: list[int]) -> Iterator[list[Any]]:
        try:
            made = self._columns.records(rows)
        except Exception:
            # At least one row makes no record; which one, and why, shows when they are taken one by one.
            made = []
            for row, line in zip(rows, lines, strict=True):
                try:
                    made.append(self._columns.record(row))
                except BadCell as bad:
                    if self._spec.bad_rows == "fail":
                        yield made  # what stands before it is good
                        raise self._error(line, bad) from bad
                    self._count("bad-rows", 1)
                    if self._spec.bad_rows == "default":
                        made.append(self._completed(row, line))
        yield made

    def _completed(self, row: list[str], line: int) -> Any:
        try:
            return self._columns.completed(row)
        except BadCell as bad:
            raise self._error(line, bad) from bad

    def _error(self, line: int, bad: BadCell) -> StepError:
        column = "" if bad.column is None else f", column {bad.column!r}"
        return StepError("bad-row", f"{self._path}, line {line}{column}: {bad}; {self._advice}")

    def _refuse(self, row: BrokenRow) -> None:
        if self._spec.bad_rows == "fail":
            raise StepError(
                "bad-row",
                f"{self._path}, line {row.line}: {row.reason} in {shown(row.text)}; {self._advice}",
            )
        self._count("bad-rows", 1)  # it has no columns that could be completed

    @property
    def _advice(self) -> str:
        if self._spec.bad_rows == "default":
            return "correct it, or its default"
        return 'correct it, or write bad_rows="skip" or "default"'

    def _encoding_problem(self) -> str:
        line, column = self._rows.next_line, len(self._text.partial) + 1
        return (
            f"{self._path}, line {line}, character {column}: {self._text.error}; "
            f"files.csv reads it with encoding={self._spec.encoding!r}: write the one it has"
        )

    # the header

    def _read_header(self) -> bool:
        header = self._first_row()
        if header is None:
            if self._is_last:
                raise ServiceUnavailable(
                    f"{self._path} is empty: its first line should name its columns; "
                    'otherwise write header=("name", "age"), or header=False'
                )
            return False
        twice = [name for name in header if header.count(name) > 1]
        if twice and (self._spec.into is not list or self._spec.types or self._spec.defaults):
            raise ServiceUnavailable(
                f"the header of {self._path} names {twice[0]!r} twice: rename one, or read into=list"
            )
        self._set_columns(header)
        return True

    def _count_columns(self) -> bool:
        """Without names, the first row says how many columns there are."""
        first = self._first_row()
        if first is None:
            return self._is_last
        self._rows.again()
        self._set_columns(range(len(first)))
        return True

    def _first_row(self) -> list[str] | None:
        """The first row that is not blank; None when it is not complete yet, or there is none."""
        while (rows := self._rows.take(1)) is not None:
            if rows.broken is not None:
                row = rows.broken
                raise ServiceUnavailable(
                    f"{self._path}, line {row.line}: {row.reason} in {shown(row.text)}; "
                    "correct the first row, or the separator, quote and escape of files.csv"
                )
            if rows.cells and rows.cells[0]:
                return rows.cells[0]
        if self._text.error:
            raise ServiceUnavailable(self._encoding_problem())
        return None

    def _set_columns(self, names: Sequence[str | int]) -> None:
        for name, who in missing_columns(self._spec, names):
            known = ", ".join(map(repr, names))
            raise ServiceUnavailable(
                f"{self._path} has no column {name!r}, which {who} needs; it has {known}" + self._hint(names)
            )
        self._columns = CsvColumns(self._spec, names)

    def _hint(self, names: Sequence[str | int]) -> str:
        """One single name that contains a separator is rather several names."""
        others = [sign for sign in SEPARATORS if sign in str(names[0])] if len(names) == 1 else []
        return f": write separator={others[0]!r}?" if others else ": correct the file, or the names"
