"""Parts of a message that are a value, or a function of the step's input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qalipsis.engine.builtin import on_value


def part(value: Any, make: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """What gives the part for a context, put into shape by `make`; a plain value is made once."""
    if callable(value):
        fn = on_value(value)
        return lambda context: make(fn(context))
    made = make(value)
    return lambda context: made
