"""Charts as data and SVG paths.

The SVG is stretched to whatever width there is, so it holds no text: labels are placed around it as HTML, and
stay readable on a phone and on paper. Every chart carries its figures as rows of a table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from qalipsis.reports import distribution, figures, scale, timeline
from qalipsis.reports.model import Latency, Second, StepReport

SIDE = 1000
"""The coordinates of every plot run from 0 to this, in both directions."""
MOST_DISTRIBUTIONS = 12
PERCENTILES = (50, 95, 99)


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """Text at a share (in percent) of an axis; the minor ones give way on a narrow screen."""

    at: float
    text: str
    minor: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table behind a chart, at a share (in percent) of the horizontal axis."""

    at: float
    cells: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """`legend` pairs words with the class of their line; `unit` belongs to the vertical axis."""

    key: str
    title: str
    description: str
    unit: str
    svg: Markup
    y_labels: tuple[str, ...]
    x_labels: tuple[Label, ...]
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    legend: tuple[tuple[str, str], ...] = ()
    markers: tuple[Label, ...] = ()
    note: str = ""
    size: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """Values over the points of a timeline; None leaves a gap."""

    words: str
    style: str
    values: tuple[float | None, ...]
    text: Callable[[float], str]
    area: bool = False


Values = tuple[float | None, ...]


def load(seconds: Sequence[Second]) -> Chart | None:
    """The load that was wanted beside what was achieved, and the errors; None without a timeline."""
    width, points = timeline.condense(seconds)
    if not points:
        return None
    series = (
        Series(
            words="achieved", style="achieved", values=_of(points, "achieved"), text=figures.rate, area=True
        ),
        Series(words="offered", style="offered", values=_of(points, "offered"), text=figures.rate),
        Series(words="errors", style="errors", values=_of(points, "errors"), text=figures.rate),
    )
    band = (_of(points, "achieved_low"), _of(points, "achieved_high")) if width > 1 else None
    return _over_time(
        key="load",
        title="Offered and achieved load",
        unit="per second",
        width=width,
        points=points,
        series=series,
        band=band,
        note=f"Lines are means of {width} s; the band spans the slowest and the fastest second."
        if band
        else "",
    )


def minions(seconds: Sequence[Second]) -> Chart | None:
    """How many minions were active; None without a timeline."""
    width, points = timeline.condense(seconds)
    if not points:
        return None
    active = Series(
        words="active minions", style="minions", values=_of(points, "minions"), text=figures.count, area=True
    )
    note = f"Each point is the highest of {width} s." if width > 1 else ""
    return _over_time(
        key="minions",
        title="Minions",
        unit="active",
        width=width,
        points=points,
        series=(active,),
        note=note,
        size="low",
    )


def latency(seconds: Sequence[Second]) -> Chart | None:
    """Percentiles from due over time; None without a timeline."""
    width, points = timeline.condense(seconds)
    if not points:
        return None
    series = tuple(
        Series(words=name, style=name, values=_of(points, name), text=figures.milliseconds)
        for name in ("p99", "p95", "p50")
    )
    note = f"Each point is the worst second of {width} s." if width > 1 else ""
    return _over_time(
        key="latency",
        title="Latency over time, from due",
        unit="ms",
        width=width,
        points=points,
        series=series,
        note=note,
    )


def overall_distribution(steps: Sequence[StepReport]) -> Chart | None:
    """The latencies of all these steps together, from due; None when there are none."""
    points = distribution.merge(step.histogram for step in steps)
    if not points:
        return None
    # Exact percentiles exist per step only: those of all steps are as fine as the buckets are.
    percentiles = {percent: distribution.percentile(points, percent) for percent in PERCENTILES}
    extent = distribution.extent(points)
    return _distribution("distribution", "Latency distribution, from due", points, extent, percentiles)


def step_distributions(key: str, steps: Sequence[StepReport]) -> tuple[Chart, ...]:
    """One small distribution for each of the busiest steps, all on the same horizontal axis.

    `key` begins the identity of each chart, which must be unique on a page.
    """
    measured = [(step, points) for step in steps if (points := distribution.merge((step.histogram,)))]
    if not measured:
        return ()
    busiest = sorted(range(len(measured)), key=lambda i: -measured[i][0].latency.from_due.count)
    chosen = [measured[i] for i in sorted(busiest[:MOST_DISTRIBUTIONS])]
    shared = distribution.extent(distribution.merge(points for _, points in chosen))
    return tuple(
        _distribution(
            f"{key}-{i}", step.name, points, shared, _percentiles(step.latency.from_due), size="small"
        )
        for i, (step, points) in enumerate(chosen)
    )


