"""What was measured: a table to read and a JSON file to compare with."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.figure import Figure

MARKS = {True: "holds", False: "MISSED", None: ""}


def table(name: str, figures: Sequence[Figure]) -> str:
    rows = [("figure", "measured", "bound", "")]
    for figure in figures:
        bound = "" if figure.bound is None else f"{figure.side} {figure.bound:g}"
        rows.append(
            (figure.name, f"{number(figure.value)} {figure.unit}".strip(), bound, MARKS[figure.holds])
        )
    widths = [max(len(row[column]) for row in rows) for column in range(4)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join((f"\n{name}", *(line.rstrip() for line in lines)))


def number(value: float) -> str:
    """Three significant digits below a thousand, whole numbers above."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def record(path: Path, name: str, figures: Sequence[Figure]) -> None:
    """Put one benchmark's figures into the file; those of the other benchmarks stay."""
    known: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
    known[name] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": machine(),
        "figures": [asdict(figure) | {"holds": figure.holds} for figure in figures],
    }
    path.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n")


def machine() -> Mapping[str, Any]:
    models = [
        line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")
    ]
    return {
        "cores": os.cpu_count(),
        "cpu": models[0].partition(":")[2].strip() if models else platform.machine(),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }
