"""HTTP requests: `http.client(...)` describes them, `step` makes them traffic."""

from qalipsis.plugins.http.auth import Basic, Bearer, basic, bearer
from qalipsis.plugins.http.response import Response
from qalipsis.plugins.http.spec import HttpClient, RequestSpec, client

__all__ = ["Basic", "Bearer", "HttpClient", "RequestSpec", "Response", "basic", "bearer", "client"]
