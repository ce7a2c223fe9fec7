"""The files of a finished campaign."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from qalipsis.config.settings import ReportExport
from qalipsis.errors import ConfigurationError
from qalipsis.reports import json_report, junit, page
from qalipsis.reports.model import Report

DEFAULT_FOLDER = "reports"

_RENDER: dict[str, Callable[[Report], bytes]] = {
    "report.json": json_report.encode,
    "junit.xml": junit.render,
    "report.html": lambda report: page.render(report).encode(),
}


class ReportFiles:
    """Writes the forms that are enabled, each into its folder.

    A folder given on the command line wins over the configured ones; without any, each campaign gets its own.
    Make it before the campaign starts: a folder that cannot be written to is refused while nothing is lost.
    """

    def __init__(self, export: ReportExport, folder: str | None) -> None:
        forms = {"report.json": export.json, "junit.xml": export.junit, "report.html": export.html}
        self._folders = {name: folder or form.folder for name, form in forms.items() if form.enabled}
        for given in sorted({given or "" for given in self._folders.values()}):
            _check(Path(given or DEFAULT_FOLDER), is_made=bool(given))

    def write(self, report: Report) -> tuple[tuple[Path, ...], tuple[str, ...]]:
        """Write the files; returns where they lie, and for each that could not be written why."""
        own = Path(DEFAULT_FOLDER, report.campaign.key)
        written, failures = [], []
        for name, folder in self._folders.items():
            path = (Path(folder) if folder is not None else own) / name
            try:
                _write(path, _RENDER[name](report))
            except OSError as error:
                failures.append(f"{path}: {error.strerror}")
            else:
                written.append(path)
        return tuple(written), tuple(failures)


def _write(path: Path, body: bytes) -> None:
    """Write it whole or not at all: half a report would be taken for one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        unfinished.write_bytes(body)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _check(folder: Path, is_made: bool) -> None:
    """Raises when nothing can be written there; the default folder `is_made` only when there is a report."""
    probe = (folder if is_made or folder.exists() else folder.absolute().parent) / ".qalipsis-writes-here"
    try:
        if is_made:
            folder.mkdir(parents=True, exist_ok=True)
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ConfigurationError(
            f"reports cannot be written to {folder}: {error.strerror}; name another folder with --report-dir"
        ) from error
