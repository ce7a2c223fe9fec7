"""What a campaign comes to, as lines of a head's log."""

from __future__ import annotations

import logging

from qalipsis.head.campaign import Phase
from qalipsis.reports.live import Live
from qalipsis.reports.model import Report

_log = logging.getLogger(__name__)


class CampaignLog:
    """Tells each change and each notice once. Those of a campaign that another head began are told again."""

    def __init__(self, key: str) -> None:
        self._key = key
        self._state = ""
        self._told: set[str] = set()

    def show(self, live: Live) -> None:
        """How the campaign stands now."""
        if live.state != self._state:
            self._state = live.state
            self._tell_state(live)
        for notice in live.notices:
            if notice not in self._told:
                _log.warning("campaign %s: %s", self._key, notice)
        self._told = set(live.notices)

    def end(self, report: Report) -> None:
        """Its report is written down."""
        requests = report.ledger.requests
        _log.info(
            "campaign %s has ended: %s, verdict %s; %s requests, %s without an answer",
            self._key,
            report.campaign.status,
            report.verdict.value,
            f"{requests.attempted:,}",
            f"{requests.error + requests.unknown:,}",
        )
        for reason in report.verdict.reasons:
            _log.warning("campaign %s is %s: %s", self._key, report.verdict.value, reason)

    def _tell_state(self, live: Live) -> None:
        match live.state:
            case Phase.RUNNING:
                _log.info("campaign %s runs, with %s minions", self._key, f"{live.minions_scheduled:,}")
            case Phase.DRAINING:
                _log.info("campaign %s starts nothing more", self._key)
            case Phase.ABORTING:
                _log.info("campaign %s is being interrupted", self._key)
            case state:
                _log.debug("campaign %s is %s", self._key, state)
