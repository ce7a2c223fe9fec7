from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from qalipsis import prop, scenario
from qalipsis.language.prop import Prop
from qalipsis.plan.properties import Properties
from qalipsis.plugins import http
from qalipsis.plugins.http.settings import Settings, body_bytes
from qalipsis.plugins.http.spec import RequestSpec

EXAMPLE = Path(__file__).parent / "typed_requests.py"

shop = http.client("http://shop.example")


def test_an_editor_knows_the_value_inside_a_request_and_the_response_behind_it(tmp_path: Path) -> None:
    wrong = {
        number
        for number, line in enumerate(EXAMPLE.read_text().splitlines(), start=1)
        if line.rstrip().endswith("# wrong")
    }
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), str(EXAMPLE)]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    reported = {int(number) for number in re.findall(rf"{EXAMPLE.name}:(\d+): error", checked.stdout)}
    assert reported == wrong, checked.stdout + checked.stderr


def test_a_description_loads_without_any_driver() -> None:
    drivers = ("asyncio", "uvloop", "httptools", "ssl", "socket", "brotli", "zstandard")
    program = f"import sys, qalipsis.plugins.http; print([name for name in {drivers} if name in sys.modules])"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert loaded.stdout.strip() == "[]"


def test_the_defaults_are_those_of_the_documentation() -> None:
    settings = shop.settings()
    assert settings == Settings(
        target=settings.target,
        credentials=None,
        connections="per-minion",
        warm_up=False,
        pool_size=10,
        timeout=30.0,
        connect_timeout=10.0,
        read_timeout=None,
        verify=True,
        cert=None,
        proxy=None,
        follow_redirects=True,
        max_redirects=10,
        decompress=True,
        max_body=10_000_000,
        hosts={},
        dns_ttl=60.0,
    )


