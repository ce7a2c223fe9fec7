from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qalipsis.language.addresses import parse_address, shown_address

HOSTS = st.one_of(
    st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,20}[a-z0-9])?", fullmatch=True), st.ip_addresses().map(str)
)


@given(HOSTS, st.integers(1, 65_535))
def test_what_is_shown_is_read_again(host: str, port: int) -> None:
    assert parse_address(shown_address(host, port)) == (host, port)
    assert parse_address(host, port) == parse_address(host, str(port)) == (host, port)


@pytest.mark.parametrize(
    ("address", "port", "complaint"),
    [
        ("echo", None, "'echo' has no port"),
        ("::1", None, "'::1' has no port"),
        ("echo:", None, "has no port"),
        ("echo:x", None, "the port 'x' should be a number"),
        ("echo:70000", None, "between 1 and 65535"),
        ("echo", True, "the port True should be a number"),
        ("echo", 0, "the port 0 should be a number"),
        ("echo:7", 7, "give one of them"),
        ("[::1:7", None, "is no address|has no port"),
        ("[::1]7", None, "is no address|has no port"),
        ("user@echo:7", None, "'user@echo:7' is no address"),
        ("http://echo:7", None, "should have no scheme"),
        (None, None, "None is no address"),
    ],
)
def test_what_is_no_address_is_explained(address: Any, port: Any, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        parse_address(address, port)
