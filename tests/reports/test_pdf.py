"""Whatever a document holds, it becomes a PDF."""

from __future__ import annotations

import re

import msgspec
import pytest

from qalipsis.reports.document import CampaignLine, Document, Line, Part
from qalipsis.reports.pdf import MOST_ROWS, render

ODD = "<b>&\0 \x1b[31m 漢字 \u202e ü " * 60 + "x" * 500


def line(points: tuple[tuple[float, float], ...], unit: str = "ms", label: str = "Payments") -> Line:
    return Line(label=label, campaign="nightly", unit=unit, points=points, color="#112233", opacity=0.5)


def document(*parts: Part, title: str = "Nightly") -> Document:
    campaign = CampaignLine(key="c-1", name=title, status="FAILED", start="", duration_s=None)
    return Document(
        title=title,
        description=title,
        created="2026-01-01",
        creator="ann",
        campaigns=(campaign,),
        scenarios=("buy",),
        parts=parts,
    )


def pages(content: bytes) -> int:
    assert content.startswith(b"%PDF-")
    return len(re.findall(rb"/Type /Page\b", content))


@pytest.mark.parametrize("kind", ["DIAGRAM", "DATA_TABLE"])
@pytest.mark.parametrize(
    "points",
    [
        (),
        ((0.0, 0.0),),
        ((0.0, 1e300), (1.0, -5.0), (9.0, 3.0)),
        tuple((float(t), t % 7 / 1e9) for t in range(400)),
    ],
)
def test_any_points_are_drawn(kind: str, points: tuple[tuple[float, float], ...]) -> None:
    both = (line(points), line(points, unit=""))
    assert pages(render(document(Part(kind=kind, lines=both)))) >= 1


def test_odd_words_are_drawn_and_break_nothing() -> None:
    part = Part(kind="DATA_TABLE", lines=(line(((0.0, 1.0),), label=ODD),) * 7)
    assert pages(render(document(part, msgspec.structs.replace(part, kind="DIAGRAM"), title=ODD))) > 1


def test_a_long_table_is_bounded() -> None:
    points = tuple((float(t), 1.0) for t in range(20 * MOST_ROWS))
    assert pages(render(document(Part(kind="DATA_TABLE", lines=(line(points),))))) < 10


def test_a_document_without_anything_is_drawn() -> None:
    assert pages(render(msgspec.structs.replace(document(), campaigns=(), scenarios=()))) == 1
