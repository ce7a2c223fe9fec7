"""Which tests stay together when pytest-xdist deals them to several processes."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from xdist.scheduler import LoadScopeScheduling

ROOT = Path(__file__).parents[1]

# The fixtures of brokers that keep both cores busy for seconds when they start: each is started once, in one
# process. The other services are there in a moment, and each process has its own.
SLOW_TO_START = ("kafka_broker: ", "rabbitmq: ")


@cache
def together(file: str) -> str:
    """What a file of tests stays together with: nothing else, or all files that use slow brokers."""
    path = ROOT / file
    folder = [path, *path.parent.glob("conftest.py")]
    is_slow = any(fixture in each.read_text() for each in folder for fixture in SLOW_TO_START)
    return "slow brokers" if is_slow else file


class Dealing(LoadScopeScheduling):
    """The whole of what stays together goes to the process that is free first."""

    def _split_scope(self, nodeid: str) -> str:
        return together(nodeid.partition("::")[0])
