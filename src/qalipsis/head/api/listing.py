"""What every page of a list says of itself, whatever it lists."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from qalipsis.head.campaign_list import Page


class Listing(Struct, frozen=True, kw_only=True, rename="camel"):
    """A page; each kind adds its `elements`."""

    page: int
    total_pages: int
    total_elements: int


def counts(found: Page[Any]) -> dict[str, int]:
    """The figures of a `Listing`."""
    return {"page": found.page, "total_pages": found.total_pages, "total_elements": found.total}
