"""`factory`: the workers of this machine, for the campaigns of a cluster's heads, until it is told to end."""

from __future__ import annotations

import argparse
import sys

from qalipsis.cli import arguments
from qalipsis.cli.exit_codes import ExitCode
from qalipsis.cli.interruption import interruption
from qalipsis.cli.loop import run_on_a_loop
from qalipsis.config.loader import load
from qalipsis.config.logs import set_up_logging
from qalipsis.wiring import Member, RunRequest, open_factory


def factory(options: argparse.Namespace) -> int:
    """Serve until a head or Ctrl-C says to end; the campaign that runs then is ended first, softly."""
    configuration = load(overrides=arguments.overrides(options))
    set_up_logging(configuration.settings.logging, sys.stderr, usual="INFO")
    request = RunRequest(
        paths=tuple(options.paths),
        settings=configuration.settings,
        properties=configuration.properties,
        check_keys=configuration.check_unknown,
    )
    run_on_a_loop(_serve(request, options.transient))
    return ExitCode.SUCCESSFUL


async def _serve(request: RunRequest, is_transient: bool) -> None:
    async with open_factory(request, is_transient) as member:
        _announce(member, request.settings.factory.zone)
        with interruption(member.stop):
            await member.serve()


def _announce(member: Member, zone: str | None) -> None:
    place = "" if zone is None else f" in zone {zone}"
    workers = "1 worker" if member.workers == 1 else f"{member.workers} workers"
    print(f"Factory {member.node}{place}, {workers}, offers {', '.join(member.scenarios)}.")
    print(f"Looking for a head through {member.broker}; Ctrl-C stops it.", flush=True)
