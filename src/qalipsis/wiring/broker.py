"""What carries messages between heads and factories, as the settings say."""

from __future__ import annotations

from qalipsis.cluster.memory import MemoryTransport
from qalipsis.cluster.transport import Transport
from qalipsis.config.settings import Settings
from qalipsis.errors import ConfigurationError


async def open_transport(settings: Settings) -> Transport:
    """What carries messages between heads and factories: Redis when it is configured, else this process.

    Raises ConfigurationError, and ServiceUnavailable with what is to be done about the broker.
    """
    if broker_of(settings) is None:
        return MemoryTransport()
    # An extra, and slow to import: `qalipsis run` must not wait for it.
    from qalipsis.cluster.redis.address import from_settings
    from qalipsis.cluster.redis.transport import RedisTransport

    transport = RedisTransport(from_settings(settings.redis))
    await transport.open()
    return transport


def broker_of(settings: Settings) -> str | None:
    """Where messages are carried, for people; None within this process. Raises ConfigurationError."""
    chosen, redis = settings.streaming.platform, settings.redis
    if chosen == "kafka":
        raise ConfigurationError(
            "streaming.platform: kafka is for the high-load cluster, which this version does not have: "
            "leave it out, and configure redis.uri"
        )
    if chosen == "memory" or (chosen is None and redis.uri is None and not redis.uris):
        return None
    from qalipsis.cluster.redis.address import from_settings

    return f"Redis at {from_settings(redis)}"


def meeting_place(settings: Settings, who: str, whom: str) -> str:
    """Where processes of a cluster find each other; raises ConfigurationError when it is not configured."""
    broker = broker_of(settings)
    if broker is None:
        raise ConfigurationError(
            f"a {who} meets its {whom} at a broker: write for example `redis.uri: redis://host:6379` into "
            "qalipsis.yml, or give -c redis.uri=redis://host:6379; alone on a machine, use "
            "`qalipsis standalone`"
        )
    return broker
