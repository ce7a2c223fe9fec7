"""MQTT 3.1.1 and 5 as bytes: what a client sends, and what it makes of what it receives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

CONNACK: Final = 2
PUBLISH: Final = 3
PUBACK: Final = 4
PUBREC: Final = 5
PUBREL: Final = 6
PUBCOMP: Final = 7
SUBACK: Final = 9
PINGRESP: Final = 13
DISCONNECT: Final = 14

PING: Final = b"\xc0\x00"
FAILURE: Final = 0x80
"""The least reason code that is a failure."""
LONGEST: Final = 65_535
"""Bytes of a text."""
MOST_BYTES: Final = 268_435_455
"""Of a packet behind its length."""


class MalformedPacket(Exception):
    """The peer does not speak MQTT, or not the version that was agreed on."""


@dataclass(frozen=True, slots=True)
class Welcome:
    """What a broker says to a client: its answer, and what it can do."""

    code: int
    has_session: bool = False
    """The broker still knows what this client has subscribed to."""
    most_unacknowledged: int = LONGEST
    most_qos: int = 2
    can_retain: bool = True
    most_bytes: int = MOST_BYTES
    keep_alive: int | None = None
    can_share: bool = True
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Received:
    """A message as it came."""

    topic: str
    payload: bytes
    qos: int
    is_retained: bool
    packet_id: int
    """0 without QoS."""


class Packets:
    """Splits what arrives into packets."""

    __slots__ = ("_needed", "_rest")

    def __init__(self) -> None:
        self._rest = bytearray()
        self._needed = 0
        """Bytes of the packet that is not complete: a long one is not looked at for each of its parts."""

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """(First byte, body) of every packet that is complete. Raises MalformedPacket."""
        if self._rest:
            self._rest += data
            if len(self._rest) < self._needed:
                return []
            data = bytes(self._rest)
        self._needed = 0
        packets: list[tuple[int, bytes]] = []
        at, end = 0, len(data)
        while end - at >= 2:
            length = data[at + 1]
            start = at + 2
            if length > 0x7F:
                known = _length(data, at + 1)
                if known is None:
                    break
                length, start = known
            if end - start < length:
                self._needed = start + length - at
                break
            first, at = data[at], start + length
            packets.append((first, data[start:at]))
        self._rest = bytearray(data[at:])
        return packets


def connect(
    client_id: str,
    user: str | None,
    password: str | None,
    keep_alive: int,
    version: int,
    is_clean: bool,
    session_seconds: int,
) -> bytes:
    """Ask to be let in; the broker keeps the session of a lost client for `session_seconds` (MQTT 5)."""
    flags = 0x02 if is_clean else 0
    payload = _text(client_id)
    if user is not None:
        flags |= 0x80
        payload += _text(user)
    if password is not None:
        flags |= 0x40
        payload += _text(password)
    body = b"\x00\x04MQTT" + bytes((version, flags)) + _short(keep_alive)
    if version == 5:
        body += b"\x05\x11" + session_seconds.to_bytes(4, "big") if session_seconds else b"\x00"
    return _packet(0x10, body + payload)


def publish(topic: bytes, payload: bytes, qos: int, retain: bool, packet_id: int, version: int) -> bytes:
    body = _short(len(topic)) + topic
    if qos:
        body += _short(packet_id)
    if version == 5:
        body += b"\x00"
    return _packet(0x30 | qos << 1 | retain, body + payload)


def subscribe(packet_id: int, topic_filter: str, qos: int, version: int, sends_retained: bool) -> bytes:
    options = qos if sends_retained or version != 5 else qos | 0x20
    properties = b"\x00" if version == 5 else b""
    return _packet(0x82, _short(packet_id) + properties + _text(topic_filter) + bytes((options,)))


def acknowledge(kind: int, packet_id: int) -> bytes:
    """PUBACK, PUBREC, PUBREL or PUBCOMP without complaint."""
    flags = 0x02 if kind == PUBREL else 0
    return bytes((kind << 4 | flags, 2)) + _short(packet_id)


def disconnect(version: int, forget: bool = False) -> bytes:
    """Leave; `forget` asks the broker to drop the session at once (MQTT 5)."""
    if version == 5 and forget:
        return b"\xe0\x07\x00\x05\x11\x00\x00\x00\x00"
    return b"\xe0\x00"


def read_welcome(body: bytes, version: int) -> Welcome:
    if len(body) < 2:
        raise MalformedPacket("a CONNACK of less than two bytes")
    has_session, code = bool(body[0] & 1), body[1]
    if version != 5 or len(body) == 2:  # a broker that knows no MQTT 5 answers in its own version
        return Welcome(code, has_session)
    found, _ = _properties(body, 2)
    return Welcome(
        code,
        has_session,
        most_unacknowledged=int(found.get(0x21, LONGEST)),
        most_qos=int(found.get(0x24, 2)),
        can_retain=bool(found.get(0x25, 1)),
        most_bytes=int(found.get(0x27, MOST_BYTES)),
        keep_alive=int(found[0x13]) if 0x13 in found else None,
        can_share=bool(found.get(0x2A, 1)),
        reason=str(found.get(0x1F, "")),
    )


def read_message(first: int, body: bytes, version: int) -> Received:
    qos = first >> 1 & 3
    if qos == 3:
        raise MalformedPacket("a message of QoS 3")
    at = 2 + _number(body, 0, 2)
    if at > len(body):
        raise MalformedPacket("a topic that does not end")
    topic = _decoded(body[2:at])
    packet_id = 0
    if qos:
        packet_id = _number(body, at, 2)
        at += 2
    if version == 5:
        length, at = _varint(body, at)
        at += length
        if at > len(body):
            raise MalformedPacket("properties that do not end")
    return Received(topic, body[at:], qos, bool(first & 1), packet_id)


def read_acknowledgement(body: bytes) -> tuple[int, int]:
    """(Packet identifier, reason code)."""
    return _number(body, 0, 2), body[2] if len(body) > 2 else 0


def read_subscribed(body: bytes, version: int) -> tuple[int, int]:
    """(Packet identifier, reason code of the one subscription that was asked for)."""
    packet_id = _number(body, 0, 2)
    at = 2
    if version == 5:
        length, at = _varint(body, at)
        at += length
    return packet_id, _number(body, at, 1)


def read_farewell(body: bytes) -> int:
    """The reason code of a broker's DISCONNECT."""
    return body[0] if body else 0


