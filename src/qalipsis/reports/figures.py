"""Numbers and words as people read them; every rendering of a report writes them the same way."""

from __future__ import annotations

from math import isfinite

NOTHING = "–"
"""Stands where there is no value: a percentile of no requests is not 0 ms."""
COMPACT = (("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3))


def count(value: float) -> str:
    """A whole number with thousands separators."""
    return f"{value:,.0f}" if isfinite(value) else NOTHING


def milliseconds(value: float) -> str:
    """A latency with about three digits, in ms below one second and in s above."""
    if not isfinite(value):
        return NOTHING
    if value >= 999.5:
        seconds = value / 1000
        return (
            f"{seconds:.2f} s"
            if seconds < 9.995
            else f"{seconds:.1f} s"
            if seconds < 99.95
            else f"{seconds:,.0f} s"
        )
    if value >= 99.95:
        return f"{value:.0f} ms"
    if value >= 9.995:
        return f"{value:.1f} ms"
    if value >= 0.0995 or value <= 0:
        return f"{value:.2f} ms" if value else "0 ms"
    return f"{value:.3f} ms"


def latency(value: float, observations: int) -> str:
    """A latency statistic, or the sign for nothing when nothing was observed."""
    return milliseconds(value) if observations else NOTHING


def number(value: float) -> str:
    """A quantity without unit: whole when it is whole, else with sensible decimals."""
    if not isfinite(value):
        return NOTHING
    if value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 100 else f"{value:.2f}" if abs(value) >= 1 else f"{value:.3g}"


def compact(value: float, largest: float | None = None) -> str:
    """A number short enough for an axis: 12k, 1.5M; in the unit that suits `largest`, if that is given."""
    size = abs(value if largest is None else largest)
    unit, divisor = next((each for each in COMPACT if size >= each[1]), ("", 1.0))
    return f"{value / divisor:,.6g}{unit if value else ''}"


def rate(value: float) -> str:
    """Something per second."""
    if not isfinite(value):
        return NOTHING
    if value >= 999.5:
        return f"{value:,.0f}/s"
    return f"{value:.1f}/s" if value >= 9.95 else f"{value:.2f}/s" if value else "0/s"


def per_second(total: float, seconds: float) -> str:
    """The mean rate over a run; nothing when the run has no length."""
    return rate(total / seconds) if seconds > 0 else NOTHING


def share(part: float, whole: float) -> str:
    """A percentage that never hides a rest: 1 of a million is not 0 %, all but one is not 100 %."""
    if whole <= 0:
        return NOTHING
    percent = 100 * part / whole
    if 0 < percent < 0.01:
        return "< 0.01 %"
    if part < whole and percent > 99.99:
        return "> 99.99 %"
    return f"{percent:.2f} %" if percent not in (0, 100) else f"{percent:.0f} %"


def size(value: float) -> str:
    """Bytes in decimal units."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if abs(value) < 999.5:
            return f"{value:.0f} B" if unit == "B" else f"{value:.{1 if value >= 99.95 else 2}f} {unit}"
        value /= 1000
    return f"{value:,.1f} PB"


def duration(seconds: float) -> str:
    """A length of time in words."""
    if not isfinite(seconds):
        return NOTHING
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min {rest:02} s"


def clock(seconds: float) -> str:
    """Elapsed time as on a stopwatch."""
    minutes, rest = divmod(int(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"


def plural(value: int, noun: str, several: str = "") -> str:
    """`1 step`, `2 steps`; `several` when the plural is not made with an s."""
    return f"{value:,} {noun}" if value == 1 else f"{value:,} {several or noun + 's'}"


def printable(text: str, keep: str = "\n\t") -> str:
    """The text with its control characters shown instead of obeyed.

    Names and error messages come from outside: a terminal must not act on an escape sequence in them, XML
    cannot hold most of them, and UTF-8 cannot encode a lone surrogate.
    """
    if text.isprintable():
        return text
    return "".join(letter if _is_harmless(letter) or letter in keep else _escaped(letter) for letter in text)


def _is_harmless(letter: str) -> bool:
    return letter.isprintable() or (letter > "\x9f" and not _is_escaped(letter))


def _is_escaped(letter: str) -> bool:
    # Surrogates cannot be encoded, U+FFFE and U+FFFF are no XML, bidirectional overrides reorder a line.
    code = ord(letter)
    return (
        0xD800 <= code <= 0xDFFF
        or code & 0xFFFE == 0xFFFE
        or 0x202A <= code <= 0x202E
        or 0x2066 <= code <= 0x2069
    )


def _escaped(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")
