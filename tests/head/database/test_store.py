"""A store in a database keeps what every store promises, beyond the life of its process."""

from __future__ import annotations

from pathlib import Path

from qalipsis.config.settings import Datasource
from qalipsis.head.database.database import open_database
from qalipsis.head.database.store import DatabaseStore
from qalipsis.testing.store import CHECKS


async def test_the_database_store_keeps_its_promise(datasource: Datasource, folder: Path) -> None:
    async with open_database(datasource, folder) as database:
        for check in CHECKS:
            try:
                await check(DatabaseStore(database))
            except AssertionError as error:
                raise AssertionError(f"{check.__name__}: {error}") from error
