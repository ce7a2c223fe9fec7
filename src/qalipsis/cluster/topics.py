"""The names under which messages travel."""

from __future__ import annotations

HANDSHAKE = "handshake"
"""Factories introduce themselves and send their heartbeats; every head reads it."""


def node(node: str) -> str:
    """What heads say to one factory."""
    return f"node:{node}"


def feedback(campaign: str) -> str:
    """What the factories of a campaign report."""
    return f"{campaign}:feedback"
