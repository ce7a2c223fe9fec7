"""Whole campaigns whose database is not as it should be."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from benchmarks.campaign import run_campaign
from qalipsis.cli.exit_codes import ExitCode
from tests.services.postgres import Postgres

SAVING = """
    from qalipsis import profile, prop, scenario
    from qalipsis.plugins import sql

    shop = sql.postgres(
        prop("shop.database", type=str),
        password=prop("shop.password", type=str),
        timeout="2s",
        connect_timeout="1s",
    )
    saving = (
        scenario("saving", minions=20, profile=profile.regular("100ms", 1))
        .start()
        .returns(1)
        .then(shop.save(prop("shop.table", default="pg_temp.nothing"), columns={"id": 1})).named("save")
    )
"""
READING = """
    from qalipsis import profile, prop, scenario
    from qalipsis.plugins import sql

    shop = sql.postgres(
        prop("shop.database", type=str),
        password=prop("shop.password", type=str),
        timeout="2s",
        connect_timeout="1s",
    )
    reading = (
        scenario("reading", minions=60, profile=profile.regular("100ms", 1))
        .start()
        .returns(1)
        .then(shop.search("SELECT pg_sleep(0.01), 1 AS one", into=dict)).named("search")
        .on_each(lambda rows: open("MARKER", "w").close())
    )
"""
POLLING = """
    from qalipsis import profile, prop, scenario
    from qalipsis.plugins import sql

    shop = sql.postgres(prop("shop.database", type=str), password=prop("shop.password", type=str))
    rows = shop.poll("SELECT id FROM no_such_table", by="id")
    polling = scenario("polling").start().then(rows).named("row")
"""


def written(folder: Path, source: str) -> Path:
    file = folder / "scenarios.py"
    file.write_text(dedent(source))
    return file


def address(postgres: Postgres, **changes: Any) -> dict[str, object]:
    port = changes.get("port", postgres.port)
    password = changes.get("password", postgres.password)
    return {
        "shop.database": f"postgresql://{postgres.user}@{postgres.host}:{port}/{postgres.database}",
        "shop.password": password,
    }


def refused(file: Path, properties: dict[str, object]) -> str:
    """What a campaign that does not start says."""
    with pytest.raises(RuntimeError, match=f"ended with code {ExitCode.UNAVAILABLE.value}") as caught:
        run_campaign(file, properties, timeout_seconds=60)
    return str(caught.value).partition("no report:\n")[2]


@pytest.mark.parametrize(
    ("source", "changes", "words"),
    [
        (SAVING, {"password": "wrong-pass"}, "password authentication failed"),
        (SAVING, {"port": 1}, "refuses connections"),
        (POLLING, {"port": 1}, "refuses connections"),
        (POLLING, {}, 'relation "no_such_table" does not exist'),
    ],
)
def test_what_keeps_a_campaign_from_starting_is_one_message(
    postgres: Postgres, tmp_path: Path, source: str, changes: dict[str, Any], words: str
) -> None:
    said = refused(written(tmp_path, source), address(postgres, **changes))
    assert words in said
    assert f"127.0.0.1:{changes.get('port', postgres.port)}" in said
    assert "scenarios.py:" in said
    assert postgres.password not in said
    assert "wrong-pass" not in said


def test_a_table_that_is_missing_fails_the_steps_and_not_the_campaign(
    postgres: Postgres, tmp_path: Path
) -> None:
    properties = {**address(postgres), "shop.table": "no_such_table"}
    run = run_campaign(written(tmp_path, SAVING), properties, timeout_seconds=60)
    assert run.report["campaign"]["status"] == "FAILED"
    step = run.step("save")
    assert step["executions"]["errors"] == {"no-table": 20}
    assert f"PostgreSQL at 127.0.0.1:{postgres.port}" in step["first_error"]
    assert postgres.password not in json.dumps(run.report)
    requests = run.report["ledger"]["requests"]
    assert (requests["attempted"], requests["error"]) == (20, 20)


def stopping(postgres: Postgres, marker: Path) -> Callable[[int], None]:
    """Stops the server once, a second after the marker was there."""
    seen: list[float] = []

    def stop(pid: int) -> None:
        if not seen and marker.exists():
            seen.append(time.monotonic())
        elif len(seen) == 1 and time.monotonic() - seen[0] > 1:
            seen.append(time.monotonic())
            postgres.stop()

    return stop


def test_a_database_that_dies_in_mid_run_ends_no_campaign_before_its_time(
    postgres: Postgres, tmp_path: Path
) -> None:
    marker = tmp_path / "marker"
    file = written(tmp_path, READING.replace("MARKER", str(marker)))
    try:
        run = run_campaign(
            file, address(postgres), timeout_seconds=90, while_running=stopping(postgres, marker)
        )
    finally:
        postgres.start()
    executions = run.step("search")["executions"]
    assert executions["attempted"] == 60
    assert executions["successful"] > 0, run.output
    assert executions["errors"]["connect-refused"] > 0
    # "connect-failed" is a login that the end of the server cut off.
    assert set(executions["errors"]) <= {"closed", "connect-failed", "connect-refused", "unavailable"}
    assert run.report["campaign"]["status"] == "FAILED"
    assert run.report["campaign"]["duration_s"] < 20
    assert run.report["verdict"]["value"] != "INVALID"
    assert postgres.password not in json.dumps(run.report) + run.output
