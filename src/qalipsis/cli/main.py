"""The command `qalipsis`: finds the command, runs it, and turns what happened into an exit code.

Only what `--help` needs is imported here; a command imports its parts when it is the one to run.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from importlib import import_module

from qalipsis.cli import arguments, streams
from qalipsis.cli.arguments import Command, HelpShown
from qalipsis.cli.exit_codes import ExitCode, of_error
from qalipsis.errors import QalipsisError

BESIDE_OTHERS = "usable cores less one"


def _run(parser: argparse.ArgumentParser) -> None:
    arguments.add_paths(parser)
    arguments.add_selection(parser)
    arguments.add_configuration(parser)
    arguments.add_workers(parser, BESIDE_OTHERS)
    arguments.add_campaign(parser)
    arguments.add_seed(parser)
    arguments.add_debug(parser)


def _standalone(parser: argparse.ArgumentParser) -> None:
    arguments.add_paths(parser)
    arguments.add_autostart(parser, "run one campaign at once, without a REST API")
    arguments.add_configuration(parser)
    arguments.add_workers(parser, BESIDE_OTHERS)
    arguments.add_seed(parser)
    arguments.add_debug(parser)


def _head(parser: argparse.ArgumentParser) -> None:
    arguments.add_autostart(
        parser,
        "run one campaign as soon as campaign.required-factories have come, then end them and this",
    )
    arguments.add_configuration(parser)
    arguments.add_seed(parser)
    arguments.add_debug(parser)


def _factory(parser: argparse.ArgumentParser) -> None:
    arguments.add_paths(parser)
    arguments.add_configuration(parser)
    arguments.add_workers(parser, "usable cores")
    stays = parser.add_mutually_exclusive_group()
    stays.add_argument("--persistent", action="store_true", help="stay for any number of campaigns (default)")
    stays.add_argument("--transient", action="store_true", help="end after the first campaign")
    arguments.add_debug(parser)


def _list(parser: argparse.ArgumentParser) -> None:
    arguments.add_paths(parser)
    arguments.add_selection(parser)
    arguments.add_configuration(parser)
    arguments.add_debug(parser)


def _report(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a report.json")
    parser.add_argument(
        "-f", "--format", choices=("text", "html", "junit", "json"), default="text", help="default: text"
    )
    parser.add_argument("-o", "--output", metavar="PATH", help="file to write; default: the standard output")
    arguments.add_debug(parser)


def _demo(parser: argparse.ArgumentParser) -> None:
    arguments.add_configuration(parser)
    arguments.add_workers(parser, BESIDE_OTHERS)
    arguments.add_campaign(parser)
    arguments.add_seed(parser)
    arguments.add_debug(parser)


def _db(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "action", choices=("upgrade", "status"), help="bring the tables to this version, or look at them"
    )
    arguments.add_configuration(parser)
    arguments.add_debug(parser)


def _zones(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "action", choices=("list", "add", "disable", "enable"), help="a disabled zone stays listed"
    )
    parser.add_argument("key", nargs="?", metavar="KEY", help="what factories name as their factory.zone")
    parser.add_argument("--title", metavar="TEXT", help="name for people; default: the key")
    parser.add_argument("--description", metavar="TEXT", help="more about the zone")
    parser.add_argument("--image", metavar="URL", help="a picture that stands for the zone")
    arguments.add_configuration(parser)
    arguments.add_debug(parser)


def _keys(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", choices=("create", "list", "revoke"), help="a revoked key stays listed")
    parser.add_argument(
        "key", nargs="?", metavar="NAME", help="a name for a new key, or the reference of one"
    )
    parser.add_argument(
        "--role", choices=("reader", "tester", "administrator"), help="what its owner may do; default: tester"
    )
    arguments.add_configuration(parser)
    arguments.add_debug(parser)


COMMANDS = (
    Command("run", "run the scenarios of PATH at once, on this machine, and report", _run),
    Command("standalone", "serve the REST API, head and factory in one process, until Ctrl-C", _standalone),
    Command("head", "serve the REST API of a cluster and drive its factories, until Ctrl-C", _head),
    Command("factory", "offer the scenarios of PATH to the heads of a cluster, and run their load", _factory),
    Command("list", "show the scenarios of PATH", _list),
    Command("validate", "check the scenarios and the configuration, and show every mistake", _list),
    Command("report", "show a report.json again, or make another form of it", _report),
    Command("db", "create or upgrade the tables of the store, or show their revision", _db),
    Command("zones", "list, add, disable or enable the zones that campaigns may ask for", _zones),
    Command("keys", "create, list or revoke the keys of the REST API", _keys),
    Command("demo", "run a campaign against a small shop, bundled and started on loopback", _demo),
)
RUNNERS = {
    "run": "qalipsis.cli.run:run",
    "standalone": "qalipsis.cli.run:standalone",
    "head": "qalipsis.cli.head:head",
    "factory": "qalipsis.cli.factory:factory",
    "list": "qalipsis.cli.listing:show",
    "validate": "qalipsis.cli.listing:validate",
    "report": "qalipsis.cli.rendering:render",
    "db": "qalipsis.cli.database:manage",
    "zones": "qalipsis.cli.zones:manage",
    "keys": "qalipsis.cli.keys:manage",
    "demo": "qalipsis.cli.demo:demo",
}


def main(given: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code and raises nothing."""
    words = list(sys.argv[1:] if given is None else given)
    streams.open_missing()
    streams.make_robust()
    # Whoever ends us, what was opened is closed.
    for each in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(each) is not signal.SIG_IGN:
            signal.signal(each, signal.default_int_handler)
    try:
        code = _dispatch(words)
        sys.stdout.flush()
    except HelpShown:
        return ExitCode.SUCCESSFUL
    except KeyboardInterrupt:
        return _tell("interrupted", ExitCode.ABORTED)
    except BrokenPipeError:
        # The reader of our output (`| head`) has seen enough; nothing may be flushed into the closed pipe.
        streams.silence(sys.stdout)
        return ExitCode.SUCCESSFUL
    except Exception as error:
        if "--debug" in words:
            import traceback

            streams.tell(traceback.format_exc().rstrip())
        return _explain(error, is_debug="--debug" in words)
    return code


def _dispatch(words: Sequence[str]) -> int:
    if words and words[0] in ("--version", "-V"):
        from importlib.metadata import version

        print(f"qalipsis {version('qalipsis')}")
        return ExitCode.SUCCESSFUL
    command, options = arguments.parse(COMMANDS, words)
    module, _, name = RUNNERS[command.name].partition(":")
    runner: Callable[[argparse.Namespace], int] = getattr(import_module(module), name)
    return runner(options)


def _explain(error: Exception, is_debug: bool) -> int:
    code = of_error(error)
    if isinstance(error, QalipsisError):
        return _tell(str(error), code)
    hint = "" if is_debug else "; run it again with --debug to see where"
    return _tell(f"internal error, {type(error).__name__}: {error}{hint}", code)


def _tell(message: str, code: ExitCode) -> int:
    streams.tell(f"qalipsis: {message}")
    return code
