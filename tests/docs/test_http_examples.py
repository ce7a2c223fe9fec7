"""The page on HTTP: its examples compile, and its table of options knows them all."""

from __future__ import annotations

import re
from inspect import signature
from pathlib import Path

from qalipsis.factory.loader import load_plans
from qalipsis.plugins import http

PAGE = (Path(__file__).parents[2] / "docs" / "http.md").read_text()


def test_the_examples_are_scenarios_without_mistakes(tmp_path: Path) -> None:
    module = tmp_path / "page.py"
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    module.write_text("\n".join(blocks))
    assert set(load_plans([module], {}).plans) == {"orders", "portrait"}


def test_every_option_of_a_client_is_explained() -> None:
    explained = set(re.findall(r"`(\w+)`", PAGE))
    assert set(signature(http.client).parameters) <= explained


def test_every_part_of_a_request_is_explained() -> None:
    parts = {"query", "headers", "cookies", "json", "form", "multipart", "body", "auth", "timeout"}
    explained = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
    assert parts <= explained
