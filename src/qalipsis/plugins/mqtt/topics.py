"""What may be published to, and what may be subscribed to."""

from __future__ import annotations

LONGEST = 65_535
"""Bytes of a topic."""


def checked_topic(topic: object) -> str:
    """A topic that a message can have. Raises ValueError."""
    if not isinstance(topic, str):
        raise ValueError(f"{topic!r} should be a text such as 'devices/7/battery'")
    if "+" in topic or "#" in topic:
        raise ValueError(f"{topic!r} has a wildcard; only subscriptions have + and #")
    _check_text(topic)
    return topic


def checked_filter(topic_filter: object) -> str:
    """A filter that can be subscribed to. Raises ValueError."""
    if not isinstance(topic_filter, str):
        raise ValueError(f"{topic_filter!r} should be a text such as 'devices/+/battery'")
    _check_text(topic_filter)
    levels = topic_filter.split("/")
    for place, level in enumerate(levels):
        if "#" in level and (level != "#" or place < len(levels) - 1):
            raise ValueError(f"{topic_filter!r}: # is the whole of the last level, as in 'devices/#'")
        if "+" in level and level != "+":
            raise ValueError(f"{topic_filter!r}: + is the whole of a level, as in 'devices/+/battery'")
    if levels[0] == "$share":
        raise ValueError(f"{topic_filter!r}: leave $share out; with unicast() workers share a subscription")
    return topic_filter


def shared(group: str, topic_filter: str) -> str:
    """The filter whose messages a broker deals out among the subscribers of a group (MQTT 5)."""
    name = "".join("-" if letter in "/+#\0" else letter for letter in group)
    return f"$share/{name}/{topic_filter}"


def _check_text(topic: str) -> None:
    if not topic:
        raise ValueError("an empty topic does not exist")
    if "\0" in topic:
        raise ValueError(f"{topic!r} has a NUL in it")
    try:
        length = len(topic.encode())
    except UnicodeEncodeError:
        raise ValueError(f"{topic!r} is no text that UTF-8 can say") from None
    if length > LONGEST:
        raise ValueError(f"a topic has at most {LONGEST} bytes, and {topic[:40]!r}… has {length}")
