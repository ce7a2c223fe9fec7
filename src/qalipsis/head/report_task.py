"""A rendering of a report: asked for, worked on, kept as a file for a while."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

PROCESSING: Final = "PROCESSING"
COMPLETED: Final = "COMPLETED"
FAILED: Final = "FAILED"

DEADLINE_SECONDS: Final = 120.0
"""What is not rendered by then is given up."""

LOST_AFTER: Final = timedelta(minutes=30)
"""As long as a task may wait for others and be worked on; beyond it, the head that did it has ended."""

MOST_FILES: Final = 100
KEPT_FOR: Final = timedelta(days=7)


class ReportTask(Struct, frozen=True, kw_only=True):
    reference: str
    report: str
    creator: str
    creation: datetime
    status: str = PROCESSING
    failure_reason: str | None = None


def as_it_stands(task: ReportTask, now: datetime) -> ReportTask:
    """The task, failed when nobody can be working on it any more."""
    if task.status == PROCESSING and now - task.creation > LOST_AFTER:
        return replace(task, status=FAILED, failure_reason="the head that rendered it was stopped")
    return task
