"""Who may see and change what users make: by its creator and its sharing mode."""

from __future__ import annotations

from typing import Final, Protocol

from qalipsis.head.refusals import NotShared, NotThere

MODES: Final = ("READONLY", "WRITE", "NONE")
"""How others than the creator may use it."""

SYSTEM: Final = "qalipsis"
"""The creator of what exists from the start."""


class Shared(Protocol):
    @property
    def reference(self) -> str: ...
    @property
    def creator(self) -> str: ...
    @property
    def sharing_mode(self) -> str: ...


def may_see(item: Shared, user: str) -> bool:
    return item.creator == user or item.sharing_mode != "NONE"


def may_change(item: Shared, user: str) -> bool:
    return item.creator == user or item.sharing_mode == "WRITE"


def check_seen(kind: str, reference: str, item: Shared | None, user: str) -> None:
    """Raises NotThere for what does not exist, and for what this user is not to know of."""
    if item is None or not may_see(item, user):
        raise not_there(kind, reference)


def check_changed(kind: str, item: Shared, user: str) -> None:
    """Raises NotShared, of what the user may see."""
    if not may_change(item, user):
        raise NotShared(f"{kind} {item.reference} belongs to {item.creator}, who lets others only look at it")


def not_there(kind: str, reference: str) -> NotThere:
    return NotThere(f"there is no {kind} {reference}")
