from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from qalipsis import prop, scenario
from qalipsis.language.prop import Prop
from qalipsis.plan.properties import Properties
from qalipsis.plugins import http
from qalipsis.plugins.http.spec import RequestSpec

shop = http.client("http://shop.example")


def test_a_description_loads_without_any_driver() -> None:
    drivers = ("asyncio", "uvloop", "httptools", "ssl", "socket", "brotli", "zstandard")
    program = f"import sys, qalipsis.plugins.http; print([name for name in {drivers} if name in sys.modules])"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert loaded.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("request_spec", "name"),
    [
        (shop.get("/basket"), "get-basket"),
        (shop.get("/"), "get-root"),
        (shop.post("orders/42/Items?x=1#y"), "post-orders-42-items"),
        (shop.get("http://other.example/a_b/"), "get-a-b"),
        (shop.delete(lambda value: "/x"), "delete"),
        (shop.request("M-SEARCH", "*"), "m-search-root"),
        (shop.head("/" + "long/" * 40), "head-" + "long-" * 11 + "long"),
        (shop.request("???", "/x"), "request-x"),
    ],
)
def test_a_request_has_a_name_for_reports(request_spec: RequestSpec[Any], name: str) -> None:
    assert request_spec.default_name() == name


def test_every_method_of_http_has_its_verb() -> None:
    verbs = [shop.get, shop.head, shop.post, shop.put, shop.patch, shop.delete, shop.options]
    assert [verb("/").method for verb in verbs] == [
        "GET",
        "HEAD",
        "POST",
        "PUT",
        "PATCH",
        "DELETE",
        "OPTIONS",
    ]


def test_a_request_knows_where_it_was_written() -> None:
    requests = [shop.get("/"), shop.request("GET", "/")]
    line = sys._getframe().f_lineno - 1
    for request in requests:
        assert (request.location.file, request.location.line) == (__file__, line)
    assert shop.location.file == __file__


def test_secrets_are_not_shown() -> None:
    client = http.client("http://ann:secret@shop.example", auth=http.basic("ann", "secret"))
    request = client.get("http://ann:secret@other.example/", auth=http.bearer("secret"))
    for shown in (
        repr(client),
        repr(request),
        repr(client.auth),
        repr(request.auth),
        repr(client.settings()),
    ):
        assert "secret" not in shown
    assert repr(request) == "<GET http://other.example/ with HttpClient('http://shop.example')>"
    assert repr(shop.get(lambda value: "/x")) == "<GET … with HttpClient('http://shop.example')>"


def test_placeholders_are_replaced_and_the_client_stays_one() -> None:
    client = http.client(
        prop("shop.url"), headers={"X": prop("x", default="y")}, timeout=prop("t", default="1s")
    )
    first, second = client.get("/a"), client.post("/b", json={"n": [prop("n", default=3)]})
    properties = Properties({"shop.url": "http://there.example"})
    resolved = [properties.resolve(request) for request in (first, second)]
    assert not properties.mistakes
    assert resolved[0].client is resolved[1].client
    assert resolved[0].client.settings().target.host == "there.example"
    assert resolved[0].client.headers == {"X": "y"}
    assert resolved[1].json == {"n": [3]}
    assert isinstance(client.base_url, Prop)


def test_a_request_is_a_step_of_a_scenario() -> None:
    chain = scenario("shop").start().then(shop.get("/")).verify(lambda response: response.status == 200)
    assert chain.steps[0].spec.kind == "http.request"
