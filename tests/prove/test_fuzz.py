"""Ten thousand requests that the API's description allows and forbids, over a database: no failure."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from hypothesis.errors import Unsatisfiable

from qalipsis.config.settings import Datasource
from qalipsis.head.database.database import open_database
from qalipsis.head.database.store import DatabaseStore
from tests.head.api.desk import BASE, Desk, configuration, open_client

CASES = 10_000
ROUND = 40
"""Cases of each operation and mode before the next one has its turn."""

KEY_HEADERS = {"Authorization", "X-API-Key"}
MODES = (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)


class Fuzz:
    """Sends cases; every second one meets what exists, for random keys and names are only ever unknown."""

    def __init__(self, runner: asyncio.Runner, client: httpx.AsyncClient, key: str) -> None:
        self._runner = runner
        self._client = client
        self._key = key
        self.statuses: Counter[int] = Counter()
        self.failures: dict[str, str] = {}

    def send(self, case: schemathesis.Case) -> None:
        sent = case.as_transport_kwargs(base_url=BASE)
        if self.statuses.total() % 2:
            self._meet_what_exists(case, sent)
        try:
            answer = self._runner.run(self._ask(sent))
        except (httpx.InvalidURL, httpx.LocalProtocolError, UnicodeEncodeError):
            return  # no client can send it
        self.statuses[answer.status_code] += 1
        if answer.status_code >= 500:
            place = f"{case.method} {case.path}"
            self.failures.setdefault(place, f"{sent}: {answer.status_code} {answer.text}")
        elif answer.status_code >= 400 and not case.path.startswith("/api/docs"):
            assert answer.json()["errors"], sent

    def _meet_what_exists(self, case: schemathesis.Case, sent: dict[str, Any]) -> None:
        for name in KEY_HEADERS & sent["headers"].keys():
            del sent["headers"][name]
        for name in ("key", "keys"):
            if name in case.path_parameters:
                sent["url"] = BASE + case.path.replace(f"{{{name}}}", self._key)
        body = sent.get("json")
        if isinstance(body, dict) and isinstance(body.get("scenarios"), dict):
            names = ("browse", "stages")
            sent["json"] = body | {"scenarios": dict(zip(names, body["scenarios"].values(), strict=False))}

    async def _ask(self, sent: dict[str, Any]) -> httpx.Response:
        given = {name: sent[name] for name in ("headers", "params", "json", "cookies") if sent.get(name)}
        if sent.get("data") is not None:
            given["content"] = sent["data"]
        async with asyncio.timeout(10):
            return await self._client.request(sent["method"], sent["url"], **given)


@asynccontextmanager
async def open_api(folder: Path) -> AsyncIterator[tuple[httpx.AsyncClient, dict[str, Any], str]]:
    """A client, the API's description, and the key of a campaign; every campaign ends at once."""
    async with open_database(Datasource(), folder) as database:
        desk = Desk(store=DatabaseStore(database))
        desk.is_swift = True
        desk.welcome()
        async with open_client(desk) as client:
            described = (await client.get("/api/openapi.json")).json()
            started = await client.post("/api/campaigns", json=configuration())
            yield client, described, started.json()["key"]


@pytest.mark.prove
def test_ten_thousand_requests_over_a_database_make_no_failure(tmp_path: Path) -> None:
    with asyncio.Runner() as runner:
        api = open_api(tmp_path)
        client, described, key = runner.run(api.__aenter__())
        try:
            fuzz = Fuzz(runner, client, key)
            fuzz_all(fuzz, described)
        finally:
            runner.run(api.__aexit__(None, None, None))
    print(f"{fuzz.statuses.total()} requests:", dict(sorted(fuzz.statuses.items())))
    assert not fuzz.failures, "\n".join(f"{place}: {text}" for place, text in fuzz.failures.items())


def fuzz_all(fuzz: Fuzz, described: dict[str, Any]) -> None:
    operations = [found.ok() for found in schemathesis.openapi.from_dict(described).get_all_operations()]
    for turn in count():
        for operation in operations:
            for mode in MODES:
                probe(fuzz, operation, mode, turn)
        if fuzz.statuses.total() >= CASES:
            return


def probe(fuzz: Fuzz, operation: Any, mode: schemathesis.GenerationMode, turn: int) -> None:
    @seed(turn)
    @settings(max_examples=ROUND, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(case=operation.as_strategy(generation_mode=mode))
    def send(case: schemathesis.Case) -> None:
        fuzz.send(case)

    try:
        send()
    except Unsatisfiable:
        return  # nothing can be wrong with what has no parameters
