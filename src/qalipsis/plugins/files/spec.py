"""What an author says about a file of records. Nothing here opens it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, ClassVar, Generic, Literal, TypeVar, overload

from qalipsis.language.location import NOWHERE, Location, caller
from qalipsis.language.source import Source
from qalipsis.language.spec import slug
from qalipsis.plugins.files.problems import csv_problems, json_problems, xml_problems

Out = TypeVar("Out", covariant=True)
Made = TypeVar("Made")

File = str | PurePath
"""Relative to the folder of the file that says it, and if nothing is there, to the working directory."""
BadRows = Literal["fail", "skip", "default"]
Types = Mapping[str, Any] | Mapping[int, Any]
"""A type, or a function of the text, per column; columns without header are numbered from 0."""
Defaults = Mapping[str, Any] | Mapping[int, Any]


@dataclass(frozen=True, eq=False)
class FileSource(Source[Out], Generic[Out]):
    """A file of records of type Out; settings are kept as written."""

    is_finite: ClassVar[bool] = True

    path: Any
    into: Any = dict
    location: Location = field(default=NOWHERE, kw_only=True)
    """Where the source was written: relative paths start at this file's folder."""

    def default_name(self) -> str:
        name = re.split(r"[/\\]", str(self.path))[-1] if isinstance(self.path, str | PurePath) else ""
        return slug(name) or super().default_name()


@dataclass(frozen=True, eq=False)
class CsvSource(FileSource[Out], Generic[Out]):
    """The rows of a CSV file; made by `csv`."""

    kind: ClassVar[str] = "files.csv"

    separator: Any = ","
    quote: Any = '"'
    escape: Any = None
    header: Any = True
    types: Any = None
    encoding: Any = "utf-8"
    comment: Any = None
    skip_blank_lines: Any = True
    bad_rows: Any = "fail"
    defaults: Any = None

    def problems(self) -> list[str]:
        return list(csv_problems(self))


@dataclass(frozen=True, eq=False)
class JsonSource(FileSource[Out], Generic[Out]):
    """The items of a JSON document, or of JSON lines; made by `json`."""

    kind: ClassVar[str] = "files.json"

    lines: Any = None
    path_to_items: Any = None

    def problems(self) -> list[str]:
        return list(json_problems(self))

    @property
    def is_lines(self) -> bool:
        """As given, otherwise as the file's name says."""
        if self.lines is not None:
            return bool(self.lines)
        return str(self.path).lower().removesuffix(".gz").endswith((".jsonl", ".ndjson"))


@dataclass(frozen=True, eq=False)
class XmlSource(FileSource[Out], Generic[Out]):
    """The elements of one name in an XML document; made by `xml`."""

    kind: ClassVar[str] = "files.xml"

    element: Any = None

    def problems(self) -> list[str]:
        return list(xml_problems(self))


@overload
def csv(
    path: File,
    *,
    separator: str = ",",
    quote: str | None = '"',
    escape: str | None = None,
    header: bool | Sequence[str] = True,
    types: Types | None = None,
    encoding: str = "utf-8",
    comment: str | None = None,
    skip_blank_lines: bool = True,
    bad_rows: BadRows = "fail",
    defaults: Defaults | None = None,
) -> CsvSource[dict[str, Any]]: ...
@overload
def csv(
    path: File,
    *,
    into: type[dict[Any, Any]],
    separator: str = ",",
    quote: str | None = '"',
    escape: str | None = None,
    header: bool | Sequence[str] = True,
    types: Types | None = None,
    encoding: str = "utf-8",
    comment: str | None = None,
    skip_blank_lines: bool = True,
    bad_rows: BadRows = "fail",
    defaults: Defaults | None = None,
) -> CsvSource[dict[str, Any]]: ...
@overload
def csv(
    path: File,
    *,
    into: type[list[Any]],
    separator: str = ",",
    quote: str | None = '"',
    escape: str | None = None,
    header: bool | Sequence[str] = True,
    types: Types | None = None,
    encoding: str = "utf-8",
    comment: str | None = None,
    skip_blank_lines: bool = True,
    bad_rows: BadRows = "fail",
    defaults: Defaults | None = None,
) -> CsvSource[list[Any]]: ...
@overload
def csv(
    path: File,
    *,
    into: type[Made],
    separator: str = ",",
    quote: str | None = '"',
    escape: str | None = None,
    header: bool | Sequence[str] = True,
    types: Types | None = None,
    encoding: str = "utf-8",
    comment: str | None = None,
    skip_blank_lines: bool = True,
    bad_rows: BadRows = "fail",
    defaults: Defaults | None = None,
) -> CsvSource[Made]: ...
def csv(
    path: File,
    *,
    into: Any = dict,
    separator: str = ",",
    quote: str | None = '"',
    escape: str | None = None,
    header: bool | Sequence[str] = True,
    types: Types | None = None,
    encoding: str = "utf-8",
    comment: str | None = None,
    skip_blank_lines: bool = True,
    bad_rows: BadRows = "fail",
    defaults: Defaults | None = None,
) -> CsvSource[Any]:
    """One record per row: a dict by column, a list, or an instance of a dataclass or msgspec Struct.

    A row with too few or too many columns, or with a value that does not convert, ends the feed with its
    file, line and column; `bad_rows="skip"` counts it as `bad-rows` instead, and "default" completes it from
    `defaults`.
    """
    return CsvSource(
        path=path,
        into=into,
        separator=separator,
        quote=quote,
        escape=escape,
        header=header,
        types=types,
        encoding=encoding,
        comment=comment,
        skip_blank_lines=skip_blank_lines,
        bad_rows=bad_rows,
        defaults=defaults,
        location=caller(),
    )


@overload
def json(
    path: File, *, lines: bool | None = None, path_to_items: str | None = None
) -> JsonSource[dict[str, Any]]: ...
@overload
def json(
    path: File,
    *,
    into: type[dict[Any, Any]],
    lines: bool | None = None,
    path_to_items: str | None = None,
) -> JsonSource[dict[str, Any]]: ...
@overload
def json(
    path: File, *, into: type[list[Any]], lines: bool | None = None, path_to_items: str | None = None
) -> JsonSource[list[Any]]: ...
@overload
def json(
    path: File, *, into: type[Made], lines: bool | None = None, path_to_items: str | None = None
) -> JsonSource[Made]: ...
def json(
    path: File, *, into: Any = dict, lines: bool | None = None, path_to_items: str | None = None
) -> JsonSource[Any]:
    """One record per item of the array, or per line; the array stands at the top or at `path_to_items`.

    An object where the array is expected is one record. `lines` is True for names that end with `.jsonl` or
    `.ndjson` when not given. `into=object` takes items of any kind.
    """
    return JsonSource(path, into, lines=lines, path_to_items=path_to_items, location=caller())


@overload
def xml(path: File, *, element: str) -> XmlSource[dict[str, Any]]: ...
@overload
def xml(path: File, *, element: str, into: type[dict[Any, Any]]) -> XmlSource[dict[str, Any]]: ...
@overload
def xml(path: File, *, element: str, into: type[Made]) -> XmlSource[Made]: ...
def xml(path: File, *, element: str, into: Any = dict) -> XmlSource[Any]:
    """One record per element of that name, wherever it stands; with a prefix, write it as in the file.

    In a dict, attributes are "@name", children their name, text beside either is "#text"; repeated children
    are a list.
    """
    return XmlSource(path, into, element=element, location=caller())