def percentile_bar(step: StepReport, end: float) -> Markup:
    """Two bars, from due over from sent: dark to p50, lighter to p95, palest to p99, on an axis to `end`."""
    lanes = (("due", step.latency.from_due, 60), ("sent", step.latency.from_sent, 540))
    return Markup("").join(
        Markup('<rect class="{} {}" x="0" y="{}" width="{}" height="400"/>').format(
            style, name, top, _coordinate(SIDE * value / end if end > 0 else 0)
        )
        for style, latency, top in lanes
        for name, value in (("p99", latency.p99_ms), ("p95", latency.p95_ms), ("p50", latency.p50_ms))
        if latency.count
    )


def percentile_axis(steps: Sequence[StepReport]) -> tuple[float, tuple[Label, ...]]:
    """The common end of all percentile bars, and the labels of their axis."""
    both = (latency for step in steps for latency in (step.latency.from_due, step.latency.from_sent))
    marks = scale.ticks(max((latency.p99_ms for latency in both if latency.count), default=0.0), most=4)
    end = marks[-1]
    return end, tuple(
        Label(at=100 * mark / end, text=_short_milliseconds(mark), minor=i % 2 == 1)
        for i, mark in enumerate(marks)
    )


def _of(points: Sequence[timeline.Point], name: str) -> Values:
    return tuple(getattr(point, name) for point in points)


def _over_time(
    *,
    key: str,
    title: str,
    unit: str,
    width: int,
    points: Sequence[timeline.Point],
    series: Sequence[Series],
    band: tuple[Values, Values] | None = None,
    note: str = "",
    size: str = "",
) -> Chart:
    start, end = points[0].start, points[-1].start + width
    xs = tuple((point.start + width / 2 - start) / (end - start) for point in points)
    shown = [*(each.values for each in series), *(band or ())]
    largest = max((value for values in shown for value in values if value is not None), default=0.0)
    marks = scale.ticks(largest, most=3 if size else 5)
    top = marks[-1]
    divisor = 1000 if unit == "ms" and top >= 2000 else 1
    paths = [_grid(len(marks))]
    if band:
        paths.append(_band(xs, *band, top))
    paths += [_area(xs, each.values, top, each.style) for each in series if each.area]
    # The most telling series comes last, and so lies on top.
    paths += [_line(xs, each.values, top, each.style) for each in series]
    moments = scale.time_ticks(start, end)
    return Chart(
        key=key,
        title=title,
        description=_summary(series),
        unit=unit if divisor == 1 else "s",
        svg=Markup("").join(paths),
        y_labels=tuple(figures.compact(mark / divisor, top / divisor) for mark in reversed(marks)),
        x_labels=tuple(
            Label(at=100 * (moment - start) / (end - start), text=figures.clock(moment), minor=i % 2 == 1)
            for i, moment in enumerate(moments)
        ),
        columns=("time", *(each.words for each in series)),
        rows=tuple(
            Row(
                at=100 * x,
                cells=(
                    figures.clock(point.start),
                    *(
                        figures.NOTHING if (value := each.values[i]) is None else each.text(value)
                        for each in series
                    ),
                ),
            )
            for i, (x, point) in enumerate(zip(xs, points, strict=True))
        ),
        legend=tuple((each.words, each.style) for each in series),
        note=note,
        size=size,
    )


