from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qalipsis.plugins import redis
from qalipsis.plugins.redis.settings import Address, parse_url, shown


def client(*args: Any, **options: Any) -> Any:
    return redis.client(*args, **options)


def test_an_address_alone_is_enough() -> None:
    settings = client("redis://localhost").settings()
    assert settings.addresses == (Address("localhost", 6379),)
    assert (settings.username, settings.password, settings.database) == (None, None, 0)
    assert (settings.timeout, settings.pool_size) == (10.0, 10)
    assert settings.tls is None
    assert not settings.is_cluster


def test_everything_can_be_said_in_the_address() -> None:
    url = "rediss://ann:pa%2Fss@[::1]:7000/4?verifyPeer=none&clientName=teller&timeout=PT3S"
    settings = client(url).settings()
    assert settings.addresses == (Address("::1", 7000),)
    assert str(settings.addresses[0]) == "[::1]:7000"
    assert (settings.username, settings.password, settings.database) == ("ann", "pa/ss", 4)
    assert (settings.client_name, settings.timeout) == ("teller", 3.0)
    assert settings.tls is not None
    assert settings.tls.verify == "none"


def test_an_option_wins_over_the_address() -> None:
    settings = client("redis://h?timeout=10s&clientName=a", timeout="2s", client_name="b").settings()
    assert (settings.timeout, settings.client_name) == (2.0, "b")


def test_several_addresses_are_a_cluster() -> None:
    urls = [f"rediss://ann:pw@10.0.0.{number}:6379?verifyPeer=none" for number in (1, 2, 2, 3)]
    settings = client(urls).settings()
    assert settings.is_cluster
    assert [address.host for address in settings.addresses] == ["10.0.0.1", "10.0.0.2", "10.0.0.3"]
    assert client("redis://h", cluster=True).settings().is_cluster


@given(st.text(min_size=1), st.text(min_size=1), st.integers(1, 65535))
def test_any_user_and_password_survive_the_address(user: str, password: str, port: int) -> None:
    url = parse_url(f"redis://{quote(user, safe='')}:{quote(password, safe='')}@h:{port}/0")
    assert (url.username, url.password, url.address) == (user, password, Address("h", port))


@given(st.text(st.characters(exclude_characters="%?", exclude_categories=("Cs",)), min_size=1))
def test_a_password_may_contain_nearly_everything_as_it_is(password: str) -> None:
    url = parse_url(f"redis://ann:{password}@h")
    assert (url.password, url.address) == (password, Address("h", 6379))


@given(
    st.sampled_from(["redis://", "rediss://", "http://", "", "redis:/"]),
    st.sampled_from(["h", "h:x", ":", "h:99999", "[::1", "", "h/x", "h?color=red", "h?timeout=x"]),
)
def test_no_mistake_shows_the_password(scheme: str, place: str) -> None:
    made = client(f"{scheme}ann:hunter2@{place}")
    assert "hunter2" not in " ".join(made.problems()) + repr(made)
    assert "hunter2" not in shown(f"{scheme}ann:hunter2@{place}")


@pytest.mark.parametrize(
    ("url", "options", "part"),
    [
        (7, {}, "an address is a text"),
        ([], {}, "needs an address"),
        ("localhost:6379", {}, "begin with redis:// or"),
        ("redis-sentinel://h", {}, "begin with redis:// or"),
        ("redis://", {}, "names no host"),
        ("redis://h:0", {}, "no port between 1 and 65535"),
        ("redis://h:x", {}, "no port between 1 and 65535"),
        ("redis://[::1", {}, "lacks the ]"),
        ("redis://h/x", {}, "whole number such as 0"),
        ("redis://h/1?database=2", {}, "several databases"),
        ("redis://h?color=red", {}, "known: verifyPeer, clientName, timeout, database"),
        ("redis://h?timeout=soon", {}, "not a duration"),
        ("redis://h", {"timeout": 0}, "above 0"),
        ("redis://h", {"pool_size": 0}, "whole number of at least 1"),
        ("redis://h", {"pool_size": True}, "whole number of at least 1"),
        ("redis://h", {"client_name": "a b"}, "without spaces"),
        ("redis://h", {"decode": "utf-8"}, "True or False"),
        ("redis://h", {"cluster": "yes"}, "True, False, or left out"),
        ("redis://h", {"username": "ann"}, "no password"),
        ("redis://h", {"password": 1}, "should be a text"),
        ("redis://:a@h", {"password": "b"}, "leave one out"),
        ("redis://h/3", {"cluster": True}, "only database 0"),
        (["redis://a", "redis://b"], {"cluster": False}, "several addresses"),
        (["redis://a", "rediss://b"], {}, "write all alike"),
        (["redis://u:1@a", "redis://u:2@b"], {}, "write all alike"),
        ("redis://h", {"verify": False}, "write rediss://"),
        ("rediss://h?verifyPeer=maybe", {}, "full, ca and none"),
        ("rediss://h?verifyPeer=none", {"verify": True}, "contradicts"),
        ("rediss://h", {"verify": "/nowhere/ca.pem"}, "no file"),
        ("rediss://h", {"verify": 3}, "path of a CA file"),
        ("rediss://h", {"cert": "/nowhere/cert.pem"}, "no file"),
    ],
)
def test_a_mistake_is_one_sentence(url: Any, options: dict[str, Any], part: str) -> None:
    [problem] = client(url, **options).problems()
    assert part in problem


def test_files_of_certificates_are_found(tmp_path: Path) -> None:
    cert, key, authorities = (tmp_path / name for name in ("cert.pem", "key.pem", "ca.pem"))
    for file in (cert, key, authorities):
        file.touch()
    tls = client("rediss://h", verify=authorities, cert=(cert, key)).settings().tls
    assert (tls.authorities, tls.cert) == (str(authorities), (str(cert), str(key)))
    assert client("rediss://h", cert=cert).settings().tls.cert == (str(cert), None)
