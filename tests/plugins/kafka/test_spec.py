"""Descriptions: every mistake is a sentence, and types flow from keys and values."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from qalipsis import prop, scenario
from qalipsis.plan.compiler import compile_chain
from qalipsis.plan.properties import Properties
from qalipsis.plugins import kafka


def test_descriptions_load_without_the_driver() -> None:
    code = "import sys; from qalipsis.plugins import kafka; assert 'aiokafka' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"bootstrap": "kafka://h:9092"}, "without a scheme"),
        ({"bootstrap": "h:0"}, "is no address"),
        ({"bootstrap": []}, "the list of addresses is empty"),
        ({"bootstrap": 9092}, "is no address"),
        ({"tls": "/no/such.pem"}, "there is no file '/no/such.pem'"),
        ({"tls": 3}, "should be True, the path of a CA file or kafka.tls(...)"),
        ({"tls": kafka.tls(key=__file__)}, "a key without its certificate"),
        ({"sasl": ("user", "secret")}, "should be kafka.plain(user, password)"),
        ({"sasl": kafka.plain("", "secret")}, "the user should be a text that is not empty"),
        ({"sasl": kafka.scram("u", "secret", "MD5")}, 'SCRAM is used with "SHA-256" or "SHA-512"'),  # type: ignore[arg-type]
        ({"client_id": ""}, "client_id='' should be a text"),
    ],
)
def test_mistakes_of_a_cluster(options: dict[str, Any], said: str) -> None:
    for spec in (kafka.cluster(**options).consume("t"), kafka.produce("t", value="x", **options)):
        [problem] = spec.problems()
        assert said in problem
        assert "secret" not in problem + repr(spec)


@pytest.mark.parametrize(
    ("topics", "options", "said"),
    [
        (None, {}, "needs topics"),
        ("t", {"pattern": "t.*"}, "one of them"),
        ([], {}, "should be a name or a list of names"),
        ("a b", {}, "is no name of a topic"),
        (["t", "x" * 250], {}, "is no name of a topic"),
        (None, {"pattern": "("}, "is no regular expression"),
        ("t", {"group": ""}, "group='' should be a text"),
        ("t", {"offset": "newest"}, 'should be "latest" or "earliest"'),
        ("t", {"key": "text"}, 'should be bytes, str, "json" or a function'),
        ("t", {"bad_records": "log"}, 'should be "skip" or "fail"'),
        ("t", {"timeout": "soon"}, "is not a duration"),
        ("t", {"timeout": 0}, "timeout cannot be zero"),
        ("t", {"options": {"group_id": "g"}}, "'group_id' cannot be set there"),
        ("t", {"options": ["a"]}, "should be a mapping"),
    ],
)
def test_mistakes_of_a_consumer(topics: Any, options: dict[str, Any], said: str) -> None:
    [problem] = kafka.consume(topics, **options).problems()
    assert said in problem


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"topic": "a/b"}, "is no name of a topic"),
        ({"topic": lambda a, b, c: "t"}, "calls its function with (value) or (context, value)"),
        ({"value": None}, "neither key nor value"),
        ({"value": object()}, "value: "),
        ({"key": lambda: 1}, "key calls its function"),
        ({"headers": {3: "x"}}, "the name of a header is a text"),
        ({"headers": "x"}, "a header is a pair"),
        ({"partition": -1}, "should be a whole number of at least 0"),
        ({"timestamp": "now"}, "should be a moment in epoch seconds"),
        ({"acks": 2}, 'should be "all", 1 or 0'),
        ({"acks": True}, 'should be "all", 1 or 0'),
        ({"linger": "-1s"}, "linger cannot be negative"),
        ({"compression": "zip"}, 'should be "gzip", "snappy", "lz4" or "zstd"'),
        ({"value_serialiser": 3}, 'should be "json" or a function that returns bytes'),
        ({"value_serialiser": lambda value: value}, "the serialiser returned str, not bytes"),
        ({"timeout": 0}, "timeout cannot be zero"),
        ({"options": {"acks": 1}}, "'acks' cannot be set there"),
    ],
)
def test_mistakes_of_a_producer(parts: dict[str, Any], said: str) -> None:
    described: dict[str, Any] = {"topic": "t", "value": "x"} | parts
    [problem] = kafka.produce(described.pop("topic"), **described).problems()
    assert said in problem


def test_what_the_cluster_says_is_not_said_again() -> None:
    broker = kafka.cluster("h:9092")
    [problem] = broker.consume("t", bootstrap="other:9092").problems()
    assert "the cluster says what bootstrap is" in problem


def test_mistakes_stand_where_they_were_made() -> None:
    broker = kafka.cluster("h:x")
    chain = scenario("s").start().returns(1).then(broker.produce("a b", value="x"))
    _, mistakes = compile_chain(chain, Properties({}))
    [of_cluster, of_step] = sorted(mistakes)
    assert of_step.line == of_cluster.line + 1
    assert "is no address" in of_cluster.message
    assert "is no name of a topic" in of_step.message


def test_settings_come_from_the_configuration() -> None:
    broker = kafka.cluster(
        prop("kafka.bootstrap"), sasl=kafka.plain(prop("kafka.user"), prop("kafka.password"))
    )
    chain = scenario("s").start().then(broker.consume("t").unicast()).then(broker.produce("t", value="x"))
    values = {"kafka.bootstrap": "a:1,b:2", "kafka.user": "u", "kafka.password": "secret"}
    plan, mistakes = compile_chain(chain, Properties(values))
    assert plan is not None, mistakes
    feed, produce = (node.spec for node in plan.chain)
    connection = produce.cluster.connection()
    assert connection.brokers == (("a", 1), ("b", 2))
    assert connection.sasl.password == "secret"
    assert "secret" not in repr(connection)
    assert feed.source.cluster is produce.cluster


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        (kafka.consume("Orders_of.today"), "consume-orders-of-today"),
        (kafka.consume(["a", "b"]), "consume"),
        (kafka.produce("orders", value="x"), "produce-orders"),
        (kafka.produce(lambda value: "t", value="x"), "produce"),
    ],
)
def test_a_step_without_name_is_named_after_its_topic(spec: Any, name: str) -> None:
    assert spec.default_name() == name
