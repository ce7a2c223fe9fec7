"""What is wrong with a cluster or a step as an author wrote it: one sentence per mistake."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from qalipsis.language.callables import function_problems
from qalipsis.language.durations import duration_problems, seconds
from qalipsis.plugins.kafka.codec import JSON, encoder, header_pairs
from qalipsis.plugins.kafka.security import sasl_problems, tls_problems
from qalipsis.plugins.kafka.settings import addresses

ACKS = ("all", 1, 0)
COMPRESSIONS = (None, "gzip", "snappy", "lz4", "zstd")
OFFSETS = ("latest", "earliest")
BAD_RECORDS = ("skip", "fail")
FORMS = ("value", "context, value")

OWN_OPTIONS = frozenset(
    {
        "loop", "bootstrap_servers", "client_id", "group_id", "key_deserializer", "value_deserializer",
        "key_serializer", "value_serializer", "auto_offset_reset", "enable_auto_commit", "acks", "linger_ms",
        "compression_type", "security_protocol", "ssl_context", "sasl_mechanism", "sasl_plain_username",
        "sasl_plain_password", "request_timeout_ms", "transactional_id", "api_version",
    }
)  # fmt: skip
"""Options of the driver that have a name of their own here, or that this plugin decides."""

_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")


def cluster_problems(cluster: Any) -> Iterator[str]:
    try:
        addresses(cluster.bootstrap)
    except ValueError as error:
        yield f"kafka bootstrap: {error}"
    yield from tls_problems("kafka", cluster.tls)
    yield from sasl_problems("kafka", cluster.sasl)
    if cluster.client_id is not None and (not isinstance(cluster.client_id, str) or not cluster.client_id):
        yield f"kafka client_id={cluster.client_id!r} should be a text that is not empty"


def consume_problems(spec: Any) -> Iterator[str]:
    yield from _sharing_problems("kafka.consume", spec)
    if (spec.topics is None) == (spec.pattern is None):
        yield 'kafka.consume needs topics, as in consume("orders"), or pattern="orders-.*": one of them'
    if spec.topics is not None:
        topics = [spec.topics] if isinstance(spec.topics, str) else spec.topics
        if not isinstance(topics, list | tuple) or not topics:
            yield f"kafka.consume topics={spec.topics!r} should be a name or a list of names"
        else:
            for topic in topics:
                yield from topic_problems("kafka.consume", topic)
    if spec.pattern is not None:
        try:
            re.compile(spec.pattern)
        except (re.error, TypeError) as error:
            yield f"kafka.consume pattern={spec.pattern!r} is no regular expression: {error}"
    if spec.group is not None and (not isinstance(spec.group, str) or not spec.group):
        yield f"kafka.consume group={spec.group!r} should be a text that is not empty"
    if spec.offset not in OFFSETS:
        yield f'kafka.consume offset={spec.offset!r} should be "latest" or "earliest"'
    if spec.bad_records not in BAD_RECORDS:
        yield f'kafka.consume bad_records={spec.bad_records!r} should be "skip" or "fail"'
    for name in ("key", "value"):
        wanted = getattr(spec, name)
        if wanted not in (bytes, str, JSON) and not callable(wanted):
            yield f'kafka.consume {name}={wanted!r} should be bytes, str, "json" or a function of the bytes'
    yield from _limit_problems("kafka.consume timeout", spec.timeout)
    yield from duration_problems("kafka.consume recovery_timeout", spec.recovery_timeout)
    yield from _options_problems("kafka.consume", spec.options)


def produce_problems(spec: Any) -> Iterator[str]:
    yield from _sharing_problems("kafka.produce", spec)
    if callable(spec.topic):
        yield from function_problems("kafka.produce topic", spec.topic, FORMS)
    else:
        yield from topic_problems("kafka.produce", spec.topic)
    for name, make in (
        ("key", _encoder(spec.key_serialiser)),
        ("value", _encoder(spec.value_serialiser)),
        ("headers", header_pairs),
    ):
        part = getattr(spec, name)
        if callable(part):
            yield from function_problems(f"kafka.produce {name}", part, FORMS)
        else:
            yield from _tried(name, make, part)
    if spec.key is None and spec.value is None:
        yield "kafka.produce has neither key nor value; give a value, or the key of what is to be deleted"
    for name in ("partition", "timestamp"):
        part = getattr(spec, name)
        if callable(part):
            yield from function_problems(f"kafka.produce {name}", part, FORMS)
    if not callable(spec.partition) and spec.partition is not None and not _is_count(spec.partition, 0):
        yield f"kafka.produce partition={spec.partition!r} should be a whole number of at least 0"
    if not callable(spec.timestamp) and spec.timestamp is not None and not _is_moment(spec.timestamp):
        yield f"kafka.produce timestamp={spec.timestamp!r} should be a moment in epoch seconds"
    for name in ("key_serialiser", "value_serialiser"):
        wanted = getattr(spec, name)
        if wanted not in (None, JSON) and not callable(wanted):
            yield f'kafka.produce {name}={wanted!r} should be "json" or a function that returns bytes'
    if isinstance(spec.acks, bool) or spec.acks not in ACKS:
        yield f'kafka.produce acks={spec.acks!r} should be "all", 1 or 0'
    if spec.compression not in COMPRESSIONS:
        yield f'kafka.produce compression={spec.compression!r} should be "gzip", "snappy", "lz4" or "zstd"'
    yield from duration_problems("kafka.produce linger", spec.linger)
    yield from _limit_problems("kafka.produce timeout", spec.timeout)
    yield from _options_problems("kafka.produce", spec.options)


def topic_problems(what: str, topic: Any) -> Iterator[str]:
    if not isinstance(topic, str) or not _TOPIC.fullmatch(topic) or topic in (".", ".."):
        yield f"{what}: {topic!r} is no name of a topic: at most 249 letters, digits, `.`, `_` and `-`"


def _sharing_problems(what: str, spec: Any) -> Iterator[str]:
    for name in spec.overruled:
        yield f"{what}: the cluster says what {name} is; give it there only"


def _limit_problems(what: str, value: Any) -> Iterator[str]:
    found = duration_problems(what, value)
    yield from found
    if not found and seconds(value) == 0:
        yield f"{what} cannot be zero"


def _options_problems(what: str, options: Any) -> Iterator[str]:
    if options is None:
        return
    if not isinstance(options, Mapping) or not all(isinstance(name, str) for name in options):
        yield f"{what} options={options!r} should be a mapping of the driver's option names to values"
        return
    for name in sorted(OWN_OPTIONS & set(options)):
        yield f"{what} options: {name!r} cannot be set there; docs/plugins/kafka.md has what to write"


def _encoder(wanted: Any) -> Callable[[Any], object]:
    """What makes bytes; nothing is said about a serialiser here that is no serialiser."""
    return encoder(wanted) if wanted in (None, JSON) or callable(wanted) else lambda part: None


def _tried(what: str, make: Callable[[Any], object], part: Any) -> Iterator[str]:
    try:
        make(part)
    except Exception as error:  # perhaps of the author's serialiser
        yield f"kafka.produce {what}: {error}"


def _is_count(value: Any, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _is_moment(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
