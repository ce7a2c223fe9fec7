"""Datagrams and their answers: `udp.client(...)` describes them, `step` makes them traffic."""

from qalipsis.plugins.udp.response import Response
from qalipsis.plugins.udp.spec import CloseSpec, RequestSpec, UdpClient, client, close, reuse

__all__ = ["CloseSpec", "RequestSpec", "Response", "UdpClient", "client", "close", "reuse"]
