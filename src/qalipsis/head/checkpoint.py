"""All that another head needs to go on with a campaign."""

from __future__ import annotations

import zlib
from typing import Any, Final

import msgspec
from msgspec import Struct

from qalipsis.head.campaign import Campaign
from qalipsis.head.campaign_request import CampaignRequest
from qalipsis.head.fleet import Fleet
from qalipsis.head.progress import ProgressState
from qalipsis.head.restarts import Restarts
from qalipsis.reports.live import Live


class Checkpoint(Struct, frozen=True, kw_only=True):
    """Moments are epoch seconds: monotonic clocks of two machines have nothing in common."""

    request: CampaignRequest
    campaign: Campaign
    fleet: Fleet
    awaited: frozenset[str]
    """Ids of the directives whose answers are waited for."""
    void: frozenset[str]
    """Ids of those that were interrupted: that they could not be done means nothing."""
    restarts: Restarts
    progress: ProgressState
    live: Live


LEVEL: Final = 1
"""The database writes each checkpoint anew, once a second. With 40 workers of 20 steps this makes it 90 kB
instead of 180, for 2 or 3 ms of CPU; the more workers there are, the more it gains."""


class _Glance(Struct, frozen=True):
    live: Live


_encoder = msgspec.msgpack.Encoder()
_checkpoints: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(Checkpoint)
_glances = msgspec.msgpack.Decoder(_Glance)


def freeze(checkpoint: Checkpoint) -> bytes:
    return zlib.compress(_encoder.encode(checkpoint), LEVEL)


def thaw(data: bytes) -> Checkpoint:
    """The checkpoint in these bytes; msgspec.MsgspecError when another version wrote them."""
    found: Checkpoint = _checkpoints.decode(_inflated(data))
    return found


def live_of(data: bytes) -> Live:
    """How the campaign looked, without reading the rest."""
    return _glances.decode(_inflated(data)).live


def _inflated(data: bytes) -> bytes:
    try:
        return zlib.decompress(data)
    except zlib.error as error:
        raise msgspec.DecodeError(f"this is no checkpoint: {error}") from error
