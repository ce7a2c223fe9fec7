from __future__ import annotations

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qalipsis.plugins.http.url import (
    Target,
    encode_path,
    encode_query,
    follow,
    parse_base,
    parse_proxy,
    resolve,
    shown,
    with_query,
)

SHOP = parse_base("http://shop.example/api/v1")[0]


@pytest.mark.parametrize(
    ("url", "host", "port", "prefix", "host_header", "is_tls"),
    [
        ("http://shop.example", "shop.example", 80, "", "shop.example", False),
        ("https://shop.example/", "shop.example", 443, "", "shop.example", True),
        ("HTTPS://Shop.Example:443/a/b/", "shop.example", 443, "/a/b", "shop.example", True),
        ("http://127.0.0.1:8080", "127.0.0.1", 8080, "", "127.0.0.1:8080", False),
        ("http://[::1]:8080/x", "::1", 8080, "/x", "[::1]:8080", False),
        ("https://[2001:db8::1]", "2001:db8::1", 443, "", "[2001:db8::1]", True),
        ("http://bücher.example/ü", "xn--bcher-kva.example", 80, "/%C3%BC", "xn--bcher-kva.example", False),
        ("http://my_service:81", "my_service", 81, "", "my_service:81", False),
    ],
)
def test_a_base_url_becomes_an_address(
    url: str, host: str, port: int, prefix: str, host_header: str, is_tls: bool
) -> None:
    target, credentials = parse_base(url)
    scheme = "https" if is_tls else "http"
    assert target == Target(scheme, host, port, prefix, host_header, is_tls)
    assert credentials is None


def test_user_and_password_of_a_url_are_taken_out_of_the_address() -> None:
    target, credentials = parse_base("http://ann:p%40ss@shop.example:8080/")
    assert credentials == ("ann", "p@ss")
    assert str(target) == "http://shop.example:8080"


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("shop.example", "should start with http:// or https://"),
        ("ftp://shop.example", "should start with http:// or https://"),
        ("http://", "names no host"),
        ("http://shop example/", "contains a space"),
        ("http://shop.example\n/", "contains a space or a control character"),
        ("http://shop.example:99999", "is no URL"),
        ("http://shop.example:0", "names port 0"),
        ("http://[::g]/", "is no URL|no valid IPv6"),
        ("http://sh$op/", "is no domain name"),
        ("http://" + "ü" * 70 + ".example", "is no domain name"),
        ("http://shop.example/?key=1", "give a query to the requests"),
        (None, "is no URL"),
    ],
)
def test_a_bad_base_url_is_explained(url: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_base(url)


def test_a_complaint_does_not_show_the_password() -> None:
    with pytest.raises(ValueError) as caught:
        parse_base("ftp://ann:secret@shop.example")
    assert "secret" not in str(caught.value)
    assert shown("ftp://ann:se@cret@shop.example/x") == "ftp://shop.example/x"


@pytest.mark.parametrize(
    ("url", "scheme", "port"),
    [("http://proxy.example", "http", 3128), ("socks5://p:1", "socks5", 1), ("socks5h://p", "socks5h", 1080)],
)
def test_a_proxy_is_http_or_socks5(url: str, scheme: str, port: int) -> None:
    proxy = parse_proxy(url)
    assert (proxy.scheme, proxy.port) == (scheme, port)


def test_a_proxy_keeps_its_password_to_itself() -> None:
    proxy = parse_proxy("http://ann:secret@proxy.example:3128")
    assert (proxy.user, proxy.password) == ("ann", "secret")
    assert "secret" not in repr(proxy)


@pytest.mark.parametrize("url", ["proxy:3128", "https://proxy", "http://proxy/path", "socks4://proxy"])
def test_a_bad_proxy_is_explained(url: str) -> None:
    with pytest.raises(ValueError, match="proxy"):
        parse_proxy(url)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/basket", "/api/v1/basket"),
        ("basket", "/api/v1/basket"),
        ("", "/api/v1"),
        ("?a=b", "/api/v1?a=b"),
        ("/basket?a=b c#top", "/api/v1/basket?a=b%20c"),
        ("/größe/100%", "/api/v1/gr%C3%B6%C3%9Fe/100%25"),
        ("/already%20escaped", "/api/v1/already%20escaped"),
        ("//twice", "/api/v1//twice"),
        ("item?next=http://elsewhere/", "/api/v1/item?next=http://elsewhere/"),
    ],
)
def test_a_path_stands_below_the_base_url(path: str, expected: str) -> None:
    assert resolve(SHOP, path) == (SHOP, expected)


def test_an_absolute_url_replaces_the_base_url() -> None:
    target, path = resolve(SHOP, "https://other.example:8443/x?y=z#part")
    assert (str(target), path) == ("https://other.example:8443", "/x?y=z")


def test_an_absolute_url_of_the_same_origin_keeps_the_very_same_target() -> None:
    target, path = resolve(SHOP, "http://SHOP.example:80/x")
    assert target is SHOP
    assert path == "/x"


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("/login", "http://shop.example/login"),
        ("login", "http://shop.example/a/login"),
        ("../login", "http://shop.example/login"),
        ("./?x=y", "http://shop.example/a/?x=y"),
        ("?x=y", "http://shop.example/a/b?x=y"),
        ("//cdn.example/i", "http://cdn.example/i"),
        ("https://shop.example/secure", "https://shop.example/secure"),
        ("http://shop.example", "http://shop.example/"),
        ("/with space/ü", "http://shop.example/with%20space/%C3%BC"),
        (" /trimmed#fragment ", "http://shop.example/trimmed"),
        ("http://ann:pw@shop.example/x", "http://shop.example/x"),
    ],
)
def test_a_location_is_seen_from_the_request(location: str, expected: str) -> None:
    target, path = follow(SHOP, "/a/b?q=1", location)
    assert f"{target}{path}" == expected
    assert (target is SHOP) == expected.startswith("http://shop.example")


@pytest.mark.parametrize(
    "location", ["mailto:ann@shop.example", "file:///etc/passwd", "https://", "http://[x/"]
)
def test_a_location_that_http_cannot_follow_is_refused(location: str) -> None:
    with pytest.raises(ValueError):
        follow(SHOP, "/", location)


def test_a_query_is_encoded_in_the_order_given() -> None:
    assert (
        encode_query({"b": [1, 2.5], "a": None, "c d": "x&y", "ok": True}) == "b=1&b=2.5&c%20d=x%26y&ok=true"
    )
    assert encode_query([("a", 1), ("a", 2)]) == "a=1&a=2"
    assert encode_query("?raw=1&x=a b") == "raw=1&x=a%20b"
    assert encode_query(None) == ""


def test_a_query_joins_the_one_of_the_path() -> None:
    assert with_query("/a", "x=1") == "/a?x=1"
    assert with_query("/a?b=c", "x=1") == "/a?b=c&x=1"
    assert with_query("/a", "") == "/a"


@given(st.text())
def test_an_encoded_path_fits_into_a_request_line_and_is_not_encoded_twice(text: str) -> None:
    try:
        encoded = encode_path(text)
    except UnicodeEncodeError:
        assert any("\ud800" <= character <= "\udfff" for character in text)
        return
    assert encoded.isascii()
    assert encoded.isprintable()
    assert " " not in encoded
    assert "#" not in encoded
    assert encode_path(encoded) == encoded


texts = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.lists(st.tuples(texts.filter(bool), texts)))
def test_a_service_reads_the_query_that_the_author_wrote(query: list[tuple[str, str]]) -> None:
    assert parse_qsl(encode_query(query), keep_blank_values=True) == query
