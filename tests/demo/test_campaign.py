from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from qalipsis.demo.campaign import open_shop


def test_the_shop_is_open_at_the_address_that_the_scenario_gets() -> None:
    with open_shop({"demo.delay": "1ms", "other": 1}) as properties:
        assert properties["other"] == 1
        with urlopen(f"{properties['demo.url']}/catalogue") as answer:
            assert answer.status == 200


def test_the_shop_fails_as_often_as_it_is_told() -> None:
    with open_shop({"demo.errors": "1"}) as properties, pytest.raises(HTTPError, match="500"):
        urlopen(f"{properties['demo.url']}/catalogue")


def test_the_demo_ends_within_a_minute_with_a_valid_and_successful_campaign(tmp_path: Path) -> None:
    began = time.monotonic()
    command = [str(Path(sys.executable).with_name("qalipsis")), "demo", "--report-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert time.monotonic() - began < 60
    assert str(tmp_path / "report.html") in done.stdout
    report = json.loads((tmp_path / "report.json").read_bytes())
    assert (report["campaign"]["status"], report["verdict"]["value"]) == ("SUCCESSFUL", "VALID")
    assert report["ledger"]["minions"]["started"] >= 300
