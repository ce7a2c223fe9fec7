"""Whatever is sent, the API answers with less than a 500; the cases come from its own description."""

from __future__ import annotations

import asyncio
from typing import Any

import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable

from qalipsis.config.settings import CampaignValidation, Server
from qalipsis.head.api.access import Gate
from qalipsis.head.api.app import make_app
from qalipsis.head.meter_rows import MINIONS
from qalipsis.head.report_template import Component, ReportTemplate
from tests.head.api.desk import Desk
from tests.head.api.measured import measure

ABOUT_DATA = ("/api/data-series", "/api/time-series", "/api/reports")
CASES = 14
"""Of each operation, some 500 in all."""


def test_no_request_makes_the_api_fail() -> None:
    desk = Desk()
    desk.welcome()
    asyncio.run(fill(desk))
    app = make_app(desk.service, Gate(desk.ring, False, None), Server(), CampaignValidation(), desk.data)
    described = schemathesis.openapi.from_asgi("/api/openapi.json", app)
    operations = [found.ok() for found in described.get_all_operations()]
    assert len(operations) > 15
    for operation in operations:
        for mode in (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE):
            probe(operation, mode)


async def fill(desk: Desk) -> None:
    """Something to ask for, under the reference of the series that is always there."""
    await measure(desk.store, "c-1")
    await desk.reports.add(
        ReportTemplate(
            reference=MINIONS,
            creator="local",
            display_name="Nightly",
            campaign_keys=("c-1",),
            components=(Component(type="DIAGRAM", data_series=(MINIONS,)),),
        )
    )


def about_what_exists(case: schemathesis.Case) -> schemathesis.Case:
    """The same request for a series, a report and a campaign that are there; nothing is rendered."""
    if "reference" in case.path_parameters and not case.path.endswith("/render"):
        case.path_parameters["reference"] = MINIONS
    if "kind" in case.path_parameters:
        case.path_parameters["kind"] = "METERS"
    for name, value in (("series", MINIONS), ("campaigns", "c-1")):
        if name in case.query and case.method == "GET":
            case.query[name] = [value]
    return case


def check(case: schemathesis.Case) -> None:
    answer = case.call()
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400 and not case.formatted_path.startswith("/api/docs"):
        assert answer.json()["errors"]


def probe(operation: Any, mode: schemathesis.GenerationMode) -> None:
    @settings(
        max_examples=CASES // 2,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def send(case: schemathesis.Case) -> None:
        check(case)
        if any(case.formatted_path.startswith(part) for part in ABOUT_DATA):
            check(about_what_exists(case))

    try:
        send()
    except Unsatisfiable:
        return  # nothing can be wrong with what has no parameters
