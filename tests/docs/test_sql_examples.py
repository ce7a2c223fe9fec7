"""The page on SQL: its examples compile, and its tables of options know them all."""

from __future__ import annotations

import re
from inspect import signature
from pathlib import Path
from typing import Any

import pytest

from qalipsis.factory.loader import load_plans
from qalipsis.plugins import sql
from qalipsis.plugins.sql.failures import BY_SQLSTATE

PAGE = (Path(__file__).parents[2] / "docs" / "plugins" / "sql.md").read_text()


def test_the_examples_are_scenarios_without_mistakes(tmp_path: Path) -> None:
    module = tmp_path / "page.py"
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    module.write_text("\n".join(blocks))
    assert set(load_plans([module], {}).plans) == {"saving", "raising", "looking", "following"}


@pytest.mark.parametrize(
    ("heading", "function"),
    [
        ("Database", sql.postgres),
        ("Save", sql.Database.save),
        ("Execute", sql.Database.execute),
        ("Search", sql.Database.search),
        ("Poll", sql.Database.poll),
    ],
)
def test_every_option_is_explained(heading: str, function: Any) -> None:
    part = PAGE.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`[a-z_`, ]+`) \|", part, re.MULTILINE)
    explained = {name for row in rows for name in re.findall(r"[a-z_]+", row)}
    assert explained == {*signature(function).parameters} - {"self"}


def test_every_class_of_failure_is_explained() -> None:
    part = PAGE.partition("## Failures\n")[2].partition("\n## ")[0]
    assert [kind for kind in BY_SQLSTATE.values() if f"`{kind}`" not in part] == []
