from __future__ import annotations

import pytest
from redis.crc import key_slot

from qalipsis.cluster import topics
from qalipsis.cluster.redis import keys


@pytest.mark.parametrize(
    ("topic", "stream"),
    [
        (topics.HANDSHAKE, "qalipsis:handshake"),
        (topics.node("eu-1", 7), "qalipsis:node:eu-1:7"),
        (topics.feedback("c-1"), "qalipsis:{c-1}:feedback"),
        (topics.directives("c-1", "eu-1"), "qalipsis:{c-1}:dir:eu-1"),
    ],
)
def test_a_topic_is_a_stream_with_its_other_keys_in_the_same_slot(topic: str, stream: str) -> None:
    assert keys.stream(topic) == stream
    assert keys.receipts(topic) != keys.dead(topic)
    slots = {key_slot(key(topic).encode()) for key in (keys.stream, keys.receipts, keys.dead)}
    assert len(slots) == 1


def test_all_topics_of_a_campaign_live_together() -> None:
    names = topics.feedback("c-1"), topics.directives("c-1", "a"), topics.directives("c-1", "b")
    assert len({key_slot(keys.stream(name).encode()) for name in names}) == 1
