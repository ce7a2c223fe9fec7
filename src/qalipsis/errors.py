"""One root for every error of the project, one branch per part of it."""

from __future__ import annotations

from dataclasses import dataclass


class QalipsisError(Exception):
    """Anything this project reports on purpose: the message says what, where, and what to do instead."""


class ConfigurationError(QalipsisError):
    """A setting, a configuration file or a command line that cannot be used as it is."""


class ServiceUnavailable(QalipsisError):
    """A service the project itself needs (a broker, a store, a target at start) cannot be reached."""


class ServiceRefused(ServiceUnavailable):
    """The service is there and does not let us in: the login or the rights are to be corrected."""


class TransportClosed(QalipsisError):
    """The connection between head and factory ended, or does not accept messages any more."""


class ReaderReplaced(TransportClosed):
    """Another reader reads the topic now; the connection itself is whole."""


class CampaignRefused(QalipsisError):
    """A campaign that cannot be run as requested; nothing was started."""


class FactoryError(QalipsisError):
    """A factory or one of its workers could not do what was asked."""


class FactoriesMissing(FactoryError):
    """Too few factories came in time."""


class FactoryRefused(FactoryError):
    """No head takes this factory as it is: the message says what to change."""


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One author mistake: where it stands, what is wrong, what to write instead."""

    file: str
    line: int
    message: str
    hint: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}" if self.line else self.file
        hint = f"\n    {self.hint}" if self.hint else ""
        return f"{place}: {self.message}{hint}"


class ScenarioErrors(QalipsisError):
    """Every mistake found in the scenarios, sorted by place, each listed once."""

    def __init__(self, mistakes: tuple[Mistake, ...]) -> None:
        self.mistakes = tuple(sorted(set(mistakes)))
        super().__init__("\n".join(str(mistake) for mistake in self.mistakes))
