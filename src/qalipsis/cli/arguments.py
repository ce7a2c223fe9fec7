"""Reads the command line; a mistake in it is told with what was probably meant."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, NoReturn

from qalipsis.errors import ConfigurationError

EXIT_CODES = """exit codes:
  0 successful             64 bad usage or configuration
  1 failed                 65 no scenario, or a broken one
  2 aborted                69 a needed service cannot be reached
  3 the numbers are not    70 internal error
    VALID, nothing failed"""


Options = argparse.ArgumentParser | argparse._ArgumentGroup
"""What arguments are added to."""


class UsageError(ConfigurationError):
    """A command line that cannot be understood."""


class HelpShown(Exception):
    """The user asked for help and has it."""


@dataclass(frozen=True, slots=True)
class Command:
    """One command: `build` adds its arguments, and is called only when it is the one that was given."""

    name: str
    summary: str
    build: Callable[[argparse.ArgumentParser], None]


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message}\n    `{self.prog} --help` shows how to use it")

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        raise HelpShown


def parse(commands: Sequence[Command], arguments: Sequence[str]) -> tuple[Command, argparse.Namespace]:
    """The command that was given, with its options; raises UsageError or HelpShown."""
    by_name = {command.name: command for command in commands}
    first = arguments[0] if arguments else ""
    if first in ("-h", "--help", "help"):
        print(overview(commands))
        raise HelpShown
    if not first:
        raise UsageError(f"a command is missing\n\n{overview(commands)}")
    if first not in by_name:
        kind = "option" if first.startswith("-") else "command"
        raise UsageError(
            f"unknown {kind} {first}{_meant(first, by_name)}\n    `qalipsis --help` lists the commands"
        )
    command = by_name[first]
    parser = _Parser(
        prog=f"qalipsis {command.name}",
        description=command.summary,
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.build(parser)
    return command, _parse(parser, arguments[1:])


def overview(commands: Sequence[Command]) -> str:
    """What `qalipsis --help` shows."""
    listed = "\n".join(f"  {command.name:<12} {command.summary}" for command in commands)
    return (
        "usage: qalipsis COMMAND [OPTIONS]\n\n"
        "Distributed load, performance and end-to-end testing.\n\n"
        f"commands:\n{listed}\n\n"
        "`qalipsis COMMAND --help` shows the options of a command, `qalipsis --version` the version.\n\n"
        f"{EXIT_CODES}"
    )


def _parse(parser: _Parser, arguments: Sequence[str]) -> argparse.Namespace:
    # Intermixed: `run a.py -s x b.py` names two files.
    options, unknown = parser.parse_known_intermixed_args(list(arguments))
    if unknown:
        first = next((text for text in unknown if text.startswith("-")), unknown[0])
        known = [name for action in parser._actions for name in action.option_strings]
        parser.error(f"unknown option {first}{_meant(first.partition('=')[0], known)}")
    return options


def _meant(text: str, known: Any) -> str:
    close = get_close_matches(text, list(known), n=1, cutoff=0.5)
    return f": did you mean {close[0]}?" if close else ""


# The arguments, in the groups that commands share


def add_paths(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "paths", nargs="+", metavar="PATH", help="a file, a folder or an importable module with scenarios"
    )


def add_debug(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--debug", action="store_true", help="show the traceback of an error")


def add_configuration(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "-c",
        "--configuration",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="set a configuration key; wins over the environment and qalipsis.yml; may be repeated",
    )


def add_selection(parser: Options) -> None:
    parser.add_argument(
        "-s",
        "--scenarios",
        action="append",
        default=[],
        metavar="PATTERNS",
        help='names of the scenarios to use, `*` and `?` match: "checkout,browse-*"; default: all',
    )


OPTION_KEYS = {
    "name": "campaign.name",
    "workers": "factory.workers",
    "minions_factor": "campaign.minions-factor",
    "speed_factor": "campaign.speed-factor",
    "seed": "campaign.seed",
}
"""Options that are a short way to set a configuration key."""


def add_workers(parser: argparse.ArgumentParser, usual: str) -> None:
    parser.add_argument("--workers", metavar="N", help=f"worker processes; default: {usual}; 0: this process")


def add_seed(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seed", metavar="N", help="seed of everything random, to repeat a campaign")


def add_autostart(parser: argparse.ArgumentParser, meaning: str) -> None:
    """A server, or with --autostart the one campaign that the options of the group are about."""
    parser.add_argument("-a", "--autostart", action="store_true", help=meaning)
    parser.add_argument(
        "--insecure", action="store_true", help="need no API key, even on an address that others reach"
    )
    group = parser.add_argument_group("with --autostart")
    add_selection(group)
    add_campaign(group)


def add_campaign(parser: Options) -> None:
    add = parser.add_argument
    add("--name", metavar="TEXT", help="name of the campaign")
    add("--minions-factor", metavar="X", help="multiply the minions of each scenario")
    add("--speed-factor", metavar="X", help="run the profiles so much faster")
    add("--report-dir", metavar="DIR", help="where the reports go; default: reports/<campaign key>")
    add("--no-live", action="store_true", help="show nothing while the campaign runs")


OF_A_CAMPAIGN = ("scenarios", "name", "minions_factor", "speed_factor", "report_dir", "no_live")
"""What each campaign of the REST API says for itself. A `--seed` is that of all of them."""


def check_autostart(options: argparse.Namespace) -> None:
    """Refuse options that have no meaning with, or without, --autostart."""
    if options.autostart and options.insecure:
        raise UsageError("--insecure belongs to the REST API, which --autostart does without: leave it out")
    for name in OF_A_CAMPAIGN:
        if not options.autostart and getattr(options, name) not in (None, False, []):
            option = name.replace("_", "-")
            raise UsageError(
                f"--{option} belongs to --autostart: over the REST API, each campaign says what it runs"
            )


def overrides(options: argparse.Namespace) -> tuple[str, ...]:
    """The `key=value` of the command line, those of the options included; these come last and win."""
    given = vars(options)
    named = [f"{key}={given[name]}" for name, key in OPTION_KEYS.items() if given.get(name) is not None]
    return (*given.get("configuration", ()), *named)


def patterns(options: argparse.Namespace) -> tuple[str, ...]:
    """The scenario patterns, split at commas."""
    given = (part.strip() for text in options.scenarios for part in text.split(","))
    return tuple(pattern for pattern in given if pattern)
