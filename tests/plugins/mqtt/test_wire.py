from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qalipsis.plugins.mqtt import wire

PACKETS = st.lists(st.tuples(st.integers(16, 255), st.binary(max_size=300)), max_size=8)


@given(PACKETS, st.data())
def test_packets_come_out_as_they_went_in_however_they_arrive(
    packets: list[tuple[int, bytes]], data: st.DataObject
) -> None:
    stream = b"".join(wire._packet(first, body) for first, body in packets)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=10)))
    splitter = wire.Packets()
    found = []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        if start < end:
            found += splitter.feed(stream[start:end])
    assert found == packets


@given(
    st.text(min_size=1, max_size=50), st.binary(max_size=200), st.integers(0, 2), st.booleans(),
    st.integers(1, 65_535), st.sampled_from([4, 5]),
)  # fmt: skip
def test_a_message_is_read_as_it_was_written(
    topic: str, payload: bytes, qos: int, retain: bool, packet_id: int, version: int
) -> None:
    data = wire.publish(topic.encode(), payload, qos, retain, packet_id, version)
    [(first, body)] = wire.Packets().feed(data)
    message = wire.read_message(first, body, version)
    assert message == wire.Received(topic, payload, qos, retain, packet_id if qos else 0)


@given(st.integers(0, 255), st.binary(max_size=60), st.sampled_from([4, 5]))
def test_nonsense_is_malformed_and_nothing_worse(first: int, body: bytes, version: int) -> None:
    for read in (
        lambda: wire.read_message(first, body, version),
        lambda: wire.read_welcome(body, version),
        lambda: wire.read_acknowledgement(body),
        lambda: wire.read_subscribed(body, version),
        lambda: wire.read_farewell(body),
        lambda: wire.Packets().feed(bytes((first,)) + body),
    ):
        with suppress(wire.MalformedPacket):
            read()


def test_a_login_is_what_the_standard_says() -> None:
    assert wire.connect("c", "u", "p", 60, 4, True, 0) == bytes.fromhex(
        "1013 0004 4d515454 04 c2 003c 0001 63 0001 75 0001 70"
    )
    assert wire.connect("c", None, None, 0, 5, False, 60) == bytes.fromhex(
        "1013 0004 4d515454 05 00 0000 05 11 0000003c 0001 63"
    )


def test_a_message_is_what_the_standard_says() -> None:
    assert wire.publish(b"a/b", b"hi", 0, True, 0, 4) == bytes.fromhex("3107 0003 612f62 6869")
    assert wire.publish(b"a/b", b"hi", 1, False, 10, 5) == bytes.fromhex("320a 0003 612f62 000a 00 6869")


def test_a_subscription_is_what_the_standard_says() -> None:
    assert wire.subscribe(10, "a/b", 1, 4, True) == bytes.fromhex("8208 000a 0003 612f62 01")
    assert wire.subscribe(10, "a/b", 1, 5, False) == bytes.fromhex("8209 000a 00 0003 612f62 21")


def test_a_broker_says_what_it_can() -> None:
    body = bytes.fromhex("0100 15 210014 2401 2500 2700001000 13001e 2a00 1f0002 6f6b")
    assert wire.read_welcome(body, 5) == wire.Welcome(
        0, True, 20, 1, can_retain=False, most_bytes=4096, keep_alive=30, can_share=False, reason="ok"
    )


def test_a_message_may_have_properties() -> None:
    body = bytes.fromhex("0001 74 05 0101 230001 ff")
    assert wire.read_message(0x30, body, 5).payload == b"\xff"


def test_too_long_packets_are_not_made() -> None:
    class Long(bytes):
        def __len__(self) -> int:
            return wire.MOST_BYTES + 1

    with pytest.raises(ValueError, match="at most"):
        wire._packet(0x30, Long())
