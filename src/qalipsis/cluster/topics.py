"""The names under which messages travel.

What stands in braces lives together: a broker of several nodes keeps all topics of a campaign on one.
"""

from __future__ import annotations

HANDSHAKE = "handshake"
"""Factories introduce themselves and send their heartbeats; the head that receives them reads it."""


def node(node: str, incarnation: int) -> str:
    """What heads say to one factory as it was started once: two of one node do not take each other's."""
    return f"node:{node}:{incarnation}"


def directives(campaign: str, node: str) -> str:
    """What the head of a campaign says to one of its factories."""
    return f"{{{campaign}}}:dir:{node}"


def feedback(campaign: str) -> str:
    """What the factories of a campaign report."""
    return f"{{{campaign}}}:feedback"
