"""A head's own picture of the factories, refreshed from the directory."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping
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
        before, self.factories = (
            self.factories,
            {each.node: each for each in await self._directory.factories()},
        )
        for level, text in changes(before, self.factories):
            _log.log(level, "%s", text)


def changes(
    before: Mapping[str, FactoryRecord], after: Mapping[str, FactoryRecord]
) -> Iterator[tuple[int, str]]:
    """What is worth a line of the log, each with its level, when the factories were those and are these."""
    for node in before.keys() - after.keys():
        if before[node].is_fresh:
            yield logging.INFO, f"factory {node} has left"
    for node, now in after.items():
        earlier = before.get(node)
        if earlier is None or earlier.incarnation != now.incarnation:
            if now.is_fresh:
                yield logging.INFO, f"factory {node} has come, {_described(now)}"
        elif earlier.is_fresh and not now.is_fresh:
            yield (
                logging.WARNING,
                f"nothing was heard of factory {node} for {now.silence_s:.0f} s: "
                "no campaign counts on it until it is heard again",
            )
        elif now.is_fresh and not earlier.is_fresh:
            yield logging.INFO, f"factory {node} is heard again"


def _described(factory: FactoryRecord) -> str:
    told = factory.handshake
    place = f"in zone {told.zone}" if told.zone else "in no zone"
    workers = "1 worker" if told.workers == 1 else f"{told.workers} workers"
    return f"{place}, with {workers}: it offers {', '.join(each.name for each in told.scenarios)}"
