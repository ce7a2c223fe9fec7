"""What all tests share."""

from __future__ import annotations

import signal

import pytest

from tests.services.fixtures import kafka_broker, mosquitto, postgres, rabbitmq, redis_cluster, redis_server

__all__ = ["kafka_broker", "mosquitto", "postgres", "rabbitmq", "redis_cluster", "redis_server"]

# Brokers that keep both cores busy for seconds when they start. The other services are there in a moment, and each
# process of tests has its own.
SLOW_TO_START = ("kafka_broker", "rabbitmq")

# A test run that was started with nohup ignores SIGHUP, and so would every command that a test starts.
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say what stays in one process when tests are dealt to several: a file, and all that share a slow broker."""
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        slow = [name for name in SLOW_TO_START if name in fixtures]
        file = item.location[0].removeprefix("tests/").removesuffix(".py")
        item.add_marker(pytest.mark.xdist_group(slow[0] if slow else file))
