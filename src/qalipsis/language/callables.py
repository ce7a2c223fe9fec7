"""What a function of the author can be called with."""

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


def function_problems(verb: str, fn: Any, forms: tuple[str, ...]) -> list[str]:
    """Why `fn` cannot be called in one of the `forms`, such as "value" and "context, value"."""
    wanted = " or ".join(f"({form})" for form in forms)
    if not callable(fn):
        return [f"{verb} needs a function of {wanted}, not {fn!r}"]
    try:
        parameters = signature(fn)
    except (TypeError, ValueError):
        return []
    # The context is only given to functions with two parameters without default: see above.
    count = 2 if len(forms) > 1 and takes_context(fn) else len(forms[0].split(", "))
    try:
        parameters.bind(*range(count))
    except TypeError:
        return [f"{verb} calls its function with {wanted}, and this one takes {parameters}"]
    return []