def _distribution(
    key: str,
    title: str,
    points: distribution.Points,
    extent: tuple[float, float],
    percentiles: Mapping[int, float],
    size: str = "",
) -> Chart:
    low, high = extent
    bars = distribution.bars(points, low, high, most=30 if size else distribution.MOST_BARS)
    total = sum(count for _, count in points)
    shares = tuple(100 * bar.count / total for bar in bars)
    marks = scale.ticks(max(shares), most=2 if size else 4)
    step = SIDE / len(bars)
    paths = [_grid(len(marks))]
    paths += [
        Markup('<rect class="bar" x="{}" y="{}" width="{}" height="{}"/>').format(
            _coordinate(i * step + 0.06 * step),
            _coordinate(SIDE - SIDE * share / marks[-1]),
            _coordinate(0.88 * step),
            _coordinate(SIDE * share / marks[-1]),
        )
        for i, share in enumerate(shares)
        if share
    ]
    markers = tuple(
        Label(at=100 * scale.log_share(value, low, high), text=f"p{name}")
        for name, value in percentiles.items()
    )
    paths += [
        Markup('<path class="mark" d="M{0} 0V{1}"/>').format(_coordinate(SIDE * marker.at / 100), SIDE)
        for marker in markers
    ]
    words = ", ".join(f"p{name} {figures.milliseconds(value)}" for name, value in percentiles.items())
    decades = scale.log_ticks(low, high)
    few = len(decades) <= (3 if size else 8)
    return Chart(
        key=key,
        title=title,
        description=f"{figures.count(total)} executions, {words}",
        unit="% of executions",
        svg=Markup("").join(paths),
        y_labels=tuple(figures.number(mark) for mark in reversed(marks)),
        x_labels=tuple(
            Label(
                at=100 * scale.log_share(value, low, high), text=_short_milliseconds(value), minor=not begins
            )
            for value, begins in decades
            if few or begins or not size
        ),
        columns=("from", "to", "share of executions"),
        rows=tuple(
            Row(
                at=100 * (i + 0.5) / len(bars),
                cells=(
                    figures.milliseconds(bar.low),
                    figures.milliseconds(bar.high),
                    figures.share(bar.count, total),
                ),
            )
            for i, bar in enumerate(bars)
            if bar.count
        ),
        markers=() if size else markers,
        note="Logarithmic time axis; each bar spans the same ratio." if not size else "",
        size=size,
    )


def _percentiles(latency: Latency) -> dict[int, float]:
    return dict(zip(PERCENTILES, (latency.p50_ms, latency.p95_ms, latency.p99_ms), strict=True))


def _summary(series: Sequence[Series]) -> str:
    """What somebody who cannot see the lines should know of them."""
    parts = []
    for each in series:
        values = [value for value in each.values if value is not None]
        if values:
            parts.append(f"{each.words} between {each.text(min(values))} and {each.text(max(values))}")
    return "; ".join(parts)


def _short_milliseconds(value: float) -> str:
    return f"{figures.compact(value / 1000)} s" if value >= 1000 else f"{figures.compact(value)} ms"


def _grid(lines: int) -> Markup:
    """A line per tick; the lowest, at zero, is stronger."""
    heights = [SIDE * i / (lines - 1) for i in range(lines)]
    upper = "".join(f"M0 {_coordinate(y)}H{SIDE}" for y in heights[:-1])
    return Markup('<path class="grid" d="{}"/><path class="axis" d="M0 {}H{}"/>').format(upper, SIDE, SIDE)


def _line(xs: Sequence[float], values: Values, top: float, style: str) -> Markup:
    runs = _runs(xs, values, top)
    lines = "".join(_through(run) for run in runs if len(run) > 1)
    # A zero-length stroke with round caps is a dot that keeps its shape when the plot is stretched.
    dots = "".join(f"M{_coordinate(run[0][0])} {_coordinate(run[0][1])}h0" for run in runs if len(run) == 1)
    return Markup("").join(
        Markup('<path class="{} {}" d="{}"/>').format(kind, style, data)
        for kind, data in (("line", lines), ("dot", dots))
        if data
    )


def _area(xs: Sequence[float], values: Values, top: float, style: str) -> Markup:
    data = "".join(
        f"M{_coordinate(run[0][0])} {SIDE}L{_through(run)[1:]}V{SIDE}Z"
        for run in _runs(xs, values, top)
        if len(run) > 1
    )
    return Markup('<path class="fill {}" d="{}"/>').format(style, data) if data else Markup("")


def _band(xs: Sequence[float], low: Values, high: Values, top: float) -> Markup:
    pairs = zip(_runs(xs, low, top), _runs(xs, high, top), strict=True)
    data = "".join(
        f"{_through(upper)}L{_through(lower[::-1])[1:]}Z" for lower, upper in pairs if len(lower) > 1
    )
    return Markup('<path class="band" d="{}"/>').format(data) if data else Markup("")


def _through(run: Sequence[tuple[float, float]]) -> str:
    return "M" + " ".join(f"{_coordinate(x)} {_coordinate(y)}" for x, y in run)


def _runs(xs: Sequence[float], values: Values, top: float) -> list[list[tuple[float, float]]]:
    """The points between the gaps."""
    runs: list[list[tuple[float, float]]] = [[]]
    for x, value in zip(xs, values, strict=True):
        if value is None:
            runs.append([])
        else:
            runs[-1].append((SIDE * x, SIDE - SIDE * value / top))
    return [run for run in runs if run]


def _coordinate(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
