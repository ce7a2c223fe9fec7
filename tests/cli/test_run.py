"""`qalipsis run` from the command line to the exit code and the files it leaves."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import shlex
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

SCENARIOS = """
from qalipsis import profile, prop, scenario

quick = scenario("quick", minions=20).start().returns(prop("quick.value", default=1)).named("give")
wrong = (
    scenario("wrong", minions=10).start().returns(1).verify(lambda value: value == 2).named("is-two")
)
tolerant = (
    scenario("tolerant", minions=10).start().returns(1).verify(lambda value: value == 2).named("may-be-two")
    .tolerate(1.0)
)
raising = scenario("raising", minions=10).start().returns(0).map(lambda value: 1 / value).named("divide")
stages = profile.stages(profile.stage(100, ramp_up="100ms", total="60s"))
long = scenario("long", minions=4, profile=stages).start().returns(1).delay("100ms").named("wait")
stuck = scenario("stuck", minions=4).start().returns(1).delay("60s").named("wait")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "scenarios.py").write_text(SCENARIOS)
    return tmp_path


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "qalipsis", "run", "scenarios.py", "--workers", "1", *arguments]


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*arguments), cwd=folder, capture_output=True, text=True, timeout=60, check=False
    )


def report_of(folder: Path) -> dict[str, Any]:
    (path,) = folder.glob("**/report.json")
    report: dict[str, Any] = json.loads(path.read_bytes())
    return report


@pytest.fixture
def started(folder: Path) -> Iterator[list[subprocess.Popen[str]]]:
    processes: list[subprocess.Popen[str]] = []
    yield processes
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.communicate()


def start(folder: Path, started: list[subprocess.Popen[str]], *arguments: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        command(*arguments),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    started.append(process)
    assert process.stderr is not None
    for line in process.stderr:
        if " RUNNING" in line:
            time.sleep(1.0)  # the start offset, after which the minions walk
            return process
    raise AssertionError("the campaign never ran")


def test_a_successful_campaign_leaves_its_reports_and_code_0(folder: Path) -> None:
    done = run(folder, "-s", "quick", "--name", "Spring sale", "--seed", "7")
    assert done.returncode == 0, done.stderr
    assert "SUCCESSFUL" in done.stdout
    report = report_of(folder)
    key = report["campaign"]["key"]
    assert report["campaign"]["name"] == "Spring sale"
    assert report["campaign"]["seed"] == 7
    assert report["verdict"]["value"] == "VALID"
    assert report["ledger"]["minions"]["completed"] == 20
    assert [scenario["name"] for scenario in report["scenarios"]] == ["quick"]
    files = {path.name for path in (folder / "reports" / key).iterdir()}
    assert files == {"report.json", "report.html", "junit.xml"}
    assert ElementTree.parse(folder / "reports" / key / "junit.xml").getroot().tag == "testsuites"
    assert f"reports/{key}/report.html" in done.stdout


@pytest.mark.parametrize(
    ("scenario", "error"), [("wrong", "AssertionError"), ("raising", "ZeroDivisionError")]
)
def test_a_failed_campaign_has_code_1_and_names_the_error(folder: Path, scenario: str, error: str) -> None:
    done = run(folder, "-s", scenario, "--report-dir", "out")
    assert done.returncode == 1, done.stderr
    (step,) = (step for step in report_of(folder)["scenarios"][0]["steps"] if step["executions"]["failed"])
    assert step["executions"]["failed"] == 10
    assert sum(step["executions"]["errors"].values()) == 10
    if error == "ZeroDivisionError":
        assert step["executions"]["errors"] == {error: 10}
        assert "1 / value" in step["first_error"]


def test_tolerated_failures_are_a_warning_with_code_0(folder: Path) -> None:
    done = run(folder, "-s", "tolerant", "--report-dir", "out")
    assert done.returncode == 0, done.stderr
    assert report_of(folder)["campaign"]["status"] == "WARNING"


def test_without_live_view_the_standard_error_stays_empty(folder: Path) -> None:
    done = run(folder, "-s", "quick", "--no-live", "-c", "report.export.console.enabled=false")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_minions_run_in_the_parent_with_no_workers(folder: Path) -> None:
    done = run(folder, "-s", "quick", "--workers", "0", "--report-dir", "out", "--minions-factor", "2")
    assert done.returncode == 0, done.stderr
    assert report_of(folder)["ledger"]["minions"]["completed"] == 40


def test_a_configuration_key_that_nobody_reads_is_refused_before_anything_starts(folder: Path) -> None:
    done = run(folder, "-s", "quick", "-c", "quick.valeu=3")
    assert done.returncode == 64
    assert "unknown key quick.valeu\n    did you mean quick.value?" in done.stderr
    assert not (folder / "reports").exists()


def test_broken_scenarios_are_refused_without_traceback(folder: Path) -> None:
    (folder / "scenarios.py").write_text(
        "from qalipsis import scenario\nx = scenario('x').start().delay('-1s')\n"
    )
    done = run(folder)
    assert done.returncode == 65
    assert "scenarios.py:2: " in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("sent", "kill"), [(signal.SIGINT, os.killpg), (signal.SIGTERM, os.kill)], ids=["terminal", "parent"]
)
def test_one_interruption_stops_softly_with_a_full_report_and_code_2(
    folder: Path,
    started: list[subprocess.Popen[str]],
    sent: signal.Signals,
    kill: Callable[[int, int], None],
) -> None:
    process = start(folder, started, "-s", "long", "--report-dir", "out")
    kill(process.pid, sent)
    out, err = process.communicate(timeout=90)
    assert process.returncode == 2, err
    assert "Ctrl-C again stops at once" in err
    assert "ABORTED" in out
    report = report_of(folder)
    assert report["campaign"]["status"] == "ABORTED"
    minions = report["ledger"]["minions"]
    assert (
        minions["started"] == minions["completed"] + minions["failed"] + minions["aborted"] + minions["lost"]
    )
    assert "Traceback" not in err


