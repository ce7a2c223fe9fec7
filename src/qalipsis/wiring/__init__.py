"""Builds concrete objects from the settings; nothing else names a transport or a store."""

from qalipsis.wiring.broker import broker_of, open_transport
from qalipsis.wiring.campaigns import campaign_of, environment
from qalipsis.wiring.factory import Member, open_factory
from qalipsis.wiring.head import Head, open_head
from qalipsis.wiring.request import RunRequest
from qalipsis.wiring.run import Run, open_run
from qalipsis.wiring.standalone import Standalone, open_standalone

__all__ = [
    "Head",
    "Member",
    "Run",
    "RunRequest",
    "Standalone",
    "broker_of",
    "campaign_of",
    "environment",
    "open_factory",
    "open_head",
    "open_run",
    "open_standalone",
    "open_transport",
]
