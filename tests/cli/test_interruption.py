from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Iterator

import pytest

from qalipsis.cli.interruption import BLOCKED_SECONDS, SIGNALS, interruption


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = {each: signal.getsignal(each) for each in SIGNALS}
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


@pytest.mark.parametrize("sent", SIGNALS)
async def test_the_first_signal_stops_softly_the_second_hard_and_more_do_nothing(
    sent: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    stops: list[bool] = []
    with interruption(stops.append):
        for _ in range(3):
            os.kill(os.getpid(), sent)
            await asyncio.sleep(0)
            await asyncio.sleep(0.01)
    assert stops == [False, True]
    assert "Ctrl-C again stops at once" in capsys.readouterr().err


async def test_afterwards_the_report_cannot_be_interrupted() -> None:
    with interruption(lambda hard: None):
        pass
    os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGTERM)


async def test_what_was_ignored_before_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    stops: list[bool] = []
    with interruption(stops.append):
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.sleep(0.01)
    assert stops == []


def block() -> None:
    time.sleep(BLOCKED_SECONDS + 30)


async def test_code_that_blocks_the_loop_is_interrupted_by_a_later_signal() -> None:
    stops: list[bool] = []
    with interruption(stops.append):
        timer = threading.Timer(BLOCKED_SECONDS + 0.5, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            block()
        timer.join()
        assert stops == []
        await asyncio.sleep(0.01)
    assert stops == [False]
