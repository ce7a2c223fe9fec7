"""`qalipsis db` creates the tables and tells of them; only what it was asked for changes anything."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from qalipsis.cli.arguments import parse
from qalipsis.cli.database import manage
from qalipsis.cli.main import COMMANDS
from qalipsis.config.settings import Datasource
from tests.head.database.conftest import guest, run_sql, server
from tests.services.home import free_port
from tests.services.postgres import Postgres

__all__ = ["guest", "server"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def db(*words: str) -> int:
    _, options = parse(COMMANDS, ("db", *words))
    return manage(options)


def options_of(datasource: Datasource) -> list[str]:
    assert datasource.password is not None
    values = {
        "host": datasource.host,
        "port": datasource.port,
        "database": datasource.database,
        "username": datasource.username,
        "password": datasource.password.reveal(),
    }
    return [word for key, value in values.items() for word in ("-c", f"datasource.{key}={value}")]


def test_status_creates_nothing_and_upgrade_creates_the_tables(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert db("status") == 0
    assert "there are no tables yet, `qalipsis db upgrade` brings them to 0003" in capsys.readouterr().out
    assert list(here.iterdir()) == []
    assert db("upgrade") == 0
    assert "data/qalipsis.db: the tables were created, at revision 0003" in capsys.readouterr().out
    for action in ("upgrade", "status"):
        assert db(action) == 0
        assert "the tables are up to date, at revision 0003" in capsys.readouterr().out


def test_the_tables_of_a_server_are_found_by_the_sql_of_administrators(
    server: Datasource, capsys: pytest.CaptureFixture[str]
) -> None:
    for expected in ("the tables were created", "the tables are up to date"):
        assert db("upgrade", *options_of(server)) == 0
        shown = capsys.readouterr()
        assert f"PostgreSQL at {server.host}:{server.port}, database {server.database}" in shown.out
        assert expected in shown.out
        assert "ALTER DATABASE" not in shown.out
        assert "secret of" not in shown.out + shown.err


def test_without_the_right_to_set_the_search_path_the_statement_is_shown(
    postgres: Postgres, guest: Datasource, capsys: pytest.CaptureFixture[str]
) -> None:
    asyncio.run(run_sql(postgres, f"GRANT CREATE ON DATABASE {guest.database} TO {guest.username}"))
    assert db("upgrade", *options_of(guest)) == 0
    shown = capsys.readouterr().out
    assert "let an administrator run:\n    ALTER DATABASE" in shown
    assert 'SET search_path = "$user", public, "qalipsis";' in shown


def test_the_command_ends_with_the_code_of_what_happened(here: Path) -> None:
    away = ("-c", "datasource.host=127.0.0.1", "-c", f"datasource.port={free_port()}")
    for words, code, message in (
        (("upgrade",), 0, ""),
        (("upgrade", *away), 69, "cannot reach PostgreSQL at 127.0.0.1"),
        (("downgrade",), 64, "invalid choice: 'downgrade'"),
    ):
        command = [sys.executable, "-m", "qalipsis", "db", *words]
        result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert result.returncode == code, result.stderr
        assert message in result.stderr
        assert "Traceback" not in result.stderr
