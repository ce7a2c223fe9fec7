"""HTTP requests: `http.client(...)` describes them, `step` makes them traffic."""

from qalipsis.plugins.http.response import Response
from qalipsis.plugins.http.spec import Basic, Bearer, HttpClient, RequestSpec, basic, bearer, client

__all__ = ["Basic", "Bearer", "HttpClient", "RequestSpec", "Response", "basic", "bearer", "client"]
