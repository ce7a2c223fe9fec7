"""Conversations over TCP: `tcp.client(...)` describes them, `step` makes them traffic."""

from qalipsis.plugins.tcp.response import Response
from qalipsis.plugins.tcp.spec import CloseSpec, RequestSpec, TcpClient, client, close, reuse
from qalipsis.plugins.tcp.until import (
    Until,
    delimiter,
    end_of_stream,
    exactly,
    length_prefix,
    line,
    nothing,
)

__all__ = [
    "CloseSpec",
    "RequestSpec",
    "Response",
    "TcpClient",
    "Until",
    "client",
    "close",
    "delimiter",
    "end_of_stream",
    "exactly",
    "length_prefix",
    "line",
    "nothing",
    "reuse",
]
