"""A short form of the benchmark: the head counts everything, and its last checkpoint holds all of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from benchmarks.fleet import write_settings
from benchmarks.head import drive
from tests.services.fixtures import provided
from tests.services.offer import REDIS
from tests.services.postgres import Postgres
from tests.services.redis import Redis


@pytest.fixture(scope="module")
def broker() -> Iterator[Redis]:
    """One of our own: no other test's heads and factories are met there."""
    yield from provided(REDIS)


def test_the_last_checkpoint_holds_all_that_many_factories_have_reported(
    postgres: Postgres, broker: Redis, tmp_path: Path
) -> None:
    write_settings(tmp_path, broker, postgres, f"head_{uuid4().hex[:8]}")
    told = drive(tmp_path, factories=5, workers=2, seconds=5)
    assert told["requests"] == told["executions"] == told["wanted"]
    assert told["differences"] == 0
