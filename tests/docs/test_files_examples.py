"""The page on files: its examples run, and its tables know every option and every class of failure."""

from __future__ import annotations

import gzip
import re
from inspect import signature
from pathlib import Path

import pytest

from qalipsis.factory.loader import load_plans
from qalipsis.plugins import files
from tests.plugins.files.campaign import run

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "plugins" / "files.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
NAMES = {"welcome", "busy", "buying", "accounts", "events", "contacts", "tolerant"}
ELEMENT = '<user id="7"><name>Ann</name><tag>a</tag><tag>b</tag></user>'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "users.csv").write_text("name,age,member_since\nAnn,31,2024-02-29\nBob,42,\nCid,53,\n")
    (tmp_path / "orders.csv").write_text("id;total\n1;9,50\n2;0,75\n")
    document = b'{"data": {"accounts": [{"ownerName": "Ann"}, {"ownerName": "Bob", "balance": 1.5}]}}'
    (tmp_path / "export.json.gz").write_bytes(gzip.compress(document))
    (tmp_path / "events.jsonl").write_text('{"type": "in"}\n{"type": "out"}\n')
    assert ELEMENT in PAGE
    (tmp_path / "contacts.xml").write_text(f"<all>{ELEMENT}{ELEMENT}</all>")
    (tmp_path / "import.csv").write_text("name,age,member_since\nAnn,x,\n\nBob\nCid,5,2024-01-01\n")
    return tmp_path


async def test_the_examples_run(folder: Path) -> None:
    report = await run(folder, "\n".join(BLOCKS), "factory.workers=0")
    assert {each.name for each in report.scenarios} == NAMES
    assert report.campaign.status == "SUCCESSFUL", [
        (each.name, step.name, step.first_error) for each in report.scenarios for step in each.steps
    ]
    passed = {each.name: each.ledger.passes.completed for each in report.scenarios}
    assert all(passed.values())
    [bad] = [
        step.counters["bad-rows"]
        for each in report.scenarios
        for step in each.steps
        if "bad-rows" in step.counters
    ]
    assert bad == 2


def test_the_examples_need_nothing_but_the_page(tmp_path: Path) -> None:
    module = tmp_path / "page.py"
    module.write_text("\n".join(BLOCKS))
    assert set(load_plans([module], {}).plans) == NAMES


def test_every_option_is_explained() -> None:
    explained = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
    for function in (files.csv, files.json, files.xml):
        assert set(signature(function).parameters) <= explained


def test_every_class_of_failure_is_explained() -> None:
    sources = (ROOT / "src" / "qalipsis" / "plugins" / "files").glob("*.py")
    kinds = {kind for each in sources for kind in re.findall(r'StepError\(\s*"([\w-]+)"', each.read_text())}
    kinds |= {"encoding"}
    assert len(kinds) >= 6
    assert kinds <= set(re.findall(r"^\| `([\w-]+)` \|", PAGE, re.MULTILINE))
