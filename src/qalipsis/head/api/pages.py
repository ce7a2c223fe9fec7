"""Reports as pages, drawn once: a report never changes, and drawing one holds up everybody else."""

from __future__ import annotations

import asyncio
from typing import Final

from qalipsis.head.service import CampaignService
from qalipsis.reports import page as html

MOST_KEPT: Final = 8
"""Pages, of some hundred kB each; the one that was asked for longest ago goes first."""


class Pages:
    """The HTML reports that were asked for last."""

    def __init__(self, service: CampaignService) -> None:
        self._service = service
        self._kept: dict[str, bytes] = {}
        # One at a time: each thread that draws takes the interpreter from the loop for 5 ms and more.
        self._drawing = asyncio.Lock()

    async def of(self, key: str) -> bytes:
        """The page of a campaign; raises UnknownCampaign as long as there is no report."""
        if key not in self._kept:
            async with self._drawing:
                if key not in self._kept:
                    await self._draw(key)
        page = self._kept[key] = self._kept.pop(key)
        return page

    async def _draw(self, key: str) -> None:
        report = await self._service.report(key)
        self._kept[key] = (await asyncio.to_thread(html.render, report)).encode()
        if len(self._kept) > MOST_KEPT:
            del self._kept[next(iter(self._kept))]
