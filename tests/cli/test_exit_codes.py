from __future__ import annotations

import pytest

from qalipsis.cli.exit_codes import ExitCode, of_error, of_report
from qalipsis.errors import (
    CampaignRefused,
    ConfigurationError,
    FactoryError,
    ScenarioErrors,
    ServiceRefused,
    ServiceUnavailable,
    TransportClosed,
)
from qalipsis.metrics.ledger import Books
from qalipsis.reports.model import CampaignInfo, Report, Verdict


def report(status: str, verdict: str) -> Report:
    campaign = CampaignInfo(key="k", name="n", status=status, start="", end="", duration_s=1.0)
    return Report(
        campaign=campaign,
        verdict=Verdict(value=verdict),
        ledger=Books(),
        scenarios=(),
        timeline=(),
        factories=(),
    )


@pytest.mark.parametrize(
    ("status", "verdict", "code"),
    [
        ("SUCCESSFUL", "VALID", 0),
        ("WARNING", "VALID", 0),
        ("FAILED", "VALID", 1),
        ("FAILED", "INVALID", 1),
        ("ABORTED", "VALID", 2),
        ("ABORTED", "DEGRADED", 2),
        ("SUCCESSFUL", "DEGRADED", 3),
        ("WARNING", "INVALID", 3),
    ],
)
def test_a_failure_weighs_more_than_an_abort_and_both_more_than_doubt(
    status: str, verdict: str, code: int
) -> None:
    assert of_report(report(status, verdict)) == code


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigurationError("x"), ExitCode.USAGE),
        (CampaignRefused("x"), ExitCode.USAGE),
        (ScenarioErrors(()), ExitCode.NO_SCENARIO),
        (ServiceRefused("x"), ExitCode.USAGE),
        (ServiceUnavailable("x"), ExitCode.UNAVAILABLE),
        (TransportClosed("x"), ExitCode.UNAVAILABLE),
        (FactoryError("x"), ExitCode.INTERNAL),
        (ZeroDivisionError("x"), ExitCode.INTERNAL),
    ],
)
def test_each_error_has_its_code(error: Exception, code: ExitCode) -> None:
    assert of_error(error) is code
