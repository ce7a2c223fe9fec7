"""`qalipsis zones` shows, adds, disables and enables; a zone is never deleted."""

from __future__ import annotations

from pathlib import Path

import pytest

from qalipsis.cli import zones
from qalipsis.cli.arguments import UsageError, parse
from qalipsis.cli.main import COMMANDS
from qalipsis.config.settings import Datasource
from qalipsis.errors import ConfigurationError
from qalipsis.head.database.database import Database


@pytest.fixture(autouse=True)
async def tables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    database = Database(Datasource())
    await database.upgrade()
    await database.aclose()


def run(*words: str) -> int:
    _, options = parse(COMMANDS, ("zones", *words))
    return zones.manage(options)


def test_a_zone_is_added_listed_disabled_and_enabled(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("list") == 0
    assert "there are no zones; `qalipsis zones add KEY` adds one" in capsys.readouterr().out
    assert (
        run(
            "add", "eu-west-1", "--title", "West Europe", "--description", "General", "--image", "https://x/y"
        )
        == 0
    )
    assert run("add", "us") == 0
    shown = capsys.readouterr().out.splitlines()[-2:]
    assert [line.split() for line in shown] == [
        ["eu-west-1", "enabled", "West", "Europe", "General", "https://x/y"],
        ["us", "enabled", "us"],
    ]
    assert run("disable", "eu-west-1") == 0
    assert "eu-west-1  disabled  West Europe" in capsys.readouterr().out
    assert run("enable", "eu-west-1") == 0
    assert "eu-west-1  enabled  West Europe" in capsys.readouterr().out


def test_control_characters_of_a_title_do_not_reach_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("add", "odd", "--title", "[red]\x1b[31m") == 0
    shown = capsys.readouterr().out
    assert "\x1b[31m" not in shown
    assert "[red]" in shown


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("add",), "`qalipsis zones add eu-west-1`"),
        (("disable",), "`qalipsis zones disable eu-west-1`"),
        (("list", "x"), "leave out x"),
        (("disable", "x", "--title", "y"), "belong to `zones add`"),
        (("delete", "x"), "invalid choice: 'delete'"),
    ],
)
def test_bad_usage_is_refused_with_what_was_meant(words: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        run(*words)


def test_what_is_not_there_and_what_is_there_already_is_refused() -> None:
    run("add", "eu-west-1")
    with pytest.raises(ConfigurationError, match="there is a zone eu-west-1 already"):
        run("add", "eu-west-1")
    with pytest.raises(ConfigurationError, match="there is no zone eu; the zones are: eu-west-1"):
        run("disable", "eu")
    with pytest.raises(ConfigurationError, match="at most 50 characters"):
        run("add", "x" * 51)
