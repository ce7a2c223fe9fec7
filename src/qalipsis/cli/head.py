"""`head`: what people and CI speak to; it drives the factories of a cluster, and runs no user code."""

from __future__ import annotations

import argparse
import logging
import sys
from typing import Final

from qalipsis.cli import arguments
from qalipsis.cli.exit_codes import ExitCode
from qalipsis.cli.interruption import interruption
from qalipsis.cli.loop import run_on_a_loop
from qalipsis.cli.progress import progress
from qalipsis.cli.report_files import ReportFiles
from qalipsis.cli.run import conclude
from qalipsis.cli.serve import serve_api
from qalipsis.cli.streams import tell
from qalipsis.config.loader import Configuration, load
from qalipsis.config.logs import set_up_logging
from qalipsis.config.settings import Settings
from qalipsis.errors import ConfigurationError, QalipsisError
from qalipsis.head.api.server import listen
from qalipsis.reports.model import Report
from qalipsis.wiring import broker_of, campaign_of, environment, open_head

HOST: Final = "0.0.0.0"

_log = logging.getLogger(__name__)


def head(options: argparse.Namespace) -> int:
    """Serve the REST API until Ctrl-C; with --autostart run one campaign and return its exit code."""
    arguments.check_autostart(options)
    configuration = load(overrides=arguments.overrides(options))
    settings = configuration.settings
    # A live view tells more, and would be torn by lines between.
    is_live = options.autostart and _is_live(settings, options) and sys.stderr.isatty()
    set_up_logging(settings.logging, sys.stderr, usual="WARN" if is_live else "INFO")
    _warn_of_unknown_keys(configuration)
    if options.autostart:
        return _autostart(settings, options)
    run_on_a_loop(_serve(settings, options.insecure))
    return ExitCode.SUCCESSFUL


def _autostart(settings: Settings, options: argparse.Namespace) -> int:
    files = ReportFiles(settings.report.export, options.report_dir)
    report = run_on_a_loop(_run(settings, arguments.patterns(options), _is_live(settings, options)))
    return conclude(report, files, settings)


def _is_live(settings: Settings, options: argparse.Namespace) -> bool:
    return settings.report.export.console_live.enabled is not False and not options.no_live


async def _run(settings: Settings, patterns: tuple[str, ...], is_live: bool) -> Report:
    async with open_head(settings) as here:
        needed = settings.campaign.required_factories
        tell(
            f"waiting for {needed} {'factory' if needed == 1 else 'factories'} through {broker_of(settings)}"
        )
        with progress(is_live) as watch:
            run = await here.prepare(campaign_of(settings, environment(), patterns), watch)
            try:
                with interruption(run.stop):
                    return await run.wait()
            finally:
                try:
                    await here.dismiss_factories()
                except QalipsisError as error:  # the campaign is over all the same
                    tell(f"the factories were not told to end: {error}")


async def _serve(settings: Settings, is_insecure: bool) -> None:
    with listen(settings.server.host or HOST, settings.server.port) as listener:
        async with open_head(settings) as here:
            _log.info("this head meets its factories through %s", broker_of(settings))
            await serve_api(here, listener, settings, is_insecure=is_insecure)


def _warn_of_unknown_keys(configuration: Configuration) -> None:
    """Keys that scenarios read are known to factories only, and both may have the same file."""
    try:
        configuration.check_unknown(())
    except ConfigurationError as error:
        _log.warning("unless scenarios of a factory read them, these keys are unknown: %s", error)
