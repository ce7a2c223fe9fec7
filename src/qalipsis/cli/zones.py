"""`zones`: the places that campaigns may ask for."""

from __future__ import annotations

import argparse
import shutil
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from qalipsis.cli import arguments
from qalipsis.cli.arguments import UsageError
from qalipsis.cli.exit_codes import ExitCode
from qalipsis.cli.loop import run_on_a_loop
from qalipsis.config.loader import load
from qalipsis.config.settings import Datasource
from qalipsis.head.database.database import open_database
from qalipsis.head.database.store import DatabaseStore
from qalipsis.head.zones import Zone
from qalipsis.reports.figures import printable

WIDTH_OF_A_FILE = 200


def manage(options: argparse.Namespace) -> int:
    """List, add, disable or enable; the list is shown after each of them."""
    _check(options)
    configuration = load(overrides=arguments.overrides(options))
    _show(run_on_a_loop(_act(options, configuration.settings.datasource)))
    return ExitCode.SUCCESSFUL


async def _act(options: argparse.Namespace, datasource: Datasource) -> Sequence[Zone]:
    async with open_database(datasource, upgrade=False) as database:
        store = DatabaseStore(database)
        match options.action:
            case "add":
                await store.add_zone(
                    Zone(
                        key=options.key,
                        title=options.title or options.key,
                        description=options.description,
                        image_path=options.image,
                    )
                )
            case "disable" | "enable":
                await store.enable_zone(options.key, enabled=options.action == "enable")
        return await store.zones()


def _check(options: argparse.Namespace) -> None:
    if options.action == "list":
        if options.key is not None:
            raise UsageError(f"`zones list` shows all zones: leave out {options.key}")
    elif options.key is None:
        raise UsageError(f"the key of the zone is missing: `qalipsis zones {options.action} eu-west-1`")
    described = options.title or options.description or options.image
    if described and options.action != "add":
        raise UsageError("--title, --description and --image belong to `zones add`")


def _show(zones: Sequence[Zone]) -> None:
    if not zones:
        print("there are no zones; `qalipsis zones add KEY` adds one")
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("KEY", "STATE", "TITLE", "DESCRIPTION", "IMAGE"):
        table.add_column(heading, overflow="fold", no_wrap=heading in ("KEY", "STATE"))
    for zone in zones:
        state = Text("enabled", "green") if zone.enabled else Text("disabled", "yellow")
        described = (zone.title, zone.description or "", zone.image_path or "")
        table.add_row(Text(printable(zone.key)), state, *(Text(printable(each)) for each in described))
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDTH_OF_A_FILE
    Console(width=width).print(table)
