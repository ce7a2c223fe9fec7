from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from redis.crc import key_slot

from qalipsis.plugins.redis.service import key_of
from qalipsis.plugins.redis.settings import Address
from qalipsis.plugins.redis.topology import SLOTS, Topology, parsed

A, B, C = (Address(host, 6379) for host in "abc")


@given(st.binary(), st.lists(st.integers(1, SLOTS - 1), min_size=1, max_size=20, unique=True))
def test_every_key_has_the_master_of_its_slot(key: bytes, bounds: list[int]) -> None:
    edges = [0, *sorted(bounds), SLOTS]
    ranges = [(first, last - 1, Address(f"node-{first}", 1)) for first, last in pairwise(edges)]
    slot = key_slot(key)
    [expected] = [address for first, last, address in ranges if first <= slot <= last]
    assert Topology(ranges[::-1]).address(key) == expected


def test_a_slot_that_nobody_serves_has_no_master() -> None:
    slot = key_slot(b"key")
    assert Topology().address(b"key") is None
    assert Topology([(slot + 1, slot + 5, A)]).address(b"key") is None
    assert Topology([(0, slot - 1, A)]).address(b"key") is None


def test_a_slot_that_moved_is_found_where_it_went() -> None:
    topology = Topology([(0, SLOTS - 1, A)])
    topology.moved(key_slot(b"key"), B)
    assert topology.address(b"key") == B
    assert topology.address(b"other") == A


def test_masters_are_listed_once_and_replicas_never() -> None:
    answer = [
        [0, 99, [b"b", 6379, b"id-b"], [b"c", 6379, b"id-c"]],
        [100, 199, ["a", 6379, "id-a", []]],
        [200, 299, [b"b", 6379, b"id-b"]],
    ]
    assert parsed(answer, C).masters == [A, B]


def test_a_server_without_name_is_the_one_that_was_asked() -> None:
    for nameless in (None, b""):
        assert parsed([[0, 1, [nameless, 7000, b"id"]]], C).masters == [Address("c", 7000)]


def test_the_key_of_a_command_is_found() -> None:
    assert key_of((b"SET", b"k", b"v")) == b"k"
    assert key_of((b"XREAD", b"COUNT", b"1", b"STREAMS", b"k", b"0")) == b"k"
    assert key_of((b"XREADGROUP", b"GROUP", b"STREAMS", b"c", b"STREAMS", b"k", b">")) == b"k"
    assert key_of((b"XGROUP", b"CREATE", b"k", b"g", b"$")) == b"k"
    assert key_of((b"PING",)) == b""
