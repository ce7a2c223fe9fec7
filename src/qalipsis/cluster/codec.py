"""Messages as bytes: a msgpack envelope with a strict schema, the same on every transport."""

from __future__ import annotations

from typing import Final
from uuid import uuid4

import msgspec
from msgspec import Struct

from qalipsis.cluster import messages
from qalipsis.cluster.messages import Message

MAX_BYTES: Final = 1 << 20
"""Brokers and their clients stay responsive below it; longer bodies travel in pieces."""

UNDERSTOOD: Final = frozenset({messages.PROTOCOL, messages.PROTOCOL - 1})


TIMELESS: Final = frozenset({"handshake", "handshake_refused"})
"""Understood whatever the version, so that who speaks another one is told so instead of left waiting."""


class Undecodable(ValueError):
    """These bytes are no message of ours; the reason says why."""


class Envelope(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every message carries beside its sentence, the `body`.

    `sequence` grows within a source and incarnation, so that a repeated delivery is known by it. `epoch` is
    the one of the head that speaks; `expires` are epoch seconds, 0 for never.
    """

    v: int
    kind: str
    id: str
    tenant: str
    campaign: str
    source: str
    incarnation: int
    sequence: int
    epoch: int
    expires: float
    body: msgspec.Raw


class Received(Struct, frozen=True, kw_only=True):
    """A decoded envelope with its message."""

    id: str
    tenant: str
    campaign: str
    source: str
    incarnation: int
    sequence: int
    epoch: int
    expires: float
    message: Message


_encoder = msgspec.msgpack.Encoder()
_envelopes = msgspec.msgpack.Decoder(Envelope)
_bodies = msgspec.msgpack.Decoder(Message)


def kind_of(message: Message) -> str:
    """The name a sentence has on the wire."""
    return str(message.__struct_config__.tag)


class Sender:
    """Wraps the messages of one source; each gets the next sequence."""

    def __init__(self, source: str, incarnation: int, tenant: str = "", epoch: int = 0) -> None:
        self.source = source
        self.incarnation = incarnation
        self.tenant = tenant
        self.epoch = epoch
        self.sequence = 0

    def encode(self, message: Message, campaign: str = "", expires: float = 0.0) -> tuple[str, bytes]:
        """The new message's id and its bytes; ValueError beyond `MAX_BYTES`."""
        self.sequence += 1
        id = uuid4().hex
        data = _encoder.encode(
            Envelope(
                v=messages.PROTOCOL,
                kind=kind_of(message),
                id=id,
                tenant=self.tenant,
                campaign=campaign,
                source=self.source,
                incarnation=self.incarnation,
                sequence=self.sequence,
                epoch=self.epoch,
                expires=expires,
                body=msgspec.Raw(_encoder.encode(message)),
            )
        )
        if len(data) > MAX_BYTES:
            raise ValueError(
                f"a {kind_of(message)} message of {len(data)} bytes is longer than the {MAX_BYTES} allowed: "
                "send it in pieces"
            )
        return id, data


def decode(data: bytes) -> Received:
    """The message in these bytes; raises Undecodable."""
    if len(data) > MAX_BYTES:
        raise Undecodable(f"{len(data)} bytes are more than the {MAX_BYTES} of a message")
    try:
        envelope = _envelopes.decode(data)
    except msgspec.MsgspecError as error:
        raise Undecodable(f"not an envelope: {error}") from error
    if envelope.v not in UNDERSTOOD and envelope.kind not in TIMELESS:
        raise Undecodable(f"protocol version {envelope.v} of {envelope.source} is not understood")
    try:
        message = _bodies.decode(envelope.body)
    except msgspec.MsgspecError as error:
        raise Undecodable(f"not a {envelope.kind} message: {error}") from error
    if kind_of(message) != envelope.kind:
        raise Undecodable(f"the envelope says {envelope.kind}, the body {kind_of(message)}")
    return Received(
        id=envelope.id,
        tenant=envelope.tenant,
        campaign=envelope.campaign,
        source=envelope.source,
        incarnation=envelope.incarnation,
        sequence=envelope.sequence,
        epoch=envelope.epoch,
        expires=envelope.expires,
        message=message,
    )
