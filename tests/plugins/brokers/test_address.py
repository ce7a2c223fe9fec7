from __future__ import annotations

from contextlib import suppress
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qalipsis.plugins.brokers.address import Scheme, parse_address, shown

SCHEMES = {"amqp": Scheme(5672, is_tls=False), "amqps": Scheme(5671, is_tls=True)}
TEXT = st.text(min_size=1, max_size=12).filter(lambda text: text.isprintable())


@given(TEXT, TEXT, TEXT)
def test_what_is_quoted_is_read_as_it_was(user: str, password: str, path: str) -> None:
    url = f"amqp://{quote(user, safe='')}:{quote(password, safe='')}@h:7/{quote(path, safe='')}"
    address = parse_address(url, SCHEMES)
    assert (address.user, address.password, address.path) == (user, password, path)
    assert (address.host, address.port, address.is_tls) == ("h", 7, False)


@given(st.text(alphabet="abc:/?#@[]% 7", max_size=12))
def test_no_password_is_shown_whatever_is_wrong_with_it(password: str) -> None:
    secret = f"s3c{password}ret"
    url = f"amqp://u:{secret}@h"
    message = ""
    with suppress(ValueError):
        address = parse_address(url, SCHEMES)
        assert address.host == "h"
        message = f"{address} {address!r}"
    try:
        parse_address(url, SCHEMES)
    except ValueError as error:
        message = str(error)
    assert "s3c" not in message
    assert "s3c" not in shown(url)


@pytest.mark.parametrize(
    ("url", "where"),
    [("amqp://h", "h:5672"), ("amqps://h", "h:5671"), ("amqp://[::1]:7", "[::1]:7"), ("amqp://H", "h:5672")],
)
def test_an_address_is_shown_as_host_and_port(url: str, where: str) -> None:
    assert str(parse_address(url, SCHEMES)) == where
