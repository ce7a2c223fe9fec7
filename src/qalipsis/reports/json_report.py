"""report.json: the report itself, readable again by `qalipsis report`."""

from __future__ import annotations

from typing import Any

import msgspec

from qalipsis.reports import figures
from qalipsis.reports.model import SCHEMA, Report


class _Header(msgspec.Struct):
    schema: str = ""


def encode(report: Report) -> bytes:
    """Indented JSON in UTF-8, `schema` first.

    Text that UTF-8 cannot hold (a lone surrogate in a file name, say) is escaped: nothing an author's
    service answers may cost the report.
    """
    try:
        body = msgspec.json.encode(report)
    except UnicodeEncodeError:
        body = msgspec.json.encode(_encodable(msgspec.to_builtins(report)))
    return msgspec.json.format(body, indent=2) + b"\n"


def decode(body: bytes) -> Report:
    """The report, or a ValueError that says what the bytes are instead."""
    try:
        schema = msgspec.json.decode(body, type=_Header).schema
        if schema != SCHEMA:
            found = f"its schema is {schema!r}" if schema else "it names no schema"
            raise ValueError(
                f"cannot read this report: {found}, this version reads {SCHEMA!r}; "
                "use the version of qalipsis that wrote it"
            )
        return msgspec.json.decode(body, type=Report)
    except msgspec.ValidationError as error:
        raise ValueError(f"this JSON is no campaign report of schema {SCHEMA!r}: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"this is no JSON, and so no report.json: {error}") from error


def _encodable(value: Any) -> Any:
    match value:
        case str():
            return figures.printable(value)
        case dict():
            return {_encodable(key): _encodable(each) for key, each in value.items()}
        case list() | tuple():
            return [_encodable(each) for each in value]
        case _:
            return value
