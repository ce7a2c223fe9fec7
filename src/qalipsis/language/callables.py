"""How many parameters a function of the author takes."""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, signature
from typing import Any

POSITIONAL = (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD)


def takes_context(fn: Callable[..., Any]) -> bool:
    """True when the function wants (context, value): it has two parameters without default."""
    try:
        parameters = signature(fn).parameters.values()
    except (TypeError, ValueError):
        return False  # some built-ins have no signature; they take the value
    required = [p for p in parameters if p.kind in POSITIONAL and p.default is Parameter.empty]
    return len(required) == 2
