"""For the machines that watch a head: is it alive, is it ready, and a few figures for Prometheus."""

from __future__ import annotations

from importlib.metadata import version
from typing import Final

from litestar import Response, get
from litestar.di import NamedDependency

from qalipsis.errors import QalipsisError
from qalipsis.head.api.access import OPEN
from qalipsis.head.service import CampaignService


@get("/health/live", opt={OPEN: True}, media_type="application/json", tags=["health"])
async def is_alive() -> dict[str, str]:
    """Answers as long as the head works at all."""
    return {"status": "UP"}


@get("/health/ready", opt={OPEN: True}, tags=["health"])
async def is_ready(service: NamedDependency[CampaignService]) -> Response[dict[str, str]]:
    """UP when the store answers and a factory is there, heard a moment ago; 503 otherwise."""
    try:
        await service.zones()
    except QalipsisError:
        return _answer({"status": "DOWN", "reason": "the store is away"})
    factories = service.factories()
    if not factories:
        return _answer({"status": "DOWN", "reason": "no factory has come yet"})
    if not any(each.is_fresh for each in factories):
        return _answer({"status": "DOWN", "reason": "no factory is heard any more"})
    return _answer({"status": "UP"})


@get("/metrics", opt={"permission": "read:campaign"}, media_type="text/plain", tags=["health"])
async def show_metrics(service: NamedDependency[CampaignService]) -> Response[str]:
    """Figures of the head and of the campaigns that it drives, as Prometheus reads them."""
    running = service.running
    lives = [live for live in running.values() if live is not None]
    figures: tuple[tuple[str, str, str, float], ...] = (
        (
            "qalipsis_factories",
            "gauge",
            "factories that were heard a moment ago",
            sum(each.is_fresh for each in service.factories()),
        ),
        ("qalipsis_campaigns_waiting", "gauge", "campaigns that wait for their turn", service.waiting),
        ("qalipsis_campaigns_running", "gauge", "campaigns that this head drives", len(running)),
        (
            "qalipsis_campaign_minions_running",
            "gauge",
            "minions that walk, in the campaigns that this head drives",
            sum(live.minions_running for live in lives),
        ),
        (
            "qalipsis_campaign_requests",
            "gauge",
            "requests so far, in the campaigns that this head drives",
            sum(live.requests for live in lives),
        ),
        (
            "qalipsis_campaign_errors",
            "gauge",
            "failed executions of steps so far, checks included, in the campaigns that this head drives",
            sum(live.errors for live in lives),
        ),
    )
    lines = [f'# TYPE qalipsis_info gauge\nqalipsis_info{{version="{version("qalipsis")}"}} 1']
    lines += [
        f"# HELP {name} {text}\n# TYPE {name} {kind}\n{name} {value}" for name, kind, text, value in figures
    ]
    return Response("\n".join(lines) + "\n", media_type="text/plain; version=0.0.4; charset=utf-8")


HANDLERS: Final = (is_alive, is_ready, show_metrics)


def _answer(content: dict[str, str]) -> Response[dict[str, str]]:
    return Response(content, status_code=200 if content["status"] == "UP" else 503)
