from __future__ import annotations

from dataclasses import replace

import pytest

from qalipsis.cluster.redis.address import DEFAULT_TIMEOUT_SECONDS, Address, Node, Pool, from_settings
from qalipsis.config.secret import Secret
from qalipsis.config.settings import Redis, RedisPool
from qalipsis.errors import ConfigurationError


def read(*uris: str, **settings: object) -> Address:
    if len(uris) == 1:
        return from_settings(replace(Redis(uri=Secret(uris[0])), **settings))  # type: ignore[arg-type]
    return from_settings(replace(Redis(uris=tuple(map(Secret, uris))), **settings))  # type: ignore[arg-type]


def test_a_plain_address() -> None:
    assert read("redis://redis") == Address(nodes=(Node("redis", 6379),))
    assert read("redis://redis:7000").timeout_seconds == DEFAULT_TIMEOUT_SECONDS
    assert str(read("redis://[::1]:7000")) == "[::1]:7000"


def test_everything_in_the_uri_goes_before_the_settings() -> None:
    settings = {
        "username": "u",
        "password": Secret("p"),
        "client_name": "n",
        "timeout": 9.0,
    }
    uri = "rediss://me:s%40cret%3F@redis:1/?verifyPeer=ca&clientName=head-1&timeout=250ms&database=3"
    assert read(uri, **settings) == Address(
        nodes=(Node("redis", 1),),
        username="me",
        password=Secret("s@cret?"),
        database=3,
        client_name="head-1",
        timeout_seconds=0.25,
        verify="ca",
    )
    assert read("redis://redis", **settings) == Address(
        nodes=(Node("redis", 6379),),
        username="u",
        password=Secret("p"),
        client_name="n",
        timeout_seconds=9.0,
    )


@pytest.mark.parametrize(
    ("uri", "settings", "username", "password"),
    [
        ("redis://h", {}, None, None),
        ("redis://:pw@h", {}, None, "pw"),
        ("redis://pw@h", {}, None, "pw"),
        ("redis://me@h", {"password": Secret("pw")}, "me", "pw"),
        ("redis://:pw@h", {"username": "me"}, "me", "pw"),
        ("redis://me:pw@h", {"username": "x", "password": Secret("y")}, "me", "pw"),
    ],
)
def test_who_logs_in(
    uri: str, settings: dict[str, object], username: str | None, password: str | None
) -> None:
    address = read(uri, **settings)
    assert address.username == username
    assert address.password == (Secret(password) if password is not None else None)


@pytest.mark.parametrize(
    ("uri", "verify"),
    [
        ("redis://h?verifyPeer=full", None),
        ("rediss://h", "full"),
        ("rediss://h?verifyPeer=full", "full"),
        ("rediss://h?verifyPeer=CA", "ca"),
        ("rediss://h?verifyPeer=none", "none"),
        ("rediss://h?verifyPeer=true", "full"),
        ("rediss://h?verifyPeer=false", "none"),
    ],
)
def test_what_is_checked_of_a_certificate(uri: str, verify: str | None) -> None:
    assert read(uri).verify == verify


def test_the_database_may_be_the_path() -> None:
    assert read("redis://h/2").database == 2
    assert read("redis://h/2?database=3").database == 3
    with pytest.raises(ConfigurationError, match="the number of its database"):
        read("redis://h/two")


def test_several_addresses_are_one_cluster_each_node_once() -> None:
    address = read("redis://a", "redis://b:1", "redis://a:6379")
    assert address.is_cluster
    assert str(address) == "a:6379, b:1"


@pytest.mark.parametrize(
    ("second", "named"),
    [
        ("rediss://b", "scheme or verifyPeer"),
        ("redis://u:p@b", "user"),
        ("redis://:q@b", "password"),
        ("redis://:p@b?database=1", "database"),
        ("redis://:p@b?clientName=x", "clientName"),
        ("redis://:p@b?timeout=1s", "timeout"),
    ],
)
def test_the_nodes_of_a_cluster_are_spoken_to_alike(second: str, named: str) -> None:
    with pytest.raises(ConfigurationError, match=f"differ in their {named}:") as caught:
        read("redis://:p@a", second)
    assert ":p@" not in str(caught.value)


def test_what_cannot_be_an_address_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"redis.uri is not set"):
        from_settings(Redis())
    with pytest.raises(ConfigurationError, match="are both set"):
        from_settings(Redis(uri=Secret("redis://a"), uris=(Secret("redis://b"),)))
    with pytest.raises(ConfigurationError, match="database 0 only"):
        read("redis://a/1", "redis://b/1")
    with pytest.raises(ConfigurationError, match="client name"):
        read("redis://a", client_name="the head")


def test_a_pool_that_is_not_enabled_is_one_connection() -> None:
    pool = RedisPool(min_idle=2, max_idle=5, max_total=20)
    assert read("redis://a", pool=pool).pool == Pool(min_idle=0, max_idle=1, max_total=1)
    assert read("redis://a", pool=replace(pool, enabled=True)).pool == Pool(
        min_idle=2, max_idle=5, max_total=20
    )


def test_an_address_does_not_show_its_password() -> None:
    assert "hunter2" not in repr(read("redis://me:hunter2@h"))
