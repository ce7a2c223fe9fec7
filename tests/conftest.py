"""What all tests share."""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import settings
from xdist.remote import Producer

from tests.dealing import Dealing, file_of, turn
from tests.services.fixtures import kafka_broker, mosquitto, postgres, rabbitmq, redis_cluster, redis_server

__all__ = ["kafka_broker", "mosquitto", "postgres", "rabbitmq", "redis_cluster", "redis_server"]

# A test run that was started with nohup ignores SIGHUP, and so would every command that a test starts.
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# Properties are judged by their result: how long one example takes depends on what else the machine does.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Dealing:
    """How tests are dealt to several processes."""
    return Dealing(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """In which order they are dealt."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: turn(file_of(item.nodeid)))
