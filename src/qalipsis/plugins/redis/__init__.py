"""Redis: `redis.client(...)` describes a server or a cluster, and makes saves, polls, produce and consume."""

from qalipsis.plugins.redis.commands import (
    Command,
    command,
    delete,
    expire,
    hset,
    incrby,
    lpush,
    rpush,
    sadd,
    set,
    srem,
    zadd,
)
from qalipsis.plugins.redis.records import Added, Entry, Field, KeyValue, Member, Saved, Scored
from qalipsis.plugins.redis.spec import Consume, Poll, Produce, RedisClient, Save, client

__all__ = [
    "Added",
    "Command",
    "Consume",
    "Entry",
    "Field",
    "KeyValue",
    "Member",
    "Poll",
    "Produce",
    "RedisClient",
    "Save",
    "Saved",
    "Scored",
    "client",
    "command",
    "delete",
    "expire",
    "hset",
    "incrby",
    "lpush",
    "rpush",
    "sadd",
    "set",
    "srem",
    "zadd",
]
