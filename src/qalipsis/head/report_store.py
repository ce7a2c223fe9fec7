"""The seam behind which reports and their renderings are kept, and the one of a process of its own."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol

from msgspec.structs import replace

from qalipsis.clock import Clock
from qalipsis.head.campaign_list import moment
from qalipsis.head.report_task import COMPLETED, FAILED, PROCESSING, ReportTask
from qalipsis.head.report_template import ReportTemplate
from qalipsis.head.series_store import changed_meanwhile
from qalipsis.head.sharing import not_there
from qalipsis.system_clock import SystemClock


class ReportStore(Protocol):
    """Keeps reports, tasks and files; who may do what is not its business. `check_reports` proves it."""

    async def all(self) -> tuple[ReportTemplate, ...]:
        """In the order in which they were added."""

    async def find(self, reference: str) -> ReportTemplate | None: ...

    async def add(self, report: ReportTemplate) -> ReportTemplate:
        """Keep a new one, with its moments set."""

    async def replace(self, report: ReportTemplate) -> ReportTemplate:
        """Write a changed one, with its next version.

        Raises Stale when it was changed since the version it was read at, NotThere when it was deleted.
        """

    async def delete(self, reference: str) -> None:
        """With its tasks and files; nothing happens when it is not there."""

    async def begin(self, reference: str, report: str, creator: str) -> ReportTask:
        """A task that is worked on; raises NotThere when the report was deleted."""

    async def task(self, reference: str) -> ReportTask | None: ...

    async def finish(self, reference: str, content: bytes) -> None:
        """The file is there; nothing happens when the task is over or gone."""

    async def fail(self, reference: str, reason: str) -> None:
        """There will be no file, for this reason; nothing happens when the task is over or gone."""

    async def file(self, task: str) -> bytes | None: ...

    async def forget(self, most: int, before: datetime) -> None:
        """Forget tasks and files that began before this moment, and all but the latest ones."""


class MemoryReports:
    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._reports: dict[str, ReportTemplate] = {}
        self._tasks: dict[str, ReportTask] = {}
        self._files: dict[str, bytes] = {}

    async def all(self) -> tuple[ReportTemplate, ...]:
        return tuple(self._reports.values())

    async def find(self, reference: str) -> ReportTemplate | None:
        return self._reports.get(reference)

    async def add(self, report: ReportTemplate) -> ReportTemplate:
        added = replace(report, creation=self._now(), version=self._now())
        self._reports[report.reference] = added
        return added

    async def replace(self, report: ReportTemplate) -> ReportTemplate:
        known = self._reports.get(report.reference)
        if known is None:
            raise not_there("report", report.reference)
        if known.version != report.version:
            raise changed_meanwhile("report", report.reference)
        changed = replace(report, version=max(self._now(), known.version + timedelta(microseconds=1)))
        self._reports[report.reference] = changed
        return changed

    async def delete(self, reference: str) -> None:
        self._reports.pop(reference, None)
        for task in [each for each in self._tasks.values() if each.report == reference]:
            self._drop(task)

    async def begin(self, reference: str, report: str, creator: str) -> ReportTask:
        if report not in self._reports:
            raise not_there("report", report)
        task = ReportTask(reference=reference, report=report, creator=creator, creation=self._now())
        self._tasks[reference] = task
        return task

    async def task(self, reference: str) -> ReportTask | None:
        return self._tasks.get(reference)

    async def finish(self, reference: str, content: bytes) -> None:
        task = self._tasks.get(reference)
        if task is not None and task.status == PROCESSING:
            self._tasks[reference] = replace(task, status=COMPLETED)
            self._files[reference] = content

    async def fail(self, reference: str, reason: str) -> None:
        task = self._tasks.get(reference)
        if task is not None and task.status == PROCESSING:
            self._tasks[reference] = replace(task, status=FAILED, failure_reason=reason)

    async def file(self, task: str) -> bytes | None:
        return self._files.get(task)

    async def forget(self, most: int, before: datetime) -> None:
        tasks = list(self._tasks.values())
        for number, task in enumerate(tasks):
            if task.creation < before or number < len(tasks) - most:
                self._drop(task)

    def _drop(self, task: ReportTask) -> None:
        self._tasks.pop(task.reference, None)
        self._files.pop(task.reference, None)

    def _now(self) -> datetime:
        return moment(self._clock.epoch(self._clock.now()))
