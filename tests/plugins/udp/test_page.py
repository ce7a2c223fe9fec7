"""The page on UDP: its examples run, and its tables know every option."""

from __future__ import annotations

import re
from inspect import signature
from pathlib import Path
from typing import Any

from qalipsis.factory.loader import load_plans
from qalipsis.plugins import udp
from tests.plugins.tcp.playing import play_plan

TEXT = (Path(__file__).parents[3] / "docs" / "plugins" / "udp.md").read_text()


async def test_the_examples_do_what_the_page_says(serve: Any, tmp_path: Path) -> None:
    module = tmp_path / "udp_page.py"
    module.write_text("\n".join(re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)))
    service = await serve(lambda data: [data])
    plans = load_plans([module], {"echo.port": service.port}).plans
    assert set(plans) == {"ask", "numbered"}
    ask, numbered = [await play_plan(plans[name]) for name in ("ask", "numbered")]
    assert (ask.requests, ask.ok, ask.failed_passes) == (110, 110, 0)
    assert (numbered.requests, numbered.ok, numbered.failed_passes) == (33, 33, 0)
    assert len(service.seen) == 143


def test_every_option_is_explained() -> None:
    explained = set(re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE))
    assert set(signature(udp.client).parameters) <= explained
    assert {"payload", "answers", "matching"} <= explained