def test_options_become_seconds_bytes_and_addresses(tmp_path: Path) -> None:
    pem = tmp_path / "pem"
    pem.write_text("")
    client = http.client(
        "https://ann:secret@shop.example/api",
        connections="pool",
        pool_size=3,
        timeout="2s",
        connect_timeout=0.5,
        read_timeout="PT1S",
        verify=pem,
        cert=(pem, str(pem)),
        proxy="socks5://127.0.0.1",
        max_body="1MiB",
        hosts={"Shop.Example": "::1"},
        dns_ttl=0,
    )
    assert client.problems() == []
    settings = client.settings()
    assert (settings.timeout, settings.connect_timeout, settings.read_timeout) == (2.0, 0.5, 1.0)
    assert (settings.verify, settings.cert) == (str(pem), (str(pem), str(pem)))
    assert settings.proxy is not None
    assert settings.proxy.port == 1080
    assert (settings.max_body, settings.hosts, settings.dns_ttl) == (1_048_576, {"shop.example": "::1"}, 0.0)
    assert settings.credentials == ("ann", "secret")
    assert replace(client, cert=str(pem)).settings().cert == (str(pem), None)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"base_url": "shop.example"}, "base_url: 'shop.example' should start with"),
        ({"base_url": 3}, "base_url: 3 is no URL"),
        ({"connections": "sometimes"}, "should be one of 'per-minion', 'pool', 'on-demand'"),
        ({"connections": ["pool"]}, "should be one of"),
        ({"warm_up": "yes"}, "warm_up='yes' should be True or False"),
        ({"warm_up": True, "connections": "on-demand"}, "warm_up=True has no effect"),
        ({"pool_size": 3}, 'without connections="pool"'),
        ({"pool_size": 0, "connections": "pool"}, "pool_size=0 should be a whole number of at least 1"),
        ({"timeout": "-1s"}, "timeout cannot be negative"),
        ({"timeout": 0}, "timeout cannot be zero"),
        ({"connect_timeout": "soon"}, "connect_timeout: 'soon' is not a duration"),
        ({"read_timeout": -1}, "read_timeout cannot be negative"),
        ({"verify": "/no/such.pem"}, "verify: there is no '/no/such.pem'"),
        ({"verify": 3}, "verify=3 should be True, False or the path"),
        ({"cert": "/no/such.pem"}, "cert: there is no '/no/such.pem'"),
        ({"cert": (EXAMPLE,)}, "cert has 1 items"),
        ({"proxy": "proxy:3128"}, "proxy: 'proxy:3128' should start with"),
        ({"follow_redirects": 3}, "follow_redirects=3 should be True or False"),
        ({"max_redirects": -1}, "max_redirects=-1 should be a whole number of at least 0"),
        ({"max_body": "much"}, "max_body: 'much' is no size"),
        ({"max_body": -1}, "max_body cannot be negative"),
        ({"hosts": {"shop": "localhost"}}, "'shop' should lead to an IP address, not 'localhost'"),
        ({"hosts": "127.0.0.1"}, "hosts='127.0.0.1' should be a mapping"),
        ({"dns_ttl": "x"}, "dns_ttl: 'x' is not a duration"),
        ({"headers": ["a"]}, r"headers=\['a'\] should be a mapping"),
        ({"headers": {"a b": "c"}}, "headers: 'a b' is no name for a header"),
        ({"headers": {"X": "a\r\nb"}}, "headers: the value of X contains a line break"),
        ({"headers": {"Content-length": "3"}}, "Content-length follows from the body"),
        ({"auth": "token"}, "auth should be http.basic"),
        ({"auth": http.basic("a:b", "c")}, "cannot contain a colon"),
        ({"auth": http.basic(3, "c")}, "http.basic needs texts"),  # type: ignore[arg-type]
        ({"auth": http.bearer(3)}, "http.bearer needs a text"),  # type: ignore[call-overload]
        ({"auth": http.bearer("a"), "headers": {"authorization": "b"}}, "are both given"),
    ],
)
def test_a_mistake_in_a_client_is_a_sentence(options: dict[str, Any], complaint: str) -> None:
    client = http.client(**{"base_url": "http://shop.example", **options})
    (problem,) = client.problems()
    assert re.search(complaint, problem)
    assert problem.startswith("http.client ")
    assert client.get("/").problems() == [problem]


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"method": "GE T"}, "the method 'GE T' should be a word"),
        ({"path": 3}, "the path 3 should be a text"),
        ({"path": "ftp://x/"}, "path: 'ftp://x/' should start with http://"),
        ({"json": {}, "form": {}}, "the request has json and form; give one of them"),
        ({"json": object()}, "json: Encoding objects of type object is unsupported"),
        ({"timeout": "-1s"}, "the request's timeout cannot be negative"),
        ({"query": 3}, "query: 3 should be a mapping"),
        ({"form": "a=b"}, "form: 'a=b' should be a mapping"),
        ({"cookies": ["a"]}, "cookies: cookies should be"),
        ({"cookies": {"a": "b;c"}}, "the cookie 'a' contains a character that no cookie can have"),
        ({"multipart": ["a"]}, "multipart: ['a'] should be a mapping"),
        ({"multipart": {"a": object()}}, "multipart: 'a' should be text"),
        ({"multipart": {"a": Path("/no/such")}}, "multipart: cannot read '/no/such'"),
        ({"headers": {"Transfer-Encoding": "chunked"}}, "follows from the body"),
        ({"auth": 3}, "auth should be http.basic"),
        ({"body": iter([b"x"])}, "body is an iterator, which one request would use up"),
        ({"body": Path("/no/such")}, "body: cannot read '/no/such'"),
        ({"body": {"a": 1}}, "the body should be text"),
        ({"body": 3}, "body: the body should be text, bytes, a path or an iterable"),
    ],
)
def test_a_mistake_in_a_request_is_a_sentence(options: dict[str, Any], complaint: str) -> None:
    (problem,) = RequestSpec(shop, **{"method": "GET", "path": "/", **options}).problems()
    assert complaint in problem


def test_functions_are_taken_on_trust_until_they_run() -> None:
    def anything(value: object) -> Any:
        return value

    request = shop.post(
        anything, query=anything, headers=anything, cookies=anything, auth=anything, json=anything
    )
    assert request.problems() == []
    assert shop.post("/", multipart=anything).problems() == []
    assert shop.post("/", body=anything).problems() == []


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


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (1000, 1000),
        ("1000", 1000),
        ("10MB", 10_000_000),
        ("1.5 kB", 1500),
        ("512KiB", 524_288),
        ("1GiB", 1 << 30),
        ("3 b", 3),
    ],
)
def test_sizes_are_read_as_people_write_them(size: str | int, expected: int) -> None:
    assert body_bytes(size) == expected


@pytest.mark.parametrize("size", ["", "MB", "-1MB", "1TB", None, True, 1.5])
def test_what_is_no_size_is_explained(size: Any) -> None:
    with pytest.raises(ValueError, match="is no size"):
        body_bytes(size)
