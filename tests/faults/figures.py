"""What was measured, for the table of docs/operations/faults.md: `make prove` shows it."""

from __future__ import annotations

from datetime import datetime


def measured(what: str, **figures: float) -> None:
    listed = ", ".join(f"{name.replace('_', ' ')} {figure:.2f}" for name, figure in figures.items())
    print(f"\nmeasured: {what}: {listed}")


def epoch(instant: str) -> float:
    """Epoch seconds of a moment in a report."""
    return datetime.fromisoformat(instant).timestamp()
