from __future__ import annotations

from pathlib import Path

import pytest

from qalipsis.cli.report_files import ReportFiles
from qalipsis.config.settings import FileExport, ReportExport
from qalipsis.errors import ConfigurationError
from qalipsis.metrics.ledger import Books
from qalipsis.reports.model import CampaignInfo, Report, Verdict

REPORT = Report(
    campaign=CampaignInfo(
        key="c-1",
        name="n",
        status="SUCCESSFUL",
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


def test_each_campaign_gets_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    written, _ = ReportFiles(ReportExport(), None).write(REPORT)
    assert [str(path) for path in written] == [
        "reports/c-1/report.json",
        "reports/c-1/junit.xml",
        "reports/c-1/report.html",
    ]
    assert all((tmp_path / path).stat().st_size for path in written)


def test_the_folder_of_the_command_line_wins_over_the_configured_ones(tmp_path: Path) -> None:
    export = ReportExport(junit=FileExport(folder=str(tmp_path / "other")))
    written, _ = ReportFiles(export, str(tmp_path / "here")).write(REPORT)
    assert {path.parent for path in written} == {tmp_path / "here"}


def test_only_the_enabled_forms_are_written_each_into_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    export = ReportExport(
        junit=FileExport(folder="deep/below"), html=FileExport(enabled=False), json=FileExport(enabled=False)
    )
    assert ReportFiles(export, None).write(REPORT) == ((Path("deep/below/junit.xml"),), ())
    assert not (tmp_path / "reports").exists()


def test_a_folder_that_cannot_be_written_to_is_refused_before_the_campaign(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match="name another folder with --report-dir"):
        ReportFiles(ReportExport(), str(tmp_path / "file" / "below"))


def test_a_file_that_cannot_be_written_costs_neither_the_others_nor_what_was_there(tmp_path: Path) -> None:
    files = ReportFiles(ReportExport(), str(tmp_path))
    (tmp_path / "junit.xml").mkdir()
    written, failures = files.write(REPORT)
    assert written == (tmp_path / "report.json", tmp_path / "report.html")
    assert failures == (f"{tmp_path / 'junit.xml'}: Is a directory",)
    assert {path.name for path in tmp_path.iterdir()} == {"report.json", "report.html", "junit.xml"}


def test_the_default_folder_is_checked_before_the_campaign_and_made_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ReportFiles(ReportExport(), None)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "reports").write_text("")
    with pytest.raises(ConfigurationError, match="name another folder with --report-dir"):
        ReportFiles(ReportExport(), None)
