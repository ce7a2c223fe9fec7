from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qalipsis.plugins import rabbitmq as plugin
from qalipsis.plugins.rabbitmq.properties import checked_property

URL = "amqp://u:p@h"
BROKER: Any = plugin.client(URL)


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"url": "mqtt://u:p@h"}, "should begin with amqp:// or amqps://"),
        ({"url": "amqp://h"}, "needs a user and a password"),
        ({"url": "amqp://u@h"}, "needs a user and a password"),
        ({"url": URL, "timeout": "0s"}, "cannot be zero"),
        ({"url": URL, "connections": 0}, "connections=0"),
        ({"url": URL, "verify": 7}, "should be True, False or the path"),
        ({"url": URL, "cert": "/nowhere"}, "there is no '/nowhere'"),
    ],
)
def test_a_mistake_in_a_client_is_one_sentence(options: dict[str, Any], problem: str) -> None:
    [found] = plugin.client(**options).problems()
    assert problem in found


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        (BROKER.produce(routing_key="x" * 256, body="x"), "at most 255 bytes"),
        (BROKER.produce(7, body="x"), "exchange=7 should be a text"),
        (BROKER.produce(routing_key="q", body=object()), "cannot be sent"),
        (BROKER.produce(routing_key=lambda: "q", body="x"), "produce routing_key calls its function with"),
        (BROKER.produce(routing_key="q", body="x", headers=["a"]), "should be a mapping"),
        (
            BROKER.produce(routing_key="q", body="x", headers={"a": object()}),
            "cannot be of the type object",
        ),
        (BROKER.produce(routing_key="q", body="x", headers={"a": 2**70}), "more than 64 bits"),
        (BROKER.produce(routing_key="q", body="x", priority=256), "from 0 to 255"),
        (BROKER.produce(routing_key="q", body="x", expiration="soon"), "expiration"),
        (BROKER.produce(routing_key="q", body="x", message_id=7), "message_id=7 should be a text"),
        (BROKER.produce(routing_key="q", body="x", persistent=1), "True or False"),
        (BROKER.produce(routing_key="q", body="x", mandatory=True, confirm=False), "leave confirm=False out"),
        (BROKER.consume(""), "consume needs the name of its queue"),
        (BROKER.consume("q", prefetch=0), "prefetch=0"),
        (BROKER.consume("q", ack="yes"), "True or False"),
        (BROKER.consume("q", decode="xml"), "should be 'json', str, bytes"),
        (BROKER.subscribe(""), "subscribe needs the name of its exchange"),
        (BROKER.subscribe("e", 7), "routing_key=7"),
    ],
)
def test_a_mistake_in_a_step_or_source_is_one_sentence(spec: Any, problem: str) -> None:
    [found] = spec.problems()
    assert problem in found


def test_an_unknown_property_is_refused_where_it_is_written() -> None:
    with pytest.raises(TypeError, match="no property 'colour'"):
        BROKER.produce(routing_key="q", body="x", colour="red")


def test_names_for_reports_come_from_where_messages_go() -> None:
    assert BROKER.produce("orders", routing_key="k", body="x").default_name() == "produce-orders"
    assert BROKER.produce(routing_key="Q.1", body="x").default_name() == "produce-q-1"
    assert BROKER.produce(str, body="x").default_name() == "rabbitmq-produce"
    assert BROKER.consume("q").default_name() == "consume-q"
    assert BROKER.subscribe("e").default_name() == "subscribe-e"


def test_no_password_is_shown() -> None:
    client: Any = plugin.client("amqp://u:s3cret@h/v")
    for shown in (client, client.produce(body="x"), client.consume("q"), client.subscribe("e")):
        assert "s3cret" not in repr(shown)
    assert "s3cret" not in repr(client.settings())


FIELDS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(width=32, allow_nan=False)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=20), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(st.dictionaries(st.text(max_size=20), FIELDS, max_size=4))
def test_headers_that_pass_the_check_can_be_sent(headers: dict[str, Any]) -> None:
    from pamqp.encode import field_table

    try:
        checked = checked_property("headers", headers)
    except ValueError:
        return
    field_table(checked)
