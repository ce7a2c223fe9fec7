"""The factories as a head knows them."""

from __future__ import annotations

import asyncio
import logging

import pytest

from qalipsis.cluster.messages import PROTOCOL, Handshake
from qalipsis.errors import ServiceUnavailable
from qalipsis.head.directory import FRESH_SECONDS, FactoryRecord
from qalipsis.head.memory_directory import MemoryDirectory
from qalipsis.head.roster import REFRESH_SECONDS, Roster
from tests.head.stage import clock_of_loop, virtual


def handshake(node: str) -> Handshake:
    return Handshake(node=node, protocol=PROTOCOL, version="1", workers=1, scenarios=())


class Away(MemoryDirectory):
    is_away = False

    async def factories(self) -> tuple[FactoryRecord, ...]:
        if self.is_away:
            raise ServiceUnavailable("the store is away")
        return await super().factories()


@virtual
async def test_it_follows_the_directory_and_keeps_its_picture_while_that_is_away(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    directory = Away(clock_of_loop())
    roster = Roster(directory)
    assert dict(roster.factories) == {}
    serving = asyncio.ensure_future(roster.serve())
    await directory.register(handshake("a"), 1)
    await asyncio.sleep(REFRESH_SECONDS * 1.1)
    assert list(roster.factories) == ["a"]
    directory.is_away = True
    await directory.register(handshake("b"), 1)
    await asyncio.sleep(10)
    assert list(roster.factories) == ["a"]
    assert [record.message for record in caplog.records] == [
        "the factories are not known any more: the store is away"
    ]
    directory.is_away = False
    await asyncio.sleep(REFRESH_SECONDS * 1.1)
    assert list(roster.factories) == ["a", "b"]
    serving.cancel()
    await asyncio.wait([serving])


@virtual
async def test_free_are_those_that_are_there_and_work_for_nobody() -> None:
    directory = MemoryDirectory(clock_of_loop())
    roster = Roster(directory)
    await directory.register(handshake("old"), 1)
    await asyncio.sleep(FRESH_SECONDS)
    for node in ("busy", "free"):
        await directory.register(handshake(node), 1)
    assert await directory.reserve("c", [("busy", 1)])
    await roster.refresh()
    assert [each.node for each in roster.factories.values() if each.is_free] == ["free"]
    assert list(roster.factories) == ["busy", "free", "old"]
