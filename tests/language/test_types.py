"""What an editor tells an author: types flow down the chain."""

import re
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parent / "typed_scenarios.py"


def test_a_wrong_attribute_inside_a_lambda_is_a_type_error(tmp_path: Path) -> None:
    wrong = {
        number
        for number, line in enumerate(EXAMPLE.read_text().splitlines(), start=1)
        if line.rstrip().endswith("# wrong")
    }
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), str(EXAMPLE)]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    reported = {int(number) for number in re.findall(rf"{EXAMPLE.name}:(\d+): error", checked.stdout)}
    assert reported == wrong, checked.stdout + checked.stderr
