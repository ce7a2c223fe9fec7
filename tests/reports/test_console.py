from __future__ import annotations

from collections.abc import Callable
from io import StringIO

import msgspec
from rich.console import Console

from qalipsis.reports import console
from qalipsis.reports.live import Live


def shown(live: Live, width: int = 100, **options: int) -> str:
    written = StringIO()
    Console(file=written, width=width, _environ={}).print(console.view(live, **options))
    return written.getvalue()


def test_a_frame_shows_totals_steps_and_notices(make_live: Callable[..., Live]) -> None:
    frame = shown(make_live(notices=("worker 2 died (signal 9)",)))
    assert "180 running, 30 ended of 500" in frame
    assert "12,345  411.5/s" in frame
    assert "errors 3" in frame
    assert "0.42 ms" in frame
    assert "! worker 2 died (signal 9)" in frame


def test_the_bar_knows_the_profile(make_live: Callable[..., Live]) -> None:
    assert "00:35 of 02:00" in shown(make_live(planned=120.0))
    assert "30 %" in shown(make_live(planned=120.0))
    assert "100 %" in shown(make_live(planned=20.0))
    assert "100 %" in shown(make_live(planned=0.0))


def test_the_bar_promises_nothing_when_only_the_minions_decide(make_live: Callable[..., Live]) -> None:
    frame = shown(make_live(planned=None))
    assert "ends with its minions" in frame
    assert "%" not in frame


def test_steps_that_fail_or_are_busy_stay_visible(make_live: Callable[..., Live]) -> None:
    live = make_live(30)
    failed = msgspec.structs.replace(live.steps[2], failed=1)
    steps = tuple(msgspec.structs.replace(step, failed=0) for step in live.steps)
    frame = shown(msgspec.structs.replace(live, steps=(*steps[:2], failed, *steps[3:])), steps=3)
    assert [line.split()[0] for line in frame.splitlines() if line.startswith("step-")] == [
        "step-2",
        "step-28",
        "step-29",
    ]
    assert "and 27 calmer steps" in frame


def test_a_notice_cannot_steer_the_terminal(make_live: Callable[..., Live]) -> None:
    frame = shown(make_live(notices=("\x1b[2J[red]gone[/red]",)))
    assert "\x1b" not in frame
    assert "[red]gone[/red]" in frame


def test_the_live_console_leaves_the_screen_clean(make_live: Callable[..., Live]) -> None:
    written = StringIO()
    terminal = Console(file=written, force_terminal=True, width=100, height=20, _environ={})
    with console.LiveConsole(terminal) as live:
        live.update(make_live())
        assert "step-1" in written.getvalue()
        live.update(make_live(100))
    assert written.getvalue().endswith("\x1b[1A\x1b[2K")


def test_a_frame_fits_the_height_of_the_terminal(make_live: Callable[..., Live]) -> None:
    written = StringIO()
    terminal = Console(file=written, force_terminal=True, width=100, height=20, _environ={})
    with console.LiveConsole(terminal) as live:
        live.update(make_live(100, notices=("a", "b")))
        assert "calmer steps" in written.getvalue()
        assert len(written.getvalue().splitlines()) <= 20


def test_plain_lines_come_every_five_seconds_and_at_each_change_of_state(
    make_live: Callable[..., Live],
) -> None:
    written = StringIO()
    with console.PlainConsole(written) as plain:
        for second in range(12):
            plain.update(msgspec.structs.replace(make_live(), elapsed_s=float(second)))
        plain.update(msgspec.structs.replace(make_live(), elapsed_s=12.0, state="DRAINING"))
    assert [line[:5] for line in written.getvalue().splitlines()] == ["00:00", "00:05", "00:10", "00:12"]


def test_a_plain_notice_is_written_once(make_live: Callable[..., Live]) -> None:
    written = StringIO()
    plain = console.PlainConsole(written)
    plain.update(make_live(notices=("worker 2 died",)))
    plain.update(make_live(notices=("worker 2 died", "worker 1 died")))
    lines = written.getvalue().splitlines()
    assert [line for line in lines if "!" in line] == ["00:35 ! worker 2 died", "00:35 ! worker 1 died"]


def test_a_plain_line_names_the_slowest_step(make_live: Callable[..., Live]) -> None:
    assert console.plain(make_live()) == (
        "00:35/02:00 RUNNING | minions 180 running, 30/500 ended | requests 12,345, 411.5/s | errors 3"
        " | slowest step-2 p95 24.6 ms"
    )
