"""The directory in memory keeps what every directory promises."""

import pytest

from qalipsis.head.memory_directory import MemoryDirectory
from qalipsis.testing.directory import CHECKS, Check


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
async def test_the_memory_directory_keeps_its_promise(check: Check) -> None:
    async def known(campaign: str) -> None:
        return None

    await check(MemoryDirectory(), known)
