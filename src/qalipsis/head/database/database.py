"""An open database: transactions whose errors are ours, and tables of the right revision."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from qalipsis.config.settings import Datasource
from qalipsis.errors import ConfigurationError, ServiceRefused
from qalipsis.head.database import migration
from qalipsis.head.database.engine import Trust, make_engine
from qalipsis.head.database.place import FilePlace, place_of
from qalipsis.head.database.problems import PROBLEMS, explain

ANSWER_SECONDS: Final = 15.0
"""What takes longer is given up: the network swallows what is sent, or somebody holds a lock."""

WAIT_SECONDS: Final = 60.0
"""How long is waited for another process that upgrades the tables, or has them in use."""

UPGRADE_SECONDS: Final = 3600.0
"""Revisions may write many million rows anew; one that is given up half-way would never come to its end."""

LOCK_NOT_AVAILABLE: Final = "55P03"


class Database:
    """PostgreSQL, or SQLite in a file of `folder`; connects when it is first used."""

    def __init__(self, datasource: Datasource, folder: Path | str = "data") -> None:
        self.place = place_of(datasource, folder)
        self._trust = Trust()
        self._engine = make_engine(datasource, self.place, self._trust)
        # SQLite has one connection and no network: nothing is gained there.
        self._single = (
            self._engine
            if isinstance(self.place, FilePlace)
            else self._engine.execution_options(isolation_level="AUTOCOMMIT")
        )
        self._seconds = datasource.pool.max_acquire_time + ANSWER_SECONDS
        self.is_approved = False
        """Whether it was good to work with once: what it refuses from then on may pass, as an outage does."""

    def transaction(self, seconds: float | None = None) -> AbstractAsyncContextManager[AsyncConnection]:
        """Commits at the end of the block, or rolls back.

        Raises ServiceUnavailable when the database is away or too slow, ConfigurationError when it refuses;
        ServiceRefused, which is an outage, when it refuses and was good to work with before.
        """
        return self._connection(self._engine, seconds)

    def statement(self) -> AbstractAsyncContextManager[AsyncConnection]:
        """For one statement that changes something, a transaction in itself: two round trips less."""
        return self._connection(self._single)

    @asynccontextmanager
    async def _connection(
        self, engine: AsyncEngine, seconds: float | None = None
    ) -> AsyncIterator[AsyncConnection]:
        try:
            async with asyncio.timeout(seconds or self._seconds), engine.begin() as connection:
                yield connection
        except PROBLEMS as error:
            if isinstance(error, TimeoutError):
                self._trust.lose()
            explained = explain(error, self.place)
            if explained is None:
                raise
            if self.is_approved and isinstance(explained, ConfigurationError):
                # Somebody has changed a password or a right: a head must not end for it, with its campaigns.
                raise ServiceRefused(str(explained)) from error
            raise explained from error

    async def revision(self) -> str | None:
        """The revision of the tables, None when there are none; nothing is created."""
        if isinstance(self.place, FilePlace) and not self.place.path.exists():
            return None
        async with self.transaction() as connection:
            return await migration.current(connection)

    async def check_current(self) -> None:
        """Refuse to work with tables that are not of the revision of this version."""
        revision = await self.revision()
        migration.check_known(revision, self.place)
        if revision != migration.newest():
            found = (
                "there are no tables yet" if revision is None else f"the tables are of revision {revision}"
            )
            raise ConfigurationError(
                f"{self.place}: {found}, and this version needs {migration.newest()}; "
                "run `qalipsis db upgrade`"
            )

    async def upgrade(self, patience_seconds: float = WAIT_SECONDS) -> str | None:
        """Bring the tables to the revision of this version, once; returns the revision they had.

        When several processes try, one does it and the others wait, at most `patience_seconds`.
        """
        place = self.place
        if isinstance(place, FilePlace):
            self._make_folder(place.path.parent)
        async with self.alone(patience_seconds) as connection:
            return await migration.upgrade(connection, place)

    @asynccontextmanager
    async def alone(self, patience_seconds: float = WAIT_SECONDS) -> AsyncIterator[AsyncConnection]:
        """A transaction beside which nobody upgrades; raises ServiceUnavailable after too long a wait."""
        place = self.place
        if isinstance(place, FilePlace):
            async with (
                migration.locked_file(place, patience_seconds),
                self.transaction(UPGRADE_SECONDS) as connection,
            ):
                yield connection
            return
        async with self.transaction(patience_seconds + UPGRADE_SECONDS) as connection:
            try:
                await migration.lock_schema(connection, place.schema, patience_seconds)
                yield connection
            except PROBLEMS as error:
                if getattr(getattr(error, "orig", None), "sqlstate", None) == LOCK_NOT_AVAILABLE:
                    raise migration.too_slow(place, patience_seconds) from error
                raise

    async def aclose(self) -> None:
        """Close all connections; may be called again."""
        await self._engine.dispose()

    def _make_folder(self, folder: Path) -> None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise explain(error, self.place) or error from error


@asynccontextmanager
async def open_database(
    datasource: Datasource, folder: Path | str = "data", *, upgrade: bool = True
) -> AsyncIterator[Database]:
    """A database whose tables are of the right revision: upgraded first, or else refused."""
    database = Database(datasource, folder)
    try:
        if upgrade:
            await database.upgrade()
        else:
            await database.check_current()
        database.is_approved = True
        yield database
    finally:
        await database.aclose()
