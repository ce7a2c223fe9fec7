"""Checked by mypy in test_spec.py, never run: lines marked `# wrong` must be errors, all others must not."""

from dataclasses import dataclass
from typing import assert_type

from qalipsis import Chain, prop, scenario
from qalipsis.plugins import redis


@dataclass
class User:
    id: int
    name: str


address = prop("store.url", default="redis://localhost")
store = redis.client(address, timeout=prop("store.timeout", default="5s"))
raw = redis.client(["redis://a", "redis://b"], decode=False)
redis.client("redis://h", timeout=object())  # wrong

users = scenario("users").start().returns(User(1, "ann"))
assert_type(users.then(store.save(redis.set("a", "b"))), Chain[redis.Saved[User]])
users.then(store.save(redis.set("a", "b"))).map(lambda saved: saved.value.name)
users.then(store.save(redis.set("a", "b"))).map(lambda saved: saved.value.nr)  # wrong
users.then(store.save(redis.set(lambda user: user.name, lambda user: user.id, expire="1m")))
users.then(store.save(redis.set(lambda user: user.nr, "b")))  # wrong
users.then(store.save(redis.set(lambda context, user: f"{user.id}-{context.iteration}", "b")))
users.then(store.save(redis.set(lambda context, user: f"{user.id}-{context.turn}", "b")))  # wrong
users.then(store.save(redis.set("a", lambda user: user)))  # wrong
users.then(store.save(redis.sadd("a", 1, lambda user: [user.id]), redis.delete(lambda user: user.name)))
users.then(store.save(redis.sadd("a", 1, lambda user: [user.nr])))  # wrong
users.then(store.save(redis.hset("a", lambda user: {"id": user.id}), redis.zadd("a", {"a": 1})))
users.then(store.save(redis.hset("a", lambda user: {"id": user.nr})))  # wrong
users.then(store.save(redis.zadd("a", {"a": "1"})))  # wrong
users.then(store.save(redis.incrby("a", lambda user: user.id), redis.expire("a", "1m")))
users.then(store.save(redis.command("APPEND", "a", lambda user: user.name)))
users.then(store.save(lambda user: [redis.set(user.name, user.id)]))
users.then(store.save(lambda user: [redis.set(user.nr, user.id)]))  # wrong
users.then(store.save(lambda context, user: [redis.set(user.name, context.iteration)]))

assert_type(users.then(store.produce("s", {"a": 1})), Chain[redis.Added])
users.then(store.produce(lambda user: user.name, lambda user: {"id": user.id}, max_length=10))
users.then(store.produce("s", lambda user: {"id": user.nr}))  # wrong
users.then(store.produce("s", lambda context, user: {"id": user.id, "n": context.iteration}))

begun = scenario("sources").start()
assert_type(begun.then(store.consume("s")), Chain[redis.Entry[str]])
assert_type(begun.then(raw.consume("s").broadcast()), Chain[redis.Entry[bytes]])
assert_type(begun.then(store.poll("scan", "a:*")), Chain[redis.KeyValue[str]])
assert_type(begun.then(store.poll("sscan", "a")), Chain[redis.Member[str]])
assert_type(begun.then(store.poll("hscan", "a", every="2s")), Chain[redis.Field[str]])
assert_type(begun.then(raw.poll("zscan", "a", repeat=True)), Chain[redis.Scored[bytes]])
store.poll("sscan")  # wrong
store.poll("scanner", "a")  # wrong
store.consume("s", offset="now")  # wrong
begun.then(store.consume("s")).map(lambda entry: entry.fields["a"].upper())
begun.then(store.consume("s")).map(lambda entry: entry.field)  # wrong
