"""A head's own picture of the factories, refreshed from the directory."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from qalipsis.errors import ServiceUnavailable
from qalipsis.head.directory import Directory, FactoryRecord

REFRESH_SECONDS: Final = 0.5

_log = logging.getLogger(__name__)


class Roster:
    """The factories by their node, as they were a moment ago."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self.factories: dict[str, FactoryRecord] = {}

    async def serve(self) -> None:
        """Stay up to date, until this is cancelled; while the store is away, the last picture stays."""
        is_away = False
        while True:
            try:
                await self.refresh()
                is_away = False
            except ServiceUnavailable as error:
                if not is_away:
                    _log.warning("the factories are not known any more: %s", error)
                is_away = True
            await asyncio.sleep(REFRESH_SECONDS)

    async def refresh(self) -> None:
        self.factories = {each.node: each for each in await self._directory.factories()}

    @property
    def free(self) -> tuple[FactoryRecord, ...]:
        """Those that are there and work for no campaign."""
        return tuple(each for each in self.factories.values() if each.is_free)
