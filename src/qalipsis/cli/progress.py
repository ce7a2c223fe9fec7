"""What the user sees while a campaign runs: on the standard error, so that the result stands alone."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from qalipsis.reports.live import Live

Watch = Callable[[Live], None]


@contextmanager
def progress(is_shown: bool) -> Iterator[Watch]:
    """Shows each state it is called with: redrawn in a terminal, as lines of a log elsewhere."""
    if not is_shown:
        yield lambda live: None
        return
    from qalipsis.reports.console import LiveConsole, PlainConsole

    if not sys.stderr.isatty():
        with PlainConsole(sys.stderr) as plain:
            yield plain.update
        return
    from rich.console import Console

    with LiveConsole(Console(stderr=True, highlight=False)) as live:
        yield live.update
