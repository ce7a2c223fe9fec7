"""The page on TCP: its examples run, and its tables know every option, every class and every end."""

from __future__ import annotations

import re
from inspect import signature
from pathlib import Path
from typing import Any

from qalipsis.factory.loader import load_plans
from qalipsis.plugins import tcp

from .playing import play_plan
from .servers import echo_everything

PAGE = Path(__file__).parents[3] / "docs" / "plugins" / "tcp.md"
TEXT = PAGE.read_text()


async def test_the_examples_do_what_the_page_says(serve: Any, tmp_path: Path) -> None:
    module = tmp_path / "tcp_page.py"
    module.write_text("\n".join(re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)))
    server = await serve(echo_everything)
    plans = load_plans([module], {"echo.port": server.port}).plans
    assert set(plans) == {"talk", "greeted"}
    talk, greeted = [await play_plan(plans[name]) for name in ("talk", "greeted")]
    assert (talk.requests, talk.ok, talk.failed_passes) == (110, 110, 0)
    assert (greeted.requests, greeted.ok, greeted.failed_passes) == (9, 9, 0)


def test_every_option_of_a_client_is_explained() -> None:
    explained = set(re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE))
    assert set(signature(tcp.client).parameters) <= explained


def test_everything_that_authors_import_is_on_the_page() -> None:
    shown = set(re.findall(r"tcp\.(\w+)", TEXT))
    assert set(tcp.__all__) - {"CloseSpec", "RequestSpec", "TcpClient", "Until"} <= shown


def test_links_lead_somewhere() -> None:
    targets = [target for target in re.findall(r"\]\(([^)#\s]+)\)", TEXT) if "://" not in target]
    assert [target for target in targets if not (PAGE.parent / target).exists()] == []
