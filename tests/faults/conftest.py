"""What the tests of faults share."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

import pytest

from tests.faults.cluster import Cluster, open_cluster
from tests.services.postgres import Postgres
from tests.services.redis import Redis

OpenCluster = Callable[..., AbstractAsyncContextManager[Cluster]]


@pytest.fixture
def opened(tmp_path: Path, postgres: Postgres, redis_server: Redis) -> OpenCluster:
    """Opens a cluster with these options."""
    return partial(open_cluster, tmp_path, postgres, redis_server)
