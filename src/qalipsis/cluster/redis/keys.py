"""The keys of Redis behind a topic.

A topic is a stream of its name. Beside it, in the same slot of a cluster, stand what its reader has to say
to its publishers, and its dead letters.
"""

from __future__ import annotations

import re
from typing import Final

PREFIX: Final = "qalipsis:"

READER: Final = "reader"
"""Field of the receipts: how many readers there were, which tells a reader whether it is the last one."""
REMOVAL: Final = "removal"
"""Field of the receipts: differs each time the topic is removed."""

_TAG: Final = re.compile(r"\{[^}]+\}")


def stream(topic: str) -> str:
    """The messages of a topic."""
    return PREFIX + topic


def receipts(topic: str) -> str:
    """A hash: how far the reader has come with each publisher, by the publisher's id."""
    return _beside(stream(topic), "receipts")


def dead(topic: str) -> str:
    """A stream of the messages that were set aside."""
    return _beside(stream(topic), "dead")


def _beside(key: str, word: str) -> str:
    # Where a key has no braces, all of it decides the slot; so it stands in braces next to it.
    return f"{key}:{word}" if _TAG.search(key) else f"{{{key}}}:{word}"
