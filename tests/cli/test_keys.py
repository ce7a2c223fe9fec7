"""`qalipsis keys` makes, shows and revokes keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from qalipsis.cli import keys
from qalipsis.cli.arguments import UsageError, parse
from qalipsis.cli.main import COMMANDS
from qalipsis.errors import ConfigurationError


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*words: str) -> int:
    _, options = parse(COMMANDS, ("keys", *words))
    return keys.manage(options)


def test_a_key_is_shown_once_listed_and_revoked(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("create", "ci", "--role", "reader") == 0
    text = capsys.readouterr().out.strip()
    reference = text.split("_")[1]
    assert run("list") == 0
    listed = capsys.readouterr().out
    assert f"{reference}  valid  reader  ci" in listed
    assert text not in listed
    assert run("revoke", reference) == 0
    assert f"{reference}  revoked  reader  ci" in capsys.readouterr().out
    with pytest.raises(ConfigurationError, match=f"there is no key x to revoke; the keys are: {reference}"):
        run("revoke", "x")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("create",), "keys create ci"),
        (("revoke",), "keys revoke REFERENCE"),
        (("list", "x"), "leave out x"),
        (("revoke", "x", "--role", "tester"), "belongs to `keys create`"),
    ],
)
def test_bad_usage_is_refused_with_what_was_meant(words: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        run(*words)
