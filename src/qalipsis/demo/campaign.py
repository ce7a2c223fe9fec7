"""The demo campaign: the bundled scenario, and the shop it needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from qalipsis.demo.shop_process import running_shop

SCENARIO = Path(__file__).with_name("scenario.py")


@contextmanager
def open_shop(properties: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Start the shop and give the properties to run `SCENARIO` with; the shop is always stopped.

    `demo.delay` (20 ms) and `demo.errors` (a share, none) in `properties` say how well it works.
    """
    delay = str(properties.get("demo.delay", "20ms"))
    errors = float(properties.get("demo.errors", 0.0))
    with running_shop(delay=delay, errors=errors) as shop:
        yield {**properties, "demo.url": shop.url}
