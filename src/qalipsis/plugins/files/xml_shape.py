"""Fits what XML says into the author's class: XML has no lists, numbers or absent values of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import inspect

Fit = Callable[[Any], Any]
"""Changes the value of an element or attribute to what the type of its field accepts."""

TEXT = "#text"
LISTS = (inspect.ListType, inspect.VarTupleType, inspect.SetType, inspect.FrozenSetType)


def shape_of(into: Any) -> Callable[[dict[str, Any]], Any]:
    """Makes an instance of `into` of an element's dict. It raises msgspec.ValidationError.

    Attributes fill fields by their name without the "@", and text beside them the field `text`.
    """
    fit = _fit_class(inspect.type_info(into), {})
    convert = msgspec.convert
    return lambda members: convert(fit(members), into, strict=False)


def _fit_of(type: Any, known: dict[Any, Fit]) -> Fit | None:
    """None for a type that takes the value as it is."""
    if isinstance(type, inspect.UnionType):
        return _fit_union(type, known)
    if isinstance(type, LISTS):
        return _fit_list(_fit_of(type.item_type, known))
    if isinstance(type, inspect.StructType | inspect.DataclassType):
        return _fit_class(type, known)
    return None


def _fit_union(type: inspect.UnionType, known: dict[Any, Fit]) -> Fit | None:
    others = [each for each in type.types if not isinstance(each, inspect.NoneType)]
    inner = _fit_of(others[0], known) if len(others) == 1 else None
    if len(others) == len(type.types):
        return None
    if inner is None:
        return lambda value: None if value == "" else value
    return lambda value: None if value == "" else inner(value)


def _fit_list(inner: Fit | None) -> Fit:
    """An element that stands once is a list of one."""
    if inner is None:
        return lambda value: value if isinstance(value, list) else [value]
    return lambda value: [inner(item) for item in (value if isinstance(value, list) else [value])]


def _fit_class(type: Any, known: dict[Any, Fit]) -> Fit:
    if type.cls in known:
        return known[type.cls]  # a class whose fields hold others of its kind
    takes_text = any(field.encode_name == "text" for field in type.fields)
    names: dict[str, str] = {}
    fits: list[tuple[str, Fit]] = []

    def fit(value: Any) -> Any:
        members = value if isinstance(value, dict) else {TEXT: value} if value else {}
        # Attributes come first in `members`: a child of the same name takes the field from them.
        fitted = {names[key]: members[key] for key in members if key in names}
        if takes_text and TEXT in members:
            fitted.setdefault("text", members[TEXT])
        for name, change in fits:
            if name in fitted:
                fitted[name] = change(fitted[name])
        return fitted

    known[type.cls] = fit
    for field in type.fields:
        name = field.encode_name
        names[name] = names[f"@{name}"] = name
        inner = _fit_of(field.type, known)
        if inner is not None:
            fits.append((name, inner))
    return fit
