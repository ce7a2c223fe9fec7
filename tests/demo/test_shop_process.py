from __future__ import annotations

import os
import subprocess
import sys
from urllib.request import urlopen

import pytest

from qalipsis.demo.shop_process import running_shop, stop, wait_for_address
from qalipsis.errors import ServiceUnavailable


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def start(code: str) -> subprocess.Popen[str]:
    pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
    command = [sys.executable, "-c", code]
    return subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=nowhere, text=True)


def test_a_shop_runs_in_its_own_process_and_is_gone_afterwards() -> None:
    with running_shop(delay="1ms") as shop:
        with urlopen(f"{shop.url}/health") as answer:
            assert answer.status == 200
        assert shop.pid != os.getpid()
    assert not is_alive(shop.pid)


def test_a_shop_is_stopped_when_the_campaign_fails() -> None:
    with pytest.raises(RuntimeError), running_shop() as shop:
        raise RuntimeError
    assert not is_alive(shop.pid)


def test_a_shop_ends_with_the_process_that_started_it() -> None:
    command = [sys.executable, "-m", "qalipsis.demo.shop", "--until-stdin-closes"]
    shop = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert shop.stdin is not None
    try:
        wait_for_address(shop, 15)
        shop.stdin.close()
        assert shop.wait(10) == 0
    finally:
        stop(shop)


def test_a_shop_that_cannot_start_is_reported_with_its_exit_code() -> None:
    process = start("raise SystemExit(3)")
    try:
        with pytest.raises(ServiceUnavailable, match="code 3"):
            wait_for_address(process, 15)
    finally:
        stop(process)


def test_a_shop_that_says_nothing_is_given_up_on() -> None:
    process = start("input()")
    try:
        with pytest.raises(ServiceUnavailable, match="said nothing"):
            wait_for_address(process, 0.1)
    finally:
        stop(process)
