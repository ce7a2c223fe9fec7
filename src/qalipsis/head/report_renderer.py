"""Renders reports: each by a process of its own, which has a deadline and holds up nobody."""

from __future__ import annotations

import asyncio
import logging
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

import msgspec

from qalipsis.errors import QalipsisError
from qalipsis.head.data_series import new_reference
from qalipsis.head.refusals import Busy, NotReady, NotThere, TooMuch
from qalipsis.head.report_document import document_of
from qalipsis.head.report_shelf import ReportShelf
from qalipsis.head.report_store import ReportStore
from qalipsis.head.report_task import (
    DEADLINE_SECONDS,
    FAILED,
    KEPT_FOR,
    MOST_FILES,
    PROCESSING,
    ReportTask,
    as_it_stands,
)
from qalipsis.head.report_template import ReportTemplate
from qalipsis.head.sharing import may_see, not_there
from qalipsis.head.time_series_reader import Scope, TimeSeriesReader
from qalipsis.reports.document import Document

MOST_WAITING: Final = 10
MOST_LINES: Final = 300
"""Of all diagrams and tables of a report together, one of each data series and campaign."""
COMMAND: Final = (sys.executable, "-P", "-m", "qalipsis.reports.pdf")
UNEXPECTED: Final = "an unexpected error occurred, the log of the head says more"

_log = logging.getLogger(__name__)


class RenderingFailed(QalipsisError):
    """The process that draws could not do it."""


class ReportRenderer:
    """One rendering is worked on at a time; `aclose` gives up those that are not done."""

    def __init__(
        self,
        reports: ReportStore,
        shelf: ReportShelf,
        time_series: TimeSeriesReader,
        *,
        command: tuple[str, ...] = COMMAND,
        deadline_seconds: float = DEADLINE_SECONDS,
    ) -> None:
        self._reports = reports
        self._shelf = shelf
        self._time_series = time_series
        self._command = command
        self._deadline_seconds = deadline_seconds
        self._turn = asyncio.Semaphore(1)
        self._working: set[asyncio.Task[None]] = set()

    async def render(self, reference: str, user: str) -> ReportTask:
        """Begin to render the report as this user sees it; raises NotThere, or Busy."""
        report = await self._shelf.get(reference, user)
        if len(self._working) >= MOST_WAITING:
            raise Busy(f"{MOST_WAITING} reports are being rendered already; try again later")
        await self._reports.forget(MOST_FILES - 1, datetime.now(UTC) - KEPT_FOR)
        task = await self._reports.begin(new_reference(), report.reference, user)
        work = asyncio.create_task(self._work(task, report))
        self._working.add(work)
        work.add_done_callback(self._working.discard)
        return task

    async def file(self, reference: str, user: str) -> tuple[ReportTask, bytes]:
        """The file; raises NotReady while it is worked on, RenderingFailed with the reason, NotThere."""
        task = await self._reports.task(reference)
        report = None if task is None else await self._reports.find(task.report)
        if task is None or report is None or not (task.creator == user or may_see(report, user)):
            raise not_there("rendering", reference)
        task = as_it_stands(task, datetime.now(UTC))
        if task.status == PROCESSING:
            raise NotReady(f"rendering {reference} is still being worked on; ask again")
        if task.status == FAILED:
            raise RenderingFailed(f"rendering {reference} failed: {task.failure_reason}")
        content = await self._reports.file(reference)
        if content is None:
            raise not_there("rendering", reference)
        return task, content

    async def aclose(self) -> None:
        """Returns when nothing is worked on any more."""
        for work in list(self._working):
            work.cancel()
        if self._working:
            await asyncio.wait(self._working)

    async def _work(self, task: ReportTask, report: ReportTemplate) -> None:
        reason: str | None = None
        try:
            async with self._turn, asyncio.timeout(self._deadline_seconds):
                content = await self._draw(await self._document(task, report))
                await self._reports.finish(task.reference, content)
        except TimeoutError:
            reason = f"it took more than {self._deadline_seconds:g} s; choose fewer campaigns or data series"
        except asyncio.CancelledError:
            reason = "the head was stopped"
            raise
        except QalipsisError as error:
            reason = str(error)
        except Exception:
            _log.exception("rendering %s of report %s failed", task.reference, task.report)
            reason = UNEXPECTED
        finally:
            if reason is not None:
                _log.warning("rendering %s of report %s failed: %s", task.reference, task.report, reason)
                with suppress(QalipsisError):
                    await self._reports.fail(task.reference, reason)

    async def _document(self, task: ReportTask, report: ReportTemplate) -> Document:
        resolved = await self._shelf.resolve(report, task.creator)
        series = {each.reference: each for _, those in resolved.components for each in those}
        lines = sum(len(those) for _, those in resolved.components) * len(resolved.campaigns)
        if lines > MOST_LINES:
            raise TooMuch(
                f"there are {lines} lines to draw, and {MOST_LINES} are possible: choose fewer "
                "campaigns or data series"
            )
        # All scenarios are meant without patterns, those that have been forgotten included.
        scenarios = resolved.scenarios if report.scenario_names_patterns else ()
        curves = {}
        for campaign in resolved.campaigns:
            if report.scenario_names_patterns and not scenarios:
                raise NotThere("no scenario of these campaigns matches the patterns of the report")
            scope = Scope(campaigns=(campaign.key,), scenarios=scenarios)
            curves[campaign.key] = await self._time_series.aggregate(
                tuple(series.values()), scope, is_drawn=True
            )
        return document_of(resolved, curves, datetime.now(UTC), task.creator)

    async def _draw(self, document: Document) -> bytes:
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(*self._command, stdin=pipe, stdout=pipe, stderr=pipe)
        try:
            content, complaint = await process.communicate(msgspec.json.encode(document))
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if process.returncode != 0 or not content:
            _log.error("drawing failed: %s", complaint.decode(errors="replace")[-4000:])
            raise RenderingFailed(UNEXPECTED)
        return content
