from __future__ import annotations

from datetime import UTC, datetime
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qalipsis.plugins.http.cookies import MAX_COOKIES, CookieJar, parse_date
from qalipsis.plugins.http.url import parse_base

NOW = 1_700_000_000.0
SHOP = parse_base("http://shop.example")[0]
SECURE_SHOP = parse_base("https://shop.example")[0]
WWW = parse_base("http://www.shop.example")[0]
ADDRESS = parse_base("http://127.0.0.1:8080")[0]


def jar(*lines: bytes, path: str = "/", target: object = SHOP) -> CookieJar:
    filled = CookieJar()
    filled.store(lines, target, path, NOW)
    return filled


def test_a_cookie_comes_back() -> None:
    assert jar(b"session=abc; HttpOnly; SameSite=Lax").header(SHOP, "/basket?x=1", NOW) == b"session=abc"


def test_an_empty_jar_sends_nothing() -> None:
    assert CookieJar().header(SHOP, "/", NOW) is None
    assert len(CookieJar()) == 0


def test_a_cookie_stays_with_its_host() -> None:
    filled = jar(b"a=1")
    assert filled.header(WWW, "/", NOW) is None
    assert filled.header(parse_base("http://shop.example:8081")[0], "/", NOW) == b"a=1"
    assert filled.header(parse_base("http://notshop.example")[0], "/", NOW) is None


def test_a_domain_cookie_is_sent_to_hosts_below() -> None:
    for domain in (b"shop.example", b".SHOP.example"):
        filled = jar(b"a=1; Domain=" + domain, target=WWW)
        assert filled.header(WWW, "/", NOW) == b"a=1"
        assert filled.header(SHOP, "/", NOW) == b"a=1"
        assert filled.header(parse_base("http://eshop.example")[0], "/", NOW) is None


@pytest.mark.parametrize("domain", [b"other.example", b"www.shop.example", b"example", b"hop.example"])
def test_a_host_sets_no_cookies_for_others(domain: bytes) -> None:
    assert len(jar(b"a=1; Domain=" + domain)) == 0


def test_an_address_has_no_hosts_below() -> None:
    assert len(jar(b"a=1; Domain=0.0.1", target=ADDRESS)) == 0
    assert jar(b"a=1; Domain=127.0.0.1", target=ADDRESS).header(ADDRESS, "/", NOW) == b"a=1"


def test_a_cookie_is_sent_below_its_path_only() -> None:
    filled = jar(b"a=1; Path=/shop")
    assert filled.header(SHOP, "/shop", NOW) == b"a=1"
    assert filled.header(SHOP, "/shop/basket", NOW) == b"a=1"
    assert filled.header(SHOP, "/shop?x=/", NOW) == b"a=1"
    assert filled.header(SHOP, "/shopping", NOW) is None
    assert filled.header(SHOP, "/", NOW) is None
    assert jar(b"a=1; Path=/shop/").header(SHOP, "/shop/basket", NOW) == b"a=1"


def test_without_a_path_the_folder_of_the_request_counts() -> None:
    for line in (b"a=1", b"a=1; Path=relative", b"a=1; Path="):
        filled = jar(line, path="/shop/login?next=/x/y/z")
        assert filled.header(SHOP, "/shop/basket", NOW) == b"a=1"
        assert filled.header(SHOP, "/x/y", NOW) is None


def test_the_most_specific_path_comes_first_then_the_oldest() -> None:
    filled = jar(b"a=1; Path=/", b"b=2; Path=/shop", b"c=3; Path=/", b"d=4; Path=/shop")
    assert filled.header(SHOP, "/shop", NOW) == b"b=2; d=4; a=1; c=3"


def test_a_secure_cookie_needs_tls() -> None:
    filled = jar(b"a=1; Secure", target=SECURE_SHOP)
    assert filled.header(SECURE_SHOP, "/", NOW) == b"a=1"
    assert filled.header(SHOP, "/", NOW) is None
    assert len(jar(b"a=1; Secure")) == 0


def test_a_cookie_set_again_replaces_the_first_in_its_place() -> None:
    filled = jar(b"a=1", b"b=2", b"a=3")
    assert filled.header(SHOP, "/", NOW) == b"a=3; b=2"


def test_a_cookie_ends_with_its_age() -> None:
    filled = jar(b"a=1; Max-Age=10; Expires=Wed, 21 Oct 2015 07:28:00 GMT")
    assert filled.header(SHOP, "/", NOW + 9) == b"a=1"
    assert filled.header(SHOP, "/", NOW + 10) is None


@pytest.mark.parametrize("end", [b"Max-Age=0", b"Max-Age=-1", b"Expires=Thu, 01 Jan 1970 00:00:00 GMT"])
def test_a_service_takes_a_cookie_back(end: bytes) -> None:
    filled = jar(b"a=1", b"a=; " + end)
    assert len(filled) == 0


def test_an_unreadable_end_is_no_end() -> None:
    filled = jar(b"a=1; Max-Age=soon; Expires=someday")
    assert filled.header(SHOP, "/", NOW + 1e9) == b"a=1"


@pytest.mark.parametrize("line", [b"", b"=value", b"no-separator", b"a=\x01", b"a=" + b"x" * 5000])
def test_what_is_no_cookie_is_ignored(line: bytes) -> None:
    assert len(jar(line)) == 0


def test_the_oldest_cookies_make_place() -> None:
    lines = [b"c%d=1; Max-Age=%d" % (number, 5 if number < 10 else 100) for number in range(MAX_COOKIES)]
    filled = jar(*lines)
    filled.store([b"new=1"], SHOP, "/", NOW + 1)
    assert len(filled) == MAX_COOKIES
    header = filled.header(SHOP, "/", NOW + 1) or b""
    assert header.startswith(b"c1=1; ")
    assert header.endswith(b"; new=1")
    filled.store([b"newer=1"], SHOP, "/", NOW + 6)
    assert len(filled) == MAX_COOKIES - 8  # ten were gone at last


@pytest.mark.parametrize(
    "text",
    [
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994",
        "6 nov 1994 8:49:37",
    ],
)
def test_dates_are_read_in_every_form_services_use(text: str) -> None:
    assert parse_date(text) == datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    "text", ["", "tomorrow", "06 Nov 1994", "06 Nov 1994 25:00:00", "99 Nov 1994 08:49:37"]
)
def test_what_is_no_date_is_none(text: str) -> None:
    assert parse_date(text) is None


@given(st.integers(min_value=0, max_value=3_000_000_000))
def test_any_date_of_the_standard_form_is_read_exactly(moment: int) -> None:
    assert parse_date(formatdate(moment, usegmt=True)) == moment


@given(st.lists(st.binary(max_size=60), max_size=5), st.text(max_size=10))
def test_no_line_a_service_sends_is_an_exception(lines: list[bytes], path: str) -> None:
    filled = CookieJar()
    filled.store(lines, SHOP, "/" + path, NOW)
    header = filled.header(SHOP, "/" + path, NOW)
    assert header is None or (b"\r" not in header and b"\n" not in header)
