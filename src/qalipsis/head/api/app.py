"""The application that answers the REST API, around the service of a head."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, Final

from litestar import Litestar, MediaType, Request, Router, get
from litestar.config.cors import CORSConfig
from litestar.datastructures import ResponseHeader
from litestar.di import Provide
from litestar.exceptions import ClientException, HTTPException
from litestar.middleware import DefineMiddleware
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.spec import Components, SecurityScheme

from qalipsis.config.settings import CampaignValidation, Server
from qalipsis.errors import QalipsisError
from qalipsis.head.api import campaigns, data_series, health, problems, reports, resources, time_series
from qalipsis.head.api.access import OPEN, Authentication, Gate, check_permission
from qalipsis.head.api.browse import BrowsePlugin
from qalipsis.head.api.pages import Pages
from qalipsis.head.campaign_configuration import normalised
from qalipsis.head.data_desk import DataDesk
from qalipsis.head.service import CampaignService

MOST_BODY_BYTES: Final = 1_000_000


class LenientRequest(Request[Any, Any, Any]):
    """Reads words in any case, and a single value where a list is expected."""

    async def json(self) -> Any:
        try:
            return normalised(await super().json())
        except RecursionError:
            raise ClientException("the body is JSON inside JSON, deeper than anything here reads") from None


@get("/", opt={OPEN: True}, media_type=MediaType.TEXT, include_in_schema=False)
async def greet() -> str:
    """What this is."""
    return f"qalipsis {version('qalipsis')}"


@get("/openapi.json", opt={OPEN: True}, include_in_schema=False)
async def describe(request: Request[Any, Any, Any]) -> dict[str, Any]:
    """The description of the API for machines."""
    return request.app.openapi_schema.to_schema()


def make_app(
    service: CampaignService,
    gate: Gate,
    server: Server,
    validation: CampaignValidation,
    desk: DataDesk,
) -> Litestar:
    """The API under `server.api-root`; health and metrics are at the root too, where probes look."""
    pages = Pages(service)
    root = "/" + server.api_root.strip("/")
    data = (*data_series.HANDLERS, *time_series.HANDLERS, *reports.HANDLERS)
    handlers = (*campaigns.HANDLERS, *resources.HANDLERS, *data, describe)
    routers = [Router(root, route_handlers=list(handlers)), Router("/", route_handlers=list(health.HANDLERS))]
    greetings = [Router(path, route_handlers=[greet]) for path in dict.fromkeys(("/", root))]
    return Litestar(
        route_handlers=[*routers, *greetings],
        request_class=LenientRequest,
        dependencies={
            "service": Provide(lambda: service, sync_to_thread=False),
            "pages": Provide(lambda: pages, sync_to_thread=False),
            "gate": Provide(lambda: gate, sync_to_thread=False),
            "desk": Provide(lambda: desk, sync_to_thread=False),
            "validation": Provide(lambda: validation, sync_to_thread=False),
        },
        middleware=[DefineMiddleware(Authentication, gate=gate)],
        guards=[check_permission],
        exception_handlers={
            HTTPException: problems.refuse,
            QalipsisError: problems.explain,
            Exception: problems.fail,
        },
        cors_config=_cors(server.cors.origins),
        request_max_body_size=MOST_BODY_BYTES,
        response_headers=[
            ResponseHeader(name="X-Content-Type-Options", value="nosniff"),
            ResponseHeader(name="Cache-Control", value="no-store"),
        ],
        openapi_config=OpenAPIConfig(
            title="qalipsis",
            version=version("qalipsis"),
            description="Campaigns: start, watch, stop, and read what came of them.",
            openapi_router=Router(f"{root}/docs", route_handlers=[], opt={OPEN: True}),
            render_plugins=[BrowsePlugin(path="/")],
            use_handler_docstrings=True,
            components=Components(
                security_schemes={"key": SecurityScheme(type="http", scheme="bearer")},
            ),
            security=[{"key": []}],
        ),
        logging_config=None,
        debug=False,
    )


def _cors(origins: tuple[str, ...]) -> CORSConfig | None:
    if not origins:
        return None
    return CORSConfig(
        allow_origins=list(origins),
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"],
        allow_headers=["Authorization", "Content-Type", "X-API-Key"],
        expose_headers=["Content-Disposition", "X-Correlation-Id"],
    )
