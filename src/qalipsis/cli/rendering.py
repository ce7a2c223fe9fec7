"""`report`: a report.json, shown again or in another form."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from qalipsis.cli.arguments import UsageError
from qalipsis.cli.exit_codes import ExitCode
from qalipsis.reports import json_report, junit, page, text
from qalipsis.reports.model import Report


def render(options: argparse.Namespace) -> int:
    """Write the report in the wanted form; the exit code says nothing about the campaign."""
    body = _rendered(
        _read(Path(options.file)), options.format, options.output is None and sys.stdout.isatty()
    )
    if options.output is None:
        sys.stdout.flush()
        sys.stdout.buffer.write(body)
        return ExitCode.SUCCESSFUL
    try:
        Path(options.output).write_bytes(body)
    except OSError as error:
        raise UsageError(f"cannot write {options.output}: {error.strerror}") from error
    return ExitCode.SUCCESSFUL


def _read(path: Path) -> Report:
    try:
        return json_report.decode(path.read_bytes())
    except OSError as error:
        hint = "; name the report.json in it" if path.is_dir() else ""
        raise UsageError(f"cannot read {path}: {error.strerror}{hint}") from error
    except ValueError as error:
        raise UsageError(f"{path}: {error}") from error


def _rendered(report: Report, form: str, is_terminal: bool) -> bytes:
    match form:
        case "html":
            return page.render(report).encode()
        case "junit":
            return junit.render(report)
        case "json":
            return json_report.encode(report)
        case _:
            return text.render(report, color=is_terminal).encode()
