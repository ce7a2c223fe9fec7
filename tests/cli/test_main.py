"""The command as a user meets it: in a process of its own, with its exit code and its messages."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from qalipsis.metrics.ledger import Books
from qalipsis.reports import json_report
from qalipsis.reports.model import CampaignInfo, Report, Verdict

GOOD = """
from qalipsis import profile, prop, scenario

checkout = (
    scenario("checkout", minions=3, profile=profile.immediate(), description="Buys things.")
    .start()
    .returns(prop("shop.item", default="book"))
    .named("pick")
    .delay("10ms")
    .named("think")
)
browse = scenario("browse", minions=1).start().returns(1).named("look")
"""
BROKEN = """
from qalipsis import profile, scenario

first = scenario("first", minions=1).start().returns(1).named("same").map(str).named("same")
second = (
    scenario("second", minions=10, profile=profile.stages(profile.stage(99, ramp_up="1s", total="2s")))
    .start()
    .delay("-1s")
)
"""


def qalipsis(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "qalipsis", *arguments],
        cwd=folder,
        env={**os.environ, "COLUMNS": "80", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    (tmp_path / "shop.py").write_text(GOOD)
    (tmp_path / "broken.py").write_text(BROKEN)
    return tmp_path


def assert_refused(
    result: subprocess.CompletedProcess[str], code: int, *parts: str, is_debug: bool = False
) -> None:
    assert result.returncode == code, result.stderr
    for part in parts:
        assert part in result.stderr
    assert result.stdout == ""
    assert ("Traceback" in result.stderr) is is_debug


# Usage


def test_help_lists_the_commands(tmp_path: Path) -> None:
    result = qalipsis("--help", folder=tmp_path)
    assert result.returncode == 0
    assert all(f"  {name} " in result.stdout for name in ("run", "standalone", "list", "validate", "demo"))


@pytest.mark.alone
def test_help_is_there_at_once(tmp_path: Path) -> None:
    """It costs little more than numpy, which profiles need: a limit in seconds would judge the machine."""
    numpy = [sys.executable, "-c", "import numpy"]
    base = min(cpu_seconds(lambda: subprocess.run(numpy, check=True)) for _ in range(3))
    assert min(cpu_seconds(lambda: qalipsis("--help", folder=tmp_path)) for _ in range(3)) < 2.5 * base


def cpu_seconds(run: Callable[[], object]) -> float:
    """CPU time of the processes that `run` waits for: other tests may keep the cores busy."""
    before = os.times()
    run()
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


@pytest.mark.parametrize(
    "command", ["run", "standalone", "list", "validate", "report", "db", "zones", "keys", "demo"]
)
def test_each_command_explains_its_options_and_the_exit_codes(tmp_path: Path, command: str) -> None:
    result = qalipsis(command, "--help", folder=tmp_path)
    assert result.returncode == 0
    assert f"usage: qalipsis {command}" in result.stdout
    assert "65 no scenario" in result.stdout


def test_the_version_is_told(tmp_path: Path) -> None:
    assert qalipsis("--version", folder=tmp_path).stdout.startswith("qalipsis ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "a command is missing"),
        (("rnu", "x.py"), "unknown command rnu: did you mean run?"),
        (("--verison",), "unknown option --verison"),
        (("run",), "the following arguments are required: PATH"),
        (("run", "x.py", "--scenaros", "a"), "unknown option --scenaros: did you mean --scenarios?"),
        (("run", "x.py", "-c"), "expected one argument"),
        (("report", "x.json", "--format", "pdf"), "invalid choice: 'pdf'"),
        (("report", "nowhere.json"), "cannot read nowhere.json: No such file or directory"),
        (("standalone", "x.py", "-s", "a"), "--scenarios belongs to --autostart"),
        (("standalone", "x.py", "--speed-factor", "2"), "--speed-factor belongs to --autostart"),
        (("head", "--minions-factor", "2"), "--minions-factor belongs to --autostart"),
        (("head", "--name", "Nightly"), "--name belongs to --autostart"),
        (("head", "--no-live"), "--no-live belongs to --autostart"),
        (("head", "-a", "--insecure"), "--insecure belongs to the REST API"),
        (("head", "--workers", "2"), "unknown option --workers"),
        (("list", "shop.py", "-c", "server.port"), "write `-c key=value`"),
        (("list", "shop.py", "-c", "server.port=x"), "server.port cannot be 'x'"),
        (("list", "shop.py", "-c", "shop.itme=x"), "did you mean shop.item?"),
        (("run", "shop.py", "--seed", "x"), "campaign.seed cannot be 'x'"),
        (("run", "shop.py", "--report-dir", "shop.py/below"), "name another folder with --report-dir"),
    ],
)
def test_bad_usage_and_configuration_are_refused_with_what_was_meant(
    shop: Path, arguments: tuple[str, ...], message: str
) -> None:
    assert_refused(qalipsis(*arguments, folder=shop), 64, message)


def test_a_mistake_in_the_configuration_file_names_file_line_and_nearest_key(shop: Path) -> None:
    (shop / "qalipsis.yml").write_text("server:\n  prot: 80\n")
    result = qalipsis("validate", "shop.py", folder=shop)
    assert_refused(result, 64, "qalipsis.yml:2: unknown key server.prot", "did you mean server.port?")


def test_debug_shows_where_a_refusal_comes_from(shop: Path) -> None:
    result = qalipsis("list", "shop.py", "-c", "server.port=x", "--debug", folder=shop)
    assert_refused(result, 64, "server.port cannot be 'x'", is_debug=True)


def test_an_internal_error_is_one_sentence_and_code_70(shop: Path) -> None:
    (shop / "report.json").mkdir()
    (shop / "sitecustomize.py").write_text(
        "import qalipsis.config.loader as loader\n"
        "def load(**ignored): raise ZeroDivisionError('so it goes')\n"
        "loader.load = load\n"
    )
    result = qalipsis("list", "shop.py", folder=shop, PYTHONPATH=str(shop))
    assert_refused(result, 70, "internal error, ZeroDivisionError: so it goes", "with --debug")
    assert len(result.stderr.splitlines()) == 1


def test_output_into_a_closed_pipe_is_no_error(shop: Path) -> None:
    command = f"{sys.executable} -m qalipsis list shop.py | true; exit ${{PIPESTATUS[0]}}"
    result = subprocess.run(
        ["bash", "-c", command], cwd=shop, capture_output=True, text=True, timeout=60, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")


# Scenarios


def test_list_shows_the_scenarios_with_their_minions_profile_and_steps(shop: Path) -> None:
    result = qalipsis("list", "shop.py", folder=shop)
    assert (result.returncode, result.stderr) == (0, "")
    assert "checkout: 3 minions, immediate" in result.stdout
    assert "Buys things." in result.stdout
    assert "    pick " in result.stdout
    assert "browse: 1 minion, immediate" in result.stdout


def test_list_shows_the_selected_scenarios_only(shop: Path) -> None:
    result = qalipsis("list", "shop.py", "-s", "b*", folder=shop)
    assert "browse" in result.stdout
    assert "checkout" not in result.stdout


def test_validate_tells_what_is_valid(shop: Path) -> None:
    result = qalipsis("validate", "shop.py", "-c", "shop.item=pen", folder=shop)
    assert (result.returncode, result.stdout) == (0, "2 scenarios are valid: checkout, browse\n")


def test_every_mistake_of_a_file_is_shown_at_once_with_its_line(shop: Path) -> None:
    result = qalipsis("validate", "broken.py", folder=shop)
    assert_refused(result, 65, "broken.py:4: ", "'same'", "broken.py:6: ", "99", "broken.py:8: ", "negative")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("def x(:\n", ("bad.py:1: ", "syntax")),
        ("\nimport nowhere_to_be_found\n", ("bad.py:2: ", "nowhere_to_be_found")),
        ("x = 1\n", ("bad.py", "no scenario")),
        ("from qalipsis import scenario\ns = scenario('x').start().retruns(1)\n", ("bad.py:2: ", "retruns")),
    ],
)
def test_a_file_that_holds_no_good_scenario_is_refused(shop: Path, text: str, parts: tuple[str, ...]) -> None:
    (shop / "bad.py").write_text(text)
    assert_refused(qalipsis("validate", "bad.py", folder=shop), 65, *parts)


def test_a_path_that_does_not_exist_is_refused(shop: Path) -> None:
    assert_refused(qalipsis("list", "shpo.py", folder=shop), 65, "shpo.py")


@pytest.mark.parametrize("command", ["list", "validate", "run"])
def test_a_pattern_that_matches_nothing_is_refused_with_the_names_there_are(shop: Path, command: str) -> None:
    result = qalipsis(command, "shop.py", "-s", "checkuot,browse", folder=shop)
    assert_refused(result, 65, "'checkuot' matches no scenario", "checkout, browse")


# Reports


def test_a_report_is_rendered_again_in_every_form(tmp_path: Path) -> None:
    report = Report(
        campaign=CampaignInfo(
            key="c-1",
            name="Spring sale",
            status="FAILED",
            start="2026-01-01T00:00:00Z",
            end="2026-01-01T00:00:01Z",
            duration_s=1.0,
        ),
        verdict=Verdict(value="VALID"),
        ledger=Books(),
        scenarios=(),
        timeline=(),
        factories=(),
    )
    (tmp_path / "report.json").write_bytes(json_report.encode(report))
    text = qalipsis("report", "report.json", folder=tmp_path)
    assert (text.returncode, text.stderr) == (0, "")
    assert "Spring sale" in text.stdout
    assert "<testsuites" in qalipsis("report", "report.json", "-f", "junit", folder=tmp_path).stdout
    html = qalipsis("report", "report.json", "-f", "html", "-o", "page.html", folder=tmp_path)
    assert (html.returncode, html.stdout) == (0, "")
    assert "<html" in (tmp_path / "page.html").read_text("utf-8")


def test_a_file_that_is_no_report_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text('{"schema": "something-else/3"}')
    assert_refused(
        qalipsis("report", "other.json", folder=tmp_path), 64, "other.json: cannot read this report"
    )
