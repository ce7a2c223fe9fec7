"""The readers of polls and of streams, as the registry makes them."""

from __future__ import annotations

from typing import Any

from qalipsis.engine.source import Reader
from qalipsis.plugins.redis.consumer import StreamReader
from qalipsis.plugins.redis.poller import PollReader
from qalipsis.plugins.redis.spec import Consume, Poll


def open_poll(spec: Poll[Any]) -> Reader:
    """What the registry calls for each poll of a plan."""
    return PollReader(spec)


def open_consume(spec: Consume[Any]) -> Reader:
    """What the registry calls for each consumed stream of a plan."""
    return StreamReader(spec)
