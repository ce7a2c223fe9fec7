"""Standard streams that may end before the command does: a closed terminal, `| head`, a full disk."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from io import TextIOWrapper
from typing import TextIO


def open_missing() -> None:
    """Give the standard streams that are closed a place to write to.

    Otherwise the next socket would take their descriptor, and whatever prints would write into it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)  # the lowest free descriptor: this one
            os.set_inheritable(nowhere, True)
            setattr(sys, name, open(nowhere, "w" if number else "r"))  # noqa: SIM115


def make_robust() -> None:
    """A terminal that cannot show a character must not cost the report."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")


def silence(stream: TextIO) -> None:
    """Throw away what is written from now on, and what a failed write left in the buffer."""
    with suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


def tell(text: str) -> None:
    """A line for the user; lost when nobody can read it any more."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        silence(sys.stderr)


def show(text: str) -> None:
    """The result. When it cannot be written this is told: the result itself is not worth less."""
    try:
        print(text, end="", flush=True)
    except BrokenPipeError:
        silence(sys.stdout)  # the reader (`| head`) has seen enough
    except OSError as error:
        silence(sys.stdout)
        tell(f"qalipsis: the result cannot be shown: {error.strerror}")
