from __future__ import annotations

import pytest

from tests.plugins.brokers.loops import bench, pytest_asyncio_loop_factories
from tests.plugins.http.certificates import Certificates

__all__ = ["bench", "pytest_asyncio_loop_factories"]


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))
