"""What is wrong with a source as an author wrote it: one sentence per mistake."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

import msgspec

from qalipsis.plugins.files.fields import allows_none, fields_of, is_class, is_type, name_of

BAD_ROWS = ("fail", "skip", "default")


def csv_problems(spec: Any) -> Iterator[str]:
    yield from _path_problems(spec)
    into = list(_into_problems(spec, (dict, list)))
    yield from into
    signs = ("separator", "quote", "escape")
    for name in signs:
        sign = getattr(spec, name)
        if sign is None and name != "separator":
            continue
        if not isinstance(sign, str) or len(sign) != 1 or sign in "\r\n":
            yield f"files.csv {name}={sign!r} should be one character, for example {_EXAMPLES[name]}"
    if spec.separator in (spec.quote, spec.escape):
        yield f"files.csv separator={spec.separator!r} is also the quote or the escape: choose another"
    if spec.comment is not None and (not isinstance(spec.comment, str) or not spec.comment):
        yield f'files.csv comment={spec.comment!r} should be what comments begin with, for example "#"'
    yield from _encoding_problems(spec.encoding)
    if not isinstance(spec.skip_blank_lines, bool):
        yield f"files.csv skip_blank_lines={spec.skip_blank_lines!r} should be True or False"
    if spec.bad_rows not in BAD_ROWS:
        choices = ", ".join(map(repr, BAD_ROWS))
        yield f"files.csv bad_rows={spec.bad_rows!r} should be one of {choices}"
    header = list(_header_problems(spec))
    yield from header
    for name in ("types", "defaults"):
        yield from _mapping_problems(spec, name, has_header=not header)
    if isinstance(spec.types, Mapping):
        for column, given in spec.types.items():
            if not is_type(given) and not callable(given):
                yield (
                    f"files.csv types[{column!r}]={given!r} should be a type such as int, "
                    "or a function of the text"
                )
    if spec.defaults and spec.bad_rows in ("fail", "skip"):
        yield 'files.csv defaults are for bad_rows="default": add that, or leave the defaults out'
    if not into and is_class(spec.into) and spec.bad_rows == "default":
        yield from _default_problems(spec)


def json_problems(spec: Any) -> Iterator[str]:
    yield from _path_problems(spec)
    yield from _into_problems(spec, (dict, list, object))
    if spec.lines is not None and not isinstance(spec.lines, bool):
        yield f"files.json lines={spec.lines!r} should be True or False"
    path = spec.path_to_items
    if path is not None:
        if not isinstance(path, str) or not all(path.split(".")):
            yield f'files.json path_to_items={path!r} should be names with dots between, such as "data.users"'
        elif spec.lines is True or (spec.lines is None and spec.is_lines):
            yield (
                "files.json path_to_items is for one document, and this file has one per line: "
                "leave it out, or write lines=False"
            )


def xml_problems(spec: Any) -> Iterator[str]:
    yield from _path_problems(spec)
    yield from _into_problems(spec, (dict,))
    element = spec.element
    if not isinstance(element, str) or not element or any(sign in element for sign in " <>/"):
        yield f'files.xml element={element!r} should be the name of the elements to read, such as "user"'


_EXAMPLES = {"separator": '";"', "quote": "'\"'", "escape": '"\\\\"'}


def _path_problems(spec: Any) -> Iterator[str]:
    path = spec.path
    if not isinstance(path, str | PurePath) or not str(path) or "\0" in str(path):
        yield f"{spec.kind} needs the path of a file, not {path!r}"


def _into_problems(spec: Any, plain: tuple[type, ...]) -> Iterator[str]:
    into = spec.into
    if into in plain:
        return
    if not is_class(into):
        names = ", ".join(each.__name__ for each in plain)
        yield f"{spec.kind} into={into!r} should be {names}, a dataclass or a msgspec Struct"
        return
    try:
        fields_of(into)
        msgspec.json.Decoder(into)  # refuses what it could not make
    except (NameError, TypeError) as error:
        yield f"{spec.kind} into={into.__name__} cannot be filled: {error}"
        return
    if issubclass(into, msgspec.Struct) and into.__struct_config__.array_like and spec.kind != "files.json":
        yield f"{spec.kind} into={into.__name__} is filled by name: leave array_like=True out"


def _encoding_problems(encoding: Any) -> Iterator[str]:
    try:
        codecs.getincrementaldecoder(encoding)
        b"".decode(encoding)  # refuses codecs that do not make text
    except (LookupError, TypeError, ValueError):
        yield f'files.csv encoding={encoding!r} is unknown: write for example "utf-8", "cp1252" or "utf-16"'


def _header_problems(spec: Any) -> Iterator[str]:
    header = spec.header
    if isinstance(header, bool):
        if not header and spec.into is dict:
            yield (
                "files.csv header=False gives the columns no names: "
                'write header=("name", "age"), or into=list'
            )
        return
    if (
        not isinstance(header, tuple | list)
        or not header
        or not all(isinstance(each, str) for each in header)
    ):
        yield f"files.csv header={header!r} should be True, False or the names of the columns"
        return
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        yield f"files.csv header names {twice[0]!r} twice: give every column a name of its own"
        return
    if is_class(spec.into):
        try:
            wanted = [each.name for each in fields_of(spec.into) if each.is_required]
        except (NameError, TypeError):
            return
        for name in wanted:
            if name not in header:
                yield f"files.csv header has no {name!r}, which {spec.into.__name__} needs: add it"


def _mapping_problems(spec: Any, name: str, has_header: bool) -> Iterator[str]:
    given = getattr(spec, name)
    if given is None:
        return
    example = '{"age": int}' if name == "types" else '{"age": 0}'
    if not isinstance(given, Mapping):
        yield f"files.csv {name}={given!r} should be a dict by column, for example {example}"
        return
    is_numbered = spec.header is False and not is_class(spec.into)
    for column in given:
        if isinstance(column, bool) or not isinstance(column, int if is_numbered else str):
            how = "its number, counted from 0" if is_numbered else "its name"
            yield f"files.csv {name} has the key {column!r}: write {how}"
        elif has_header and isinstance(spec.header, tuple | list) and column not in spec.header:
            yield f"files.csv {name} has the key {column!r}, which is none of the header's columns"


def _default_problems(spec: Any) -> Iterator[str]:
    defaults = spec.defaults if isinstance(spec.defaults, Mapping) else {}
    for field in fields_of(spec.into):
        if field.name in defaults:
            value = defaults[field.name]
            try:
                msgspec.convert(value, field.type)
            except msgspec.ValidationError:
                yield (
                    f"files.csv defaults[{field.name!r}]={value!r} should be of type {name_of(field.type)}, "
                    f"as {spec.into.__name__} says"
                )
        elif field.is_required and not allows_none(field.type):
            yield (
                f'files.csv bad_rows="default" has no default for {field.name!r}: '
                f"write it into defaults, or give {spec.into.__name__} one"
            )
