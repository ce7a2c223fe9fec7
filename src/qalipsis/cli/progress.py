"""What the user sees while a campaign runs: on the standard error, so that the result stands alone."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from qalipsis.cli.streams import silence
from qalipsis.reports.live import Live

if TYPE_CHECKING:
    from qalipsis.reports.console import LiveConsole, PlainConsole

Watch = Callable[[Live], None]


@contextmanager
def progress(is_shown: bool) -> Iterator[Watch]:
    """Shows each state it is called with: redrawn in a terminal, as lines of a log elsewhere.

    The campaign goes on when nobody can see it any more: a closed terminal, a pipe whose reader has gone.
    """
    if not is_shown:
        yield lambda live: None
        return
    view = _view()
    _guarded(view.__enter__)
    try:
        yield lambda live: _guarded(lambda: view.update(live))
    finally:
        _guarded(lambda: view.__exit__(None, None, None))


def _view() -> LiveConsole | PlainConsole:
    from qalipsis.reports.console import LiveConsole, PlainConsole

    if not sys.stderr.isatty():
        return PlainConsole(sys.stderr)
    from rich.console import Console

    return LiveConsole(Console(stderr=True, highlight=False))


def _guarded(act: Callable[[], object]) -> None:
    try:
        act()
    except OSError:
        silence(sys.stderr)
