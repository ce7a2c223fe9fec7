"""The description of the API as a page for people: one document that loads nothing from elsewhere."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader
from litestar import Request
from litestar.openapi.plugins import OpenAPIRenderPlugin

_METHODS = ("get", "post", "put", "patch", "delete")


class BrowsePlugin(OpenAPIRenderPlugin):
    """Makes the framework show it."""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        return page(openapi_schema).encode()


def page(schema: dict[str, Any]) -> str:
    """The whole schema as HTML."""
    templates = Environment(
        loader=PackageLoader("qalipsis.head.api", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters["type_of"] = type_of
    operations = [
        {"method": method.upper(), "path": path, "id": f"{method}-{path}", **each[method]}
        for path, each in schema.get("paths", {}).items()
        for method in _METHODS
        if method in each
    ]
    types = schema.get("components", {}).get("schemas", {})
    return templates.get_template("browse.html.j2").render(
        info=schema["info"], operations=operations, types=types, body_of=_body
    )


def type_of(schema: dict[str, Any]) -> str:
    """A type in a few words: `string`, `list of Campaign`, `integer or null`."""
    if "$ref" in schema:
        return str(schema["$ref"]).rpartition("/")[2]
    for key in ("oneOf", "anyOf"):
        if key in schema:
            return " or ".join(dict.fromkeys(type_of(each) for each in schema[key]))
    if "const" in schema:
        return repr(schema["const"])
    kind = schema.get("type", "any")
    if kind == "array":
        return f"list of {type_of(schema.get('items', {}))}"
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {type_of(schema['additionalProperties'])}"
    return " or ".join(map(str, kind)) if isinstance(kind, list) else str(kind)


def _body(content: dict[str, Any]) -> str:
    """The type of a request's body or an answer, by its first media type."""
    for kind, each in (content.get("content") or {}).items():
        return f"{type_of(each.get('schema') or {})} ({kind})"
    return ""
