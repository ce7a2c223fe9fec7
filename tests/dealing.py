"""Which tests stay together when pytest-xdist deals them to several processes, and which go first."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).parents[1]
SLOW_BROKERS = "slow brokers"

# The fixtures of brokers that keep both cores busy for seconds when they start: each is started once, in one
# process. The other services are there in a moment, and each process has its own.
SLOW_TO_START = ("kafka_broker: ", "rabbitmq: ")

# Words of files whose tests wait for others: services that any process starts, commands and whole campaigns.
SERVICES = ("postgres: ", "redis_server: ", "redis_cluster: ", "mosquitto: ")
COMMANDS = ("subprocess", "_campaign(", "open_run(")


@cache
def together(file: str) -> str:
    """What a file of tests stays together with: nothing else, or all files that use slow brokers."""
    return SLOW_BROKERS if _has(file, SLOW_TO_START) else file


@cache
def turn(file: str) -> int:
    """Long ones go first, so that no process is left with them when the others have nothing to do."""
    if together(file) == SLOW_BROKERS:
        return 0
    return 1 if _has(file, SERVICES + COMMANDS) else 2


def _has(file: str, words: tuple[str, ...]) -> bool:
    """Whether one of the words stands in the file, or in what its folder shares."""
    path = ROOT / file
    shared = path.parent / "conftest.py"
    texts = [each.read_text("utf-8") for each in (path, shared) if each.exists()]
    return any(word in text for text in texts for word in words)


def file_of(nodeid: str) -> str:
    return nodeid.partition("::")[0]


class Dealing(LoadScopeScheduling):
    """The whole of what stays together goes to the process that is free first."""

    def __init__(self, config: pytest.Config, log: object = None) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False  # the order is ours, see `turn`

    def _split_scope(self, nodeid: str) -> str:
        return together(file_of(nodeid))
