"""What an editor tells an author: types flow down the chain, and out of the steps and sources of plugins."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
EXAMPLES = sorted(TESTS.glob("**/typed_*.py"))


@pytest.fixture(scope="session")
def reported(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What mypy says of all examples: at once, for nearly all of its time goes into what they import."""
    cache = tmp_path_factory.mktemp("mypy")
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--explicit-package-bases",
        "--cache-dir",
        str(cache),
    ]
    checked = subprocess.run(
        [*command, *map(str, EXAMPLES)],
        cwd=TESTS.parent,
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert checked.returncode == 1, checked.stdout + checked.stderr
    return checked.stdout


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: f"{example.parent.name}-{example.stem}")
def test_the_lines_that_are_wrong_are_type_errors_and_no_others(reported: str, example: Path) -> None:
    lines = example.read_text().splitlines()
    wrong = {number for number, line in enumerate(lines, start=1) if line.rstrip().endswith("# wrong")}
    name = re.escape(str(example.relative_to(TESTS.parent)))
    assert wrong
    assert {int(number) for number in re.findall(rf"^{name}:(\d+): error", reported, re.MULTILINE)} == wrong
