from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from qalipsis.plugins import http
from qalipsis.plugins.http.spec import RequestSpec

shop = http.client("http://shop.example")


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
        ({"cert": (__file__,)}, "cert has 1 items"),
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
        ({"auth": http.basic(3, "c")}, "http.basic needs texts"),
        ({"auth": http.bearer(3)}, "http.bearer needs a text"),
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
