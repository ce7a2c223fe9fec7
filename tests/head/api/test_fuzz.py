"""Whatever is sent, the API answers with less than a 500; the cases come from its own description."""

from __future__ import annotations

from typing import Any

import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable

from qalipsis.config.settings import CampaignValidation, Server
from qalipsis.head.api.access import Gate
from qalipsis.head.api.app import make_app
from tests.head.api.desk import Desk

CASES = 14
"""Of each operation, some 500 in all."""


def test_no_request_makes_the_api_fail() -> None:
    desk = Desk()
    desk.welcome()
    app = make_app(desk.service, Gate(desk.ring, False, None), Server(), CampaignValidation(), desk.data)
    described = schemathesis.openapi.from_asgi("/api/openapi.json", app)
    operations = [found.ok() for found in described.get_all_operations()]
    assert len(operations) > 15
    for operation in operations:
        for mode in (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE):
            probe(operation, mode)


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
        answer = case.call()
        assert answer.status_code < 500, answer.text
        if answer.status_code >= 400 and not case.formatted_path.startswith("/api/docs"):
            assert answer.json()["errors"]

    try:
        send()
    except Unsatisfiable:
        return  # nothing can be wrong with what has no parameters
