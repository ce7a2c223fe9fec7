"""`keys`: who may use the REST API."""

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
from qalipsis.cli.streams import tell
from qalipsis.config.loader import load
from qalipsis.config.settings import Datasource
from qalipsis.head.api_keys import ApiKey, new_key
from qalipsis.head.database.database import open_database
from qalipsis.head.database.key_table import DatabaseKeys
from qalipsis.reports.figures import printable

WIDTH_OF_A_FILE = 200


def manage(options: argparse.Namespace) -> int:
    """Create a key and show it this one time, list the keys, or revoke one."""
    _check(options)
    configuration = load(overrides=arguments.overrides(options))
    created, listed = run_on_a_loop(_act(options, configuration.settings.datasource))
    if created is not None:
        tell("This is the only time that the key is shown; send it as `Authorization: Bearer KEY`.")
        print(created)
    else:
        _show(listed)
    return ExitCode.SUCCESSFUL


async def _act(options: argparse.Namespace, datasource: Datasource) -> tuple[str | None, Sequence[ApiKey]]:
    async with open_database(datasource, upgrade=options.action == "create") as database:
        keys = DatabaseKeys(database)
        if options.action == "create":
            key, text = new_key(options.key, options.role or "tester")
            await keys.add(key)
            return text, ()
        if options.action == "revoke":
            await keys.revoke(options.key)
        return None, await keys.all()


def _check(options: argparse.Namespace) -> None:
    if options.action == "list" and options.key is not None:
        raise UsageError(f"`keys list` shows all keys: leave out {options.key}")
    if options.action == "create" and options.key is None:
        raise UsageError("the name of the key is missing: `qalipsis keys create ci --role tester`")
    if options.action == "revoke" and options.key is None:
        raise UsageError("the key is missing: `qalipsis keys revoke REFERENCE`, as `keys list` shows it")
    if options.role is not None and options.action != "create":
        raise UsageError("--role belongs to `keys create`")


def _show(keys: Sequence[ApiKey]) -> None:
    if not keys:
        print("there are no keys; `qalipsis keys create NAME` adds one")
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("REFERENCE", "STATE", "ROLE", "NAME", "CREATED"):
        table.add_column(heading, overflow="fold", no_wrap=heading in ("REFERENCE", "STATE", "ROLE"))
    for key in keys:
        state = Text("valid", "green") if key.revoked_at is None else Text("revoked", "yellow")
        created = "" if key.creation is None else f"{key.creation:%Y-%m-%d %H:%M} UTC"
        table.add_row(key.reference, state, key.role, Text(printable(key.name)), created)
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDTH_OF_A_FILE
    Console(width=width).print(table)
