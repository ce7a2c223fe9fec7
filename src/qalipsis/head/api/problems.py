"""Errors as answers: always the same shape, a sentence each, and nothing beyond the client's business."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Iterable
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, SerializationException

from qalipsis.errors import QalipsisError, ServiceUnavailable
from qalipsis.head.api.payloads import Errors, Problem
from qalipsis.head.campaign_configuration import InvalidConfiguration
from qalipsis.head.refusals import Busy, Invalid, NotReady, NotShared, NotThere, Stale
from qalipsis.head.service import UnknownCampaign

UNEXPECTED = "An unexpected error occurred"
AWAY = "the head cannot reach its database or its broker now, its log says which: try again later"

_log = logging.getLogger(__name__)

_Request = Request[Any, Any, Any]


def refuse(request: _Request, error: HTTPException) -> Response[Errors]:
    """What the framework found: an unknown address, a body that cannot be read, a lacking permission."""
    match error.status_code:
        case 404:
            errors: tuple[str | Problem, ...] = (f"there is nothing at {request.url.path}",)
        case 405:
            errors = (f"{request.method} is not possible at {request.url.path}",)
        case 413:
            errors = ("the body of the request is too large: at most 1 MB is taken",)
        case status if status >= 500:
            return fail(request, error)
        case _:
            errors = tuple(_problems(error.extra, request)) or (_sentence(error),)
    return _answer(errors, error.status_code, error.headers)


def explain(request: _Request, error: QalipsisError) -> Response[Errors]:
    """What we refuse on purpose."""
    match error:
        case InvalidConfiguration() | Invalid():
            errors: tuple[str | Problem, ...] = tuple(
                Problem(property=each.property, message=each.message) for each in error.problems
            )
            return _answer(errors, 400)
        case UnknownCampaign() | NotThere():
            return _answer((str(error),), 404)
        case NotShared():
            return _answer((str(error),), 403)
        case Stale():
            return _answer((str(error),), 409)
        case NotReady():
            return _answer((str(error),), 422)
        case Busy():
            return _answer((str(error),), 429)
        case ServiceUnavailable():
            _log.warning("%s %s: %s", request.method, request.url.path, error)
            return _answer((AWAY,), 503)
        case _:
            return _answer(tuple(str(error).splitlines()), 400)


def fail(request: _Request, error: Exception) -> Response[Errors]:
    """A mistake of ours: the log has everything, under an id that the answer names in a header."""
    id = secrets.token_hex(8)
    _log.error("%s %s failed, correlation id %s", request.method, request.url.path, id, exc_info=error)
    return _answer((UNEXPECTED,), 500, {"X-Correlation-Id": id})


def _answer(
    errors: tuple[str | Problem, ...], status: int, headers: dict[str, str] | None = None
) -> Response[Errors]:
    return Response(
        Errors(errors=errors), status_code=status, media_type="application/json", headers=headers or {}
    )


def _subject(path: str) -> str:
    """What the body of a request to this address describes."""
    for part, subject in (("/data-series", "dataSeries"), ("/reports", "report")):
        if part in path:
            return subject
    return "campaign"


def _sentence(error: HTTPException) -> str:
    found: BaseException | None = error
    while found is not None and not isinstance(found, SerializationException):
        found = found.__cause__
    if found is None:
        return error.detail
    reason = f": {found.__cause__}" if isinstance(found.__cause__, msgspec.DecodeError) else ""
    return f"the body is not the JSON that is expected here{reason}"


def _problems(extra: Any, request: _Request) -> Iterable[Problem]:
    subject = _subject(request.url.path)
    for each in extra if isinstance(extra, list) else ():
        if isinstance(each, dict) and "message" in each:
            key, source = str(each.get("key", "")), each.get("source")
            if key == "data":
                yield Problem(property=subject, message="a JSON object is expected as the body")
                continue
            is_of_body = source in (None, "body")
            place = ".".join(filter(None, (subject, key))) if is_of_body else _asked_as(key, request)
            message = str(each["message"]).partition(" - at ")[0]
            yield Problem(property=place, message=message)


def _asked_as(parameter: str, request: _Request) -> str:
    """How clients call a parameter of the handler: `from`, which is no name in Python."""
    known = request.route_handler.parsed_fn_signature.parameters.get(parameter)
    kwarg = None if known is None else known.kwarg_definition
    return getattr(kwarg, "name", None) or parameter
