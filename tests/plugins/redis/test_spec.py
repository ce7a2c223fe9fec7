from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from qalipsis import prop, scenario
from qalipsis.plan.compiler import compile_chain
from qalipsis.plan.properties import Properties
from qalipsis.plugins import redis

store = redis.client("redis://h")


def test_a_description_loads_without_any_driver() -> None:
    drivers = ("asyncio", "uvloop", "redis", "hiredis", "ssl", "socket")
    program = f"import sys, qalipsis.plugins.redis; print(sorted({{*{drivers}}} & {{*sys.modules}}))"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert loaded.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("spec", "name"),
    [
        (store.save(redis.set("a", 1)), "redis-set"),
        (store.save(redis.set("a", 1), redis.set("b", 1)), "redis-save"),
        (store.save(lambda value: []), "redis-save"),
        (store.produce("s", {"a": 1}), "redis-produce"),
        (store.poll("zscan", "k"), "redis-zscan"),
        (store.consume("s"), "redis-consume"),
    ],
)
def test_a_step_has_a_name_for_reports(spec: Any, name: str) -> None:
    assert spec.default_name() == name
    assert spec.problems() == []


ANY: Any = store


@pytest.mark.parametrize(
    ("spec", "part"),
    [
        (ANY.save(), "needs a command"),
        (ANY.save("SET"), "takes commands such as redis.set"),
        (ANY.save(lambda: 1), "(value) or (context, value)"),
        (ANY.save(redis.set("a", ANY)), "keeps text, bytes and numbers"),
        (ANY.save(redis.set("a", None)), "json.dumps"),
        (ANY.save(redis.set("a", True)), "keeps text, bytes and numbers"),
        (ANY.save(redis.set("a", 1, expire="soon")), "not a duration"),
        (ANY.save(redis.set("a", 1, expire=0)), "at least 1 ms"),
        (ANY.save(redis.set(lambda a, b, c: "a", 1)), "(value) or (context, value)"),
        (ANY.save(redis.hset("a", {})), "at least one field"),
        (ANY.save(redis.sadd("a")), "at least one value"),
        (ANY.save(redis.zadd("a", {"x": float("nan")})), "should be a number"),
        (ANY.save(redis.incrby("a", 1.5)), "whole number"),
        (ANY.produce("", {"a": 1}), "not empty"),
        (ANY.produce("s", {}), "at least one field"),
        (ANY.produce("s", {"a": [1]}), "keeps text, bytes and numbers"),
        (ANY.produce("s", {"a": 1}, max_length=0), "whole number of at least 1"),
        (ANY.produce(lambda: 1, {"a": 1}), "produce stream"),
        (ANY.poll("scanner", "k"), "'scan', 'sscan', 'hscan', 'zscan'"),
        (ANY.poll("sscan", ""), "not empty"),
        (ANY.poll("sscan", "k", every="0s"), "above 0"),
        (ANY.poll("sscan", "k", every="often"), "not a duration"),
        (ANY.poll("sscan", "k", count=0), "whole number of at least 1"),
        (ANY.poll("sscan", "k", repeat=1), "True or False"),
        (ANY.consume(""), "not empty"),
        (ANY.consume("s", group=""), "not empty"),
        (ANY.consume("s", offset="now"), '"latest" or "earliest"'),
        (ANY.consume("s", consumer=None), "not empty"),
        (ANY.consume("s").loop(), "never does"),
    ],
)
def test_a_mistake_is_one_sentence_that_says_what_to_write(spec: Any, part: str) -> None:
    [problem] = spec.problems()
    assert part in problem


def test_mistakes_of_a_client_are_told_where_it_was_made() -> None:
    broken = redis.client("localhost", pool_size=0)
    chain = scenario("broken").start().returns(1).then(broken.save(redis.set("a", 1)))
    plan, mistakes = compile_chain(chain, Properties({}))
    assert plan is None
    assert len(mistakes) == 2
    assert {mistake.file for mistake in mistakes} == {__file__}


def test_placeholders_are_resolved_and_a_shared_client_stays_one() -> None:
    url, password = prop("store.url"), prop("store.password")
    shared = redis.client(url, password=password, pool_size=prop("size", default=3))
    properties = Properties({"store.url": "redis://db:7000", "store.password": "s3cret"})
    one = properties.resolve(shared.save(redis.set("a", prop("word", default="x"))))
    other = properties.resolve(shared.consume("s"))
    assert properties.mistakes == []
    assert one.client is other.client
    assert one.commands[0].parts == ("a", "x", None)
    assert (one.client.settings().password, one.client.settings().pool_size) == ("s3cret", 3)


def test_nothing_that_is_shown_contains_a_password() -> None:
    client = redis.client(["redis://ann:s3cret@a:1", "redis://ann:s3cret@b:2"])
    shown = [repr(client), repr(client.settings()), repr(client.consume("s")), repr(client.poll("scan"))]
    shown += [repr(client.save(redis.set("a", 1))), repr(redis.client("redis://a", password="s3cret"))]
    assert "s3cret" not in " ".join(shown)
    assert repr(client) == "RedisClient(redis://a:1, redis://b:2)"
