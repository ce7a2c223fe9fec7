"""A document as PDF. As a program it reads one from its input and writes the file to its output."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any, Final
from xml.sax.saxutils import escape

import msgspec
import reportlab
from reportlab.lib.colors import Color, HexColor, white
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import (
    BaseDocTemplate,
    CondPageBreak,
    Flowable,
    Frame,
    KeepTogether,
    LongTable,
    PageTemplate,
    Paragraph,
    Spacer,
    TableStyle,
)

from qalipsis.reports import figures, scale
from qalipsis.reports.document import Document, Line, Part

PALETTE: Final = ("#4E79A7", "#F28E2B", "#59A14F", "#E15759", "#B07AA1", "#76B7B2", "#EDC948", "#9C755F")
MOST_ROWS: Final = 200
"""Of one table; a longer one shows evenly spread moments and says so."""
MOST_COLUMNS: Final = 6
LONGEST_CELL: Final = 300

_INK, _SOFT, _RULE, _PALE = (HexColor(it) for it in ("#1F2933", "#616E7C", "#D9DEE4", "#F4F6F8"))
_ACCENT: Final = HexColor("#1D5FA8")
_STATUS: Final = {
    "SUCCESSFUL": "#2E7D32",
    "WARNING": "#B26A00",
    "FAILED": "#C62828",
    "ABORTED": "#6A4FA3",
}
_MARGIN: Final = 18 * mm
_WIDTH: Final = A4[0] - 2 * _MARGIN
_PLOT_HEIGHT: Final = 58 * mm

_FOLDERS: Final = ("/usr/share/fonts/truetype/dejavu", "/usr/share/fonts/dejavu-sans-fonts")
"""Where systems keep a font of most scripts; without it, the one of the library knows Latin only."""


def render(document: Document) -> bytes:
    """The whole document; a name of any length and any characters is shown as far as the font has them."""
    output = BytesIO()
    _fonts()
    template = BaseDocTemplate(
        output,
        pagesize=A4,
        leftMargin=_MARGIN,
        rightMargin=_MARGIN,
        topMargin=_MARGIN,
        bottomMargin=_MARGIN,
        title=_known(document.title),
        author=_known(document.creator),
        creator="qalipsis",
    )
    frame = Frame(_MARGIN, _MARGIN, _WIDTH, A4[1] - 2 * _MARGIN, leftPadding=0, rightPadding=0, topPadding=0)

    def decorate(canvas: Any, _: Any) -> None:
        canvas.setFillColor(_SOFT)
        canvas.setFont("text", 7.5)
        title = _fitting(_known(document.title), 7.5, _WIDTH - 60 * mm)
        canvas.drawString(_MARGIN, 10 * mm, title)
        canvas.drawRightString(A4[0] - _MARGIN, 10 * mm, f"{canvas.getPageNumber()}")

    template.addPageTemplates([PageTemplate(frames=[frame], onPage=decorate)])
    template.build(list(_story(document)))
    return output.getvalue()


def main() -> None:
    document = msgspec.json.decode(sys.stdin.buffer.read(), type=Document)
    sys.stdout.buffer.write(render(document))


def _story(document: Document) -> Iterator[Flowable]:
    yield Paragraph(_markup(document.title), _style("title", size=21, leading=26, font="bold"))
    yield Spacer(1, 1.5 * mm)
    yield _Rule()
    if document.description:
        yield Spacer(1, 2 * mm)
        yield Paragraph(_markup(document.description), _style("lead", size=10.5, leading=15))
    yield Spacer(1, 2 * mm)
    about = f"Created {document.created} by {document.creator}"
    yield Paragraph(_markup(about), _style("about", size=8, leading=11, color=_SOFT))
    yield from _campaigns(document)
    for part in document.parts:
        yield Spacer(1, 7 * mm)
        yield from _diagram(part) if part.kind == "DIAGRAM" else _tables(part)


def _campaigns(document: Document) -> Iterator[Flowable]:
    yield Spacer(1, 6 * mm)
    yield Paragraph("Campaigns", _heading_style())
    yield Spacer(1, 2 * mm)
    if not document.campaigns:
        yield Paragraph("No campaign matches this report.", _style("none", size=9, leading=12))
        return
    rows: list[list[Any]] = [[_head(each) for each in ("Campaign", "Key", "Start", "Duration", "Status")]]
    for each in document.campaigns:
        color = _STATUS.get(each.status, "#616E7C")
        duration = figures.NOTHING if each.duration_s is None else figures.duration(each.duration_s)
        status = Paragraph(f'<font color="{color}" name="bold">{_markup(each.status)}</font>', _cell_style())
        rows.append(
            [_cell(each.name), _cell(each.key), _cell(each.start or figures.NOTHING), _cell(duration), status]
        )
    yield _table(rows, [share * _WIDTH for share in (0.25, 0.25, 0.22, 0.12, 0.16)])
    if document.scenarios:
        yield Spacer(1, 2 * mm)
        words = "Scenarios: " + ", ".join(document.scenarios)
        yield Paragraph(_markup(words), _style("scenarios", size=8.5, leading=12, color=_SOFT))


def _diagram(part: Part) -> Iterator[Flowable]:
    """One plot for each unit, for values of different units share no axis."""
    colors = _colors(part.lines)
    for unit in dict.fromkeys(line.unit for line in part.lines):
        lines = [(line, colors[i]) for i, line in enumerate(part.lines) if line.unit == unit]
        title = _title([line for line, _ in lines]) + (f" ({unit})" if unit else "")
        heading = Paragraph(_markup(title), _heading_style())
        block: list[Flowable] = [heading, Spacer(1, 3 * mm)]
        if any(line.points for line, _ in lines):
            block += [_Plot(lines), Spacer(1, 2 * mm), _legend(lines)]
        else:
            block += [Paragraph("Nothing was measured.", _style("none", size=9, leading=12))]
        yield KeepTogether(block)
        yield Spacer(1, 3 * mm)


def _legend(lines: Sequence[tuple[Line, Color]]) -> Flowable:
    rows = [
        [_Swatch(color), _cell(_label(line)), _number(f"overall {_value(line.summary, line.unit)}")]
        for line, color in lines
    ]
    table = LongTable(rows, colWidths=[8 * mm, _WIDTH - 48 * mm, 40 * mm])
    table.setStyle(
        TableStyle(
            [
                ("VALIGN", (0, 0), (-1, -1), "MIDDLE"),
                ("LEFTPADDING", (0, 0), (-1, -1), 2),
                ("TOPPADDING", (0, 0), (-1, -1), 0.5),
                ("BOTTOMPADDING", (0, 0), (-1, -1), 0.5),
            ]
        )
    )
    return table


def _tables(part: Part) -> Iterator[Flowable]:
    """The moments as rows, the lines as columns; as many tables as there are columns for."""
    for first in range(0, len(part.lines), MOST_COLUMNS):
        lines = part.lines[first : first + MOST_COLUMNS]
        moments = sorted({at for line in lines for at, _ in line.points})
        shown = _spread(moments)
        title = _title(lines)
        yield CondPageBreak(40 * mm)
        yield Paragraph(_markup(title), _heading_style())
        yield Spacer(1, 2 * mm)
        if not moments:
            yield Paragraph("Nothing was measured.", _style("none", size=9, leading=12))
            continue
        rows: list[list[Any]] = [[_head("Elapsed"), *(_head(_label(line), line.unit) for line in lines)]]
        known = [dict(line.points) for line in lines]
        for at in shown:
            values = [_value(values.get(at), line.unit) for values, line in zip(known, lines, strict=True)]
            rows.append([_cell(figures.clock(at)), *(_number(value) for value in values)])
        rows.append([_head("Overall"), *(_number(_value(line.summary, line.unit)) for line in lines)])
        column = (_WIDTH - 22 * mm) / max(len(lines), 2)
        yield _table(rows, [22 * mm, *[column] * len(lines)], has_total=True)
        if len(shown) < len(moments):
            words = f"{len(shown)} of {len(moments)} moments are shown; Overall is of all."
            yield Paragraph(words, _style("note", size=8, leading=11, color=_SOFT))


def _spread(moments: Sequence[float]) -> Sequence[float]:
    if len(moments) <= MOST_ROWS:
        return moments
    return [moments[round(i * (len(moments) - 1) / (MOST_ROWS - 1))] for i in range(MOST_ROWS)]


class _Plot(Flowable):
    """Lines over the time since the start of their campaigns, from zero upwards."""

    def __init__(self, lines: Sequence[tuple[Line, Color]]) -> None:
        super().__init__()
        self.width, self.height = _WIDTH, _PLOT_HEIGHT
        self._lines = lines

    def wrap(self, *_: float) -> tuple[float, float]:
        return self.width, self.height

    def draw(self) -> None:
        values = [value for line, _ in self._lines for _, value in line.points]
        marks = scale.ticks(max(values), most=4)
        top, low = marks[-1], min(0.0, *values)
        marks = tuple(mark for mark in marks) if low == 0 else (low, *marks)
        end = max(at + line.width_s for line, _ in self._lines for at, _ in line.points)
        labels = [figures.compact(round(mark, 9), top if top >= 10_000 else 1) for mark in marks]
        left = 4 + max(pdfmetrics.stringWidth(label, "text", 7.5) for label in labels)
        bottom, right = 12.0, self.width - 4

        def x(at: float) -> float:
            return float(left + (right - left) * at / end)

        def y(value: float) -> float:
            return float(bottom + (self.height - bottom - 4) * (value - low) / (top - low))

        canvas = self.canv
        canvas.setFont("text", 7.5)
        for mark, label in zip(marks, labels, strict=True):
            canvas.setStrokeColor(_SOFT if mark == 0 else _RULE)
            canvas.setLineWidth(0.7 if mark == 0 else 0.4)
            canvas.line(left, y(mark), right, y(mark))
            canvas.setFillColor(_SOFT)
            canvas.drawRightString(left - 4, y(mark) - 2.5, label)
        for at in scale.time_ticks(0.0, end):
            canvas.setStrokeColor(_RULE)
            canvas.setLineWidth(0.4)
            canvas.line(x(at), bottom, x(at), bottom - 2.5)
            canvas.drawCentredString(min(max(x(at), left + 8), right - 8), 1, figures.clock(at))
        for line, color in self._lines:
            self._draw_line(line, color, x, y)

    def _draw_line(self, line: Line, color: Color, x: Any, y: Any) -> None:
        canvas = self.canv
        canvas.setStrokeColor(color)
        canvas.setFillColor(color)
        canvas.setLineWidth(1.2)
        canvas.setLineJoin(1)
        canvas.setLineCap(1)
        path = canvas.beginPath()
        for run in _runs(line):
            middles = [(x(at + line.width_s / 2), y(value)) for at, value in run]
            path.moveTo(*middles[0])
            # Of a single point, a line without length makes a dot.
            for middle in middles[1:] or middles:
                path.lineTo(*middle)
        canvas.drawPath(path)


def _runs(line: Line) -> list[list[tuple[float, float]]]:
    """The points between the gaps: where nothing was measured, nothing is drawn."""
    runs: list[list[tuple[float, float]]] = []
    for at, value in line.points:
        if not runs or at - runs[-1][-1][0] > 1.5 * line.width_s:
            runs.append([])
        runs[-1].append((at, value))
    return runs


class _Rule(Flowable):
    def wrap(self, *_: float) -> tuple[float, float]:
        return _WIDTH, 4.0

    def draw(self) -> None:
        self.canv.setStrokeColor(_ACCENT)
        self.canv.setLineWidth(1.8)
        self.canv.line(0, 0, 22 * mm, 0)


class _Swatch(Flowable):
    def __init__(self, color: Color) -> None:
        super().__init__()
        self._color = color

    def wrap(self, *_: float) -> tuple[float, float]:
        return 5 * mm, 3.0

    def draw(self) -> None:
        self.canv.setStrokeColor(self._color)
        self.canv.setLineWidth(2)
        self.canv.setLineCap(1)
        self.canv.line(1, 1.5, 5 * mm - 1, 1.5)


def _table(rows: list[list[Any]], widths: list[float], has_total: bool = False) -> Flowable:
    table = LongTable(rows, colWidths=widths, repeatRows=1, hAlign="LEFT")
    style: list[Any] = [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LINEBELOW", (0, 0), (-1, 0), 0.9, _ACCENT),
        ("LINEBELOW", (0, 1), (-1, -1), 0.3, _RULE),
        ("ROWBACKGROUNDS", (0, 1), (-1, -1), [white, _PALE]),
        ("LEFTPADDING", (0, 0), (-1, -1), 4),
        ("RIGHTPADDING", (0, 0), (-1, -1), 4),
        ("TOPPADDING", (0, 0), (-1, -1), 2.5),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 3),
    ]
    if has_total:
        style.append(("LINEABOVE", (0, -1), (-1, -1), 0.9, _ACCENT))
    table.setStyle(TableStyle(style))
    return table


def _colors(lines: Sequence[Line]) -> list[Color]:
    """The colour of each series; in further campaigns it would be the same, so they take others."""
    taken: set[str] = set()
    colors = []
    for i, line in enumerate(lines):
        free = next((each for each in PALETTE if each not in taken), PALETTE[i % len(PALETTE)])
        wanted = (line.color or free).upper()
        chosen = free if wanted in taken else wanted
        taken.add(chosen)
        color = HexColor(chosen)
        colors.append(Color(color.red, color.green, color.blue, alpha=line.opacity))
    return colors


def _title(lines: Sequence[Line]) -> str:
    return _cut(", ".join(dict.fromkeys(line.label for line in lines)))


def _label(line: Line) -> str:
    return f"{line.label} – {line.campaign}" if line.campaign else line.label


def _value(value: float | None, unit: str) -> str:
    if value is None:
        return figures.NOTHING
    return figures.milliseconds(value) if unit == "ms" else f"{figures.number(value)} {unit}".strip()


def _cell(text: str) -> Paragraph:
    return Paragraph(_markup(_cut(text)), _cell_style())


def _head(text: str, unit: str | None = None) -> Paragraph:
    align = {} if unit is None else {"alignment": TA_RIGHT}
    return Paragraph(
        _markup(_cut(text)), _style("head", size=8, leading=10.5, font="bold", color=_SOFT, **align)
    )


def _number(text: str) -> Paragraph:
    return Paragraph(_markup(text), _style("number", size=8.5, leading=11.5, alignment=TA_RIGHT))


@cache
def _cell_style() -> ParagraphStyle:
    return _style("cell", size=8.5, leading=11.5)


@cache
def _heading_style() -> ParagraphStyle:
    return _style("heading", size=12.5, leading=16, font="bold")


def _style(
    name: str, *, size: float, leading: float, font: str = "text", color: Color = _INK, **more: Any
) -> ParagraphStyle:
    return ParagraphStyle(
        name,
        fontName=font,
        fontSize=size,
        leading=leading,
        textColor=color,
        splitLongWords=1,
        **more,
    )


def _cut(text: str) -> str:
    """No row of a table may be higher than a page."""
    return text if len(text) <= LONGEST_CELL else text[: LONGEST_CELL - 1] + "…"


def _markup(text: str) -> str:
    return escape(_known(text)).replace("\n", "<br/>")


def _known(text: str) -> str:
    """The text without what the font cannot draw: a square says less than a question mark."""
    known = _fonts()
    return "".join(
        letter if letter == "\n" or (ord(letter) in known and letter.isprintable()) else "?"
        for letter in text
    )


def _fitting(text: str, size: float, width: float) -> str:
    while text and pdfmetrics.stringWidth(text, "text", size) > width:
        text = text[:-2].rstrip("…") + "…" if len(text) > 2 else ""
    return text


@cache
def _fonts() -> frozenset[int]:
    """Makes the fonts known; returns the characters they have."""
    library = Path(reportlab.__file__).parent / "fonts"
    pairs = [(Path(each) / "DejaVuSans.ttf", Path(each) / "DejaVuSans-Bold.ttf") for each in _FOLDERS]
    text, bold = next(
        (pair for pair in pairs if all(path.is_file() for path in pair)),
        (library / "Vera.ttf", library / "VeraBd.ttf"),
    )
    font = TTFont("text", str(text))
    pdfmetrics.registerFont(font)
    pdfmetrics.registerFont(TTFont("bold", str(bold)))
    return frozenset(font.face.charToGlyph)


if __name__ == "__main__":
    main()
