"""`run` and `standalone`: a campaign on this machine, from the configuration to the exit code."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from qalipsis.cli import arguments
from qalipsis.cli.exit_codes import of_report
from qalipsis.cli.interruption import interruption
from qalipsis.cli.loop import run_on_a_loop
from qalipsis.cli.progress import progress
from qalipsis.cli.report_files import ReportFiles
from qalipsis.cli.streams import show
from qalipsis.config.loader import Configuration, load
from qalipsis.config.logs import set_up_logging
from qalipsis.config.settings import Settings
from qalipsis.errors import QalipsisError
from qalipsis.reports import text
from qalipsis.reports.model import Report
from qalipsis.wiring import RunRequest, open_run


def run(options: argparse.Namespace) -> int:
    """Run the campaign of the command line and report; the exit code is the campaign's."""
    return run_campaign(
        load(overrides=arguments.overrides(options)), options.paths, arguments.patterns(options), options
    )


def standalone(options: argparse.Namespace) -> int:
    """With --autostart as `run`, and otherwise a REST API through which campaigns are started."""
    arguments.check_autostart(options)
    if options.autostart:
        return run(options)
    # What a server needs is an extra, and slow to import.
    from qalipsis.cli.serve import serve

    return serve(load(overrides=arguments.overrides(options)), options)


def run_campaign(
    configuration: Configuration,
    paths: Sequence[str],
    patterns: Sequence[str],
    options: argparse.Namespace,
    known: Sequence[str] = (),
) -> int:
    """Run the selected scenarios of `paths`, show them running, write the report; returns the exit code.

    `known` are keys that the caller reads, beside those of the scenarios.
    """
    export = configuration.settings.report.export
    set_up_logging(configuration.settings.logging, sys.stderr)
    files = ReportFiles(export, options.report_dir)
    request = RunRequest(
        paths=tuple(paths),
        patterns=tuple(patterns),
        settings=configuration.settings,
        properties=configuration.properties,
        check_keys=lambda declared: configuration.check_unknown((*declared, *known)),
    )
    is_live = export.console_live.enabled is not False and not options.no_live
    report = run_on_a_loop(_campaign(request, is_live))
    return conclude(report, files, configuration.settings)


def conclude(report: Report, files: ReportFiles, settings: Settings) -> int:
    """Write the report and show it; returns the exit code of the campaign."""
    written, failures = files.write(report)
    if settings.report.export.console.enabled:
        show(_text(report, written))
    if failures:
        raise QalipsisError("the campaign ended, but not its report: " + "; ".join(failures))
    return of_report(report)


async def _campaign(request: RunRequest, is_live: bool) -> Report:
    with progress(is_live) as watch:
        async with open_run(request, watch) as campaign:
            with interruption(campaign.stop):
                return await campaign.wait()


def _text(report: Report, written: Sequence[Path]) -> str:
    has_color = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 100
    return text.render(report, width, has_color, [str(path) for path in written])