REASONS: Final = {
    0x80: "unspecified error",
    0x81: "malformed packet",
    0x82: "protocol error",
    0x83: "implementation specific error",
    0x84: "protocol version not supported",
    0x85: "client identifier not valid",
    0x86: "bad user name or password",
    0x87: "not authorized",
    0x88: "server unavailable",
    0x89: "server busy",
    0x8A: "banned",
    0x8B: "server shutting down",
    0x8C: "bad authentication method",
    0x8D: "keep alive timeout",
    0x8E: "session taken over",
    0x8F: "topic filter invalid",
    0x90: "topic name invalid",
    0x91: "packet identifier in use",
    0x93: "receive maximum exceeded",
    0x95: "packet too large",
    0x96: "message rate too high",
    0x97: "quota exceeded",
    0x98: "administrative action",
    0x99: "payload format invalid",
    0x9A: "retain not supported",
    0x9B: "QoS not supported",
    0x9C: "use another server",
    0x9D: "server moved",
    0x9E: "shared subscriptions not supported",
    0x9F: "connection rate exceeded",
    0xA1: "subscription identifiers not supported",
    0xA2: "wildcard subscriptions not supported",
}
"""What MQTT 5 says by its codes."""
OLD_ANSWERS: Final = {1: 0x84, 2: 0x85, 3: 0x88, 4: 0x86, 5: 0x87}
"""The answers to a CONNECT of MQTT 3.1.1, as codes of MQTT 5."""

_BYTE, _TWO, _FOUR, _VARINT, _TEXT, _PAIR = range(6)
_TYPES: Final = {
    **dict.fromkeys((0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2A), _BYTE),
    **dict.fromkeys((0x13, 0x21, 0x22, 0x23), _TWO),
    **dict.fromkeys((0x02, 0x11, 0x18, 0x27), _FOUR),
    **dict.fromkeys((0x0B,), _VARINT),
    **dict.fromkeys((0x03, 0x08, 0x09, 0x12, 0x15, 0x16, 0x1A, 0x1C, 0x1F), _TEXT),
    0x26: _PAIR,
}
_WIDTHS: Final = {_BYTE: 1, _TWO: 2, _FOUR: 4}


def _properties(body: bytes, at: int) -> tuple[dict[int, int | str], int]:
    """By identifier, and where they end. Binary ones and pairs are skipped."""
    length, at = _varint(body, at)
    end = at + length
    if end > len(body):
        raise MalformedPacket("properties that do not end")
    found: dict[int, int | str] = {}
    while at < end:
        name = body[at]
        at += 1
        kind = _TYPES.get(name)
        if kind is None:
            raise MalformedPacket(f"the unknown property {name}")
        if kind in _WIDTHS:
            found[name] = _number(body, at, _WIDTHS[kind])
            at += _WIDTHS[kind]
        elif kind == _VARINT:
            found[name], at = _varint(body, at)
        else:
            for _ in range(2 if kind == _PAIR else 1):
                size = _number(body, at, 2)
                found[name] = body[at + 2 : at + 2 + size].decode("utf-8", "replace")
                at += 2 + size
    return found, at


def _packet(first: int, body: bytes) -> bytes:
    length = len(body)
    if length > MOST_BYTES:
        raise ValueError(f"MQTT carries at most {MOST_BYTES} bytes in a packet, and this one has {length}")
    head = bytearray((first,))
    while length > 0x7F:
        head.append(length & 0x7F | 0x80)
        length >>= 7
    head.append(length)
    return bytes(head) + body


def _short(number: int) -> bytes:
    return number.to_bytes(2, "big")


def _text(text: str) -> bytes:
    data = text.encode()
    return _short(len(data)) + data


def _number(body: bytes, at: int, width: int) -> int:
    if len(body) < at + width:
        raise MalformedPacket("a packet that is too short")
    return int.from_bytes(body[at : at + width], "big")


def _varint(body: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place in range(4):
        byte = _number(body, at + place, 1)
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value, at + place + 1
    raise MalformedPacket("a number of more than four bytes")


def _length(data: bytes, at: int) -> tuple[int, int] | None:
    """Of a packet, and where its body begins; None while bytes of it are missing."""
    if len(data) < at + 4 and data[-1] > 0x7F:
        return None
    return _varint(data, at)


def _decoded(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise MalformedPacket("a topic that is no UTF-8") from error