def test_two_interruptions_stop_at_once_and_count_what_ran_as_aborted(
    folder: Path, started: list[subprocess.Popen[str]]
) -> None:
    process = start(folder, started, "-s", "stuck", "--report-dir", "out")
    os.killpg(process.pid, signal.SIGINT)
    time.sleep(0.3)
    os.killpg(process.pid, signal.SIGINT)
    began = time.monotonic()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2, err
    assert time.monotonic() - began < 10
    assert report_of(folder)["ledger"]["minions"]["aborted"] == 4
    assert "Traceback" not in err


def is_gone(group: int) -> bool:
    """Within seconds: a killed orphan stays in its group until the system has reaped it."""
    for _ in range(100):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_before_the_campaign_runs_leaves_nothing_behind(
    folder: Path, started: list[subprocess.Popen[str]], sent: signal.Signals
) -> None:
    (folder / "scenarios.py").write_text("print('loading', flush=True)\nimport time\ntime.sleep(60)\n")
    process = subprocess.Popen(
        command(),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    started.append(process)
    assert process.stdout is not None
    assert "loading" in process.stdout.readline()
    os.kill(process.pid, sent)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 2
    assert err.splitlines()[-1] == "qalipsis: interrupted"
    assert is_gone(process.pid)


@pytest.mark.parametrize("streams", ["2>&1 | head -c 1", "2>/dev/full >/dev/full", "2>&- >&- <&-"])
def test_a_campaign_that_nobody_watches_runs_to_its_end_with_its_own_exit_code(
    folder: Path, streams: str
) -> None:
    ran = shlex.join(command("-s", "wrong", "--report-dir", "out"))
    line = f"{ran} {streams}; echo ${{PIPESTATUS[0]}} > code"
    subprocess.run(["bash", "-c", line], cwd=folder, stdout=subprocess.DEVNULL, timeout=60, check=False)
    assert report_of(folder)["campaign"]["status"] == "FAILED"
    assert (folder / "code").read_text() == "1\n"


def test_a_closed_terminal_stops_softly_with_a_full_report(folder: Path) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command("-s", "long", "--report-dir", "out"),
        cwd=folder,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(theirs)
    shown = b""
    while b"RUNNING" not in shown:
        shown += os.read(ours, 65536)
    time.sleep(1.0)
    os.close(ours)
    assert process.wait(timeout=30) == 2
    minions = report_of(folder)["ledger"]["minions"]
    assert minions["started"] == minions["completed"] == 4


def test_files_that_differ_from_process_to_process_are_refused(folder: Path) -> None:
    source = "import os\nfrom qalipsis import scenario\nx = scenario(f'x{os.getpid()}').start().pipe()\n"
    (folder / "scenarios.py").write_text(source)
    done = run(folder, "--workers", "2")
    assert done.returncode == 65
    assert "found different scenarios in the same files" in done.stderr
