"""The directory of factories behind the seam, in the database of the store."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

from qalipsis.cluster.messages import Handshake
from qalipsis.head.database import factory_table
from qalipsis.head.database.database import Database
from qalipsis.head.directory import Beat, FactoryRecord


class DatabaseDirectory:
    """See `head.directory.Directory`; each call is one transaction."""

    def __init__(self, database: Database) -> None:
        self._transaction = database.transaction
        self._statement = database.statement

    async def register(self, handshake: Handshake, incarnation: int) -> None:
        async with self._transaction() as connection:
            await factory_table.register(connection, handshake, incarnation)

    async def hear(self, beats: Sequence[Beat]) -> frozenset[tuple[str, int]]:
        async with self._transaction() as connection:
            return await factory_table.hear(connection, beats)

    async def leave(self, node: str, incarnation: int) -> None:
        async with self._transaction() as connection:
            await factory_table.leave(connection, node, incarnation)

    async def factories(self) -> tuple[FactoryRecord, ...]:
        async with self._transaction() as connection:
            return await factory_table.read(connection)

    async def wait_change(self, seconds: float) -> None:
        await asyncio.sleep(seconds)  # it may come at another head

    async def reserve(self, campaign: str, factories: Collection[tuple[str, int]]) -> bool:
        async with self._transaction() as connection:
            return await factory_table.reserve(connection, campaign, factories)

    async def release(self, campaign: str) -> None:
        async with self._transaction() as connection:
            await factory_table.release(connection, campaign)

    async def hold_reception(self, head: str, lease_seconds: float) -> bool:
        async with self._statement() as connection:
            return await factory_table.hold_reception(connection, head, lease_seconds)
