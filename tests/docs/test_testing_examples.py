"""The page on testing: its examples are tests that pass, and its tables know every parameter."""

from __future__ import annotations

import re
import subprocess
import sys
from inspect import signature
from pathlib import Path

import pytest

from qalipsis import testing

PAGE = (Path(__file__).parents[2] / "docs" / "testing.md").read_text()


def test_the_examples_are_tests_that_pass(tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "test_page.py").write_text("\n".join(blocks))
    (tmp_path / "pytest.ini").write_text("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_page.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"{PAGE.count('def test_')} passed" in ran.stdout


@pytest.mark.parametrize(
    "function",
    [testing.run_scenario, testing.fake_response, testing.check_step, testing.check_source],
    ids=lambda function: function.__name__,
)
def test_every_parameter_is_explained(function: object) -> None:
    explained = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`\n]+)`", PAGE))))
    assert set(signature(function).parameters) - {"scenario"} <= explained  # type: ignore[arg-type]


def test_every_public_name_is_shown_and_says_what_it_is() -> None:
    for name in testing.__all__:
        assert getattr(testing, name).__doc__, name
        assert name in PAGE or name == "VirtualClock", name
