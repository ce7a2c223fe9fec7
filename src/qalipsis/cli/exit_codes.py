"""What the exit code of the command says."""

from __future__ import annotations

from enum import IntEnum
from typing import Protocol

from qalipsis.errors import (
    CampaignRefused,
    ConfigurationError,
    FactoriesMissing,
    FactoryRefused,
    QalipsisError,
    ScenarioErrors,
    ServiceRefused,
    ServiceUnavailable,
    TransportClosed,
)


class ExitCode(IntEnum):
    """The codes of a campaign, then those of `sysexits.h` for everything that kept it from being run."""

    SUCCESSFUL = 0
    FAILED = 1
    ABORTED = 2
    NOT_VALID = 3
    USAGE = 64
    NO_SCENARIO = 65
    UNAVAILABLE = 69
    INTERNAL = 70


OF_ERRORS: tuple[tuple[type[QalipsisError], ExitCode], ...] = (
    (ConfigurationError, ExitCode.USAGE),
    (CampaignRefused, ExitCode.USAGE),
    (FactoryRefused, ExitCode.USAGE),
    (FactoriesMissing, ExitCode.UNAVAILABLE),
    (ScenarioErrors, ExitCode.NO_SCENARIO),
    (ServiceRefused, ExitCode.USAGE),
    (ServiceUnavailable, ExitCode.UNAVAILABLE),
    (TransportClosed, ExitCode.UNAVAILABLE),
)


def of_error(error: BaseException) -> ExitCode:
    """INTERNAL for everything that is not in the table."""
    return next((code for kind, code in OF_ERRORS if isinstance(error, kind)), ExitCode.INTERNAL)


class _Campaign(Protocol):
    @property
    def status(self) -> str: ...


class _Verdict(Protocol):
    @property
    def value(self) -> str: ...


class Finished(Protocol):
    """What of a report decides: a Protocol, so that `--help` need not import the reports."""

    @property
    def campaign(self) -> _Campaign: ...

    @property
    def verdict(self) -> _Verdict: ...


def of_report(report: Finished) -> ExitCode:
    """A failure weighs more than an abort, and both more than numbers that cannot be trusted."""
    if report.campaign.status == "FAILED":
        return ExitCode.FAILED
    if report.campaign.status == "ABORTED":
        return ExitCode.ABORTED
    return ExitCode.SUCCESSFUL if report.verdict.value == "VALID" else ExitCode.NOT_VALID
