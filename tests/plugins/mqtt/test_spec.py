from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qalipsis.plugins import mqtt
from qalipsis.plugins.mqtt.topics import checked_filter, checked_topic, shared

BROKER = mqtt.client("mqtt://h")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"url": "http://h"}, "should begin with mqtt:// or mqtts://"),
        ({"url": 7}, "is no address"),
        ({"url": "mqtt://"}, "names no host"),
        ({"url": "mqtt://h/x"}, "leave out the path /x"),
        ({"url": "mqtt://h:port"}, "is no address"),
        ({"url": "mqtt://u:a/b@h"}, "%2F"),
        ({"url": "mqtt://h?x=1"}, "behind ?"),
        ({"url": "mqtt://:p@h"}, None),
        ({"url": "mqtt://h", "version": 4}, "should be 5 or '3.1.1'"),
        ({"url": "mqtt://h", "keep_alive": "1 day"}, "keep_alive"),
        ({"url": "mqtt://h", "keep_alive": "19h"}, "from 1 s to 18 h"),
        ({"url": "mqtt://h", "timeout": 0}, "cannot be zero"),
        ({"url": "mqtt://h", "connections": "pool"}, "'shared', 'per-minion'"),
        ({"url": "mqtt://h", "client_id_prefix": ""}, "client_id_prefix"),
        ({"url": "mqtt://h", "verify": "/nowhere"}, "there is no '/nowhere'"),
        ({"url": "mqtt://h", "cert": ("/nowhere",)}, "has 1 items"),
    ],
)
def test_a_mistake_in_a_client_is_one_sentence(options: dict[str, Any], problem: str | None) -> None:
    problems = mqtt.client(**options).problems()
    if problem is None:
        return
    assert any(problem in found for found in problems), problems


def test_no_problem_shows_a_password() -> None:
    for url in (
        "mqtt://u:s3cret@h:x",
        "mqtt://u:s3/cret@h",
        "mqtt://u:s3#cret@h",
        "amqp://u:s3cret@h",
        "u:s3cret@h",
    ):
        client = mqtt.client(url)
        assert client.problems()
        assert "cret" not in f"{client.problems()} {client!r} {client.publish('t', 'x')!r}"


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        (BROKER.publish("a/+", "x"), "wildcard"),
        (BROKER.publish("", "x"), "empty"),
        (BROKER.publish("t", object()), "cannot be sent"),  # type: ignore[call-overload]
        (BROKER.publish("t", lambda: 1), "calls its function with"),  # type: ignore
        (BROKER.publish("t", "x", qos=3), "should be 0, 1 or 2"),  # type: ignore[call-overload]
        (BROKER.publish("t", "x", retain=1), "True or False"),  # type: ignore[call-overload]
        (BROKER.subscribe("a/#/b"), "# is the whole of the last level"),
        (BROKER.subscribe("a+"), "+ is the whole of a level"),
        (BROKER.subscribe("$share/g/a"), "leave $share out"),
        (BROKER.subscribe("a", decode="xml"), "should be 'json', str, bytes"),  # type: ignore[call-overload]
        (BROKER.subscribe("a", buffer=0), "buffer=0"),
    ],
)
def test_a_mistake_in_a_step_or_source_is_one_sentence(spec: Any, problem: str) -> None:
    assert [problem in found for found in spec.problems()] == [True]


def test_names_for_reports_come_from_topics() -> None:
    assert BROKER.publish("devices/7/Battery", "x").default_name() == "publish-devices-7-battery"
    assert BROKER.publish(str, "x").default_name() == "mqtt-publish"
    assert BROKER.subscribe("#").default_name() == "subscribe-all"


@given(st.text(max_size=20))
def test_every_topic_that_can_be_published_to_can_be_subscribed_to(topic: str) -> None:
    try:
        checked_topic(topic)
    except ValueError:
        return
    if not topic.startswith("$share"):
        assert checked_filter(topic) == topic


@given(st.text(min_size=1, max_size=20))
def test_a_group_is_one_level(group: str) -> None:
    assert len(shared(group, "a").split("/")) == 3
