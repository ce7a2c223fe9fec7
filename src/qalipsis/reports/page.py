"""report.html: the whole report in one file that needs nothing else."""

from __future__ import annotations

from html import escape

from qalipsis.reports.model import Report


def render(report: Report) -> str:
    """The report as one HTML document without any external reference."""
    return f"<!doctype html><title>{escape(report.campaign.name)}</title>"
