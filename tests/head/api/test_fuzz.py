"""Whatever is sent, the API answers with less than a 500; the cases come from its own description."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings

from qalipsis.config.settings import CampaignValidation, Server
from qalipsis.head.api.access import Gate
from qalipsis.head.api.app import make_app
from tests.head.api.desk import Desk


@pytest.fixture(scope="module")
def described() -> Any:
    desk = Desk()
    desk.welcome()
    app = make_app(desk.service, Gate(desk.ring, False, None), Server(), CampaignValidation())
    return schemathesis.openapi.from_asgi("/api/openapi.json", app)


api = schemathesis.pytest.from_fixture("described")


@api.parametrize()
@settings(
    max_examples=20, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
def test_no_request_makes_the_api_fail(case: schemathesis.Case) -> None:
    answer = case.call()
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400:
        assert answer.json()["errors"]
