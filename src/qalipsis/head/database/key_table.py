"""The table of API keys: hashes only, and what was revoked stays listed."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, insert, select, update

from qalipsis.head import api_keys
from qalipsis.head.api_keys import ApiKey
from qalipsis.head.database.database import Database
from qalipsis.head.database.schema import API_KEY
from qalipsis.head.database.sql import from_now

_COLUMNS = [API_KEY.c[name] for name in ApiKey.__struct_fields__]


class DatabaseKeys:
    """The keys in a database that somebody else closes."""

    def __init__(self, database: Database) -> None:
        self._transaction = database.transaction

    async def find(self, reference: str) -> ApiKey | None:
        """The key, revoked or not."""
        async with self._transaction() as connection:
            found = await connection.execute(select(*_COLUMNS).where(API_KEY.c.reference == reference))
            row = found.one_or_none()
        return None if row is None else ApiKey(**row._mapping)

    async def all(self) -> Sequence[ApiKey]:
        """The oldest first."""
        async with self._transaction() as connection:
            rows = (await connection.execute(select(*_COLUMNS).order_by(API_KEY.c.id))).all()
        return tuple(ApiKey(**row._mapping) for row in rows)

    async def add(self, key: ApiKey) -> None:
        values = {name: getattr(key, name) for name in ("reference", "name", "hash", "role")}
        async with self._transaction() as connection:
            await connection.execute(
                insert(API_KEY).values(**values, creation=from_now(), version=from_now())
            )

    async def revoke(self, reference: str) -> None:
        """Accept it no more; raises ConfigurationError when there is none."""
        revoked_at = func.coalesce(API_KEY.c.revoked_at, from_now(), type_=API_KEY.c.revoked_at.type)
        async with self._transaction() as connection:
            found = await connection.scalar(
                update(API_KEY)
                .where(API_KEY.c.reference == reference)
                .values(revoked_at=revoked_at, version=from_now())
                .returning(API_KEY.c.id)
            )
            if found is None:
                known = await connection.scalars(select(API_KEY.c.reference))
                raise api_keys.not_there(reference, known)
