"""A database costs nothing to those who use none, and its absence is told with what to install."""

from __future__ import annotations

import subprocess
import sys


def python(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )


def test_neither_help_nor_a_run_imports_the_drivers() -> None:
    result = python(
        "import sys, qalipsis.cli.main, qalipsis.cli.run, qalipsis.wiring, qalipsis.head.store\n"
        "print(sorted({'sqlalchemy', 'alembic', 'aiosqlite', 'asyncpg', 'greenlet'} & set(sys.modules)))"
    )
    assert (result.stdout, result.stderr) == ("[]\n", "")


def test_a_missing_driver_is_named_with_how_to_install_it() -> None:
    result = python(
        "import importlib.util, sys\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name: None if name == 'alembic' else find(name)\n"
        "from qalipsis.cli.main import main\n"
        "sys.exit(main(['db', 'status']))"
    )
    assert result.returncode == 64
    assert "the store needs alembic, which is missing: run `pip install 'qalipsis[cluster]'`" in result.stderr
