from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator

import pytest

from qalipsis.cli.interruption import interruption


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
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
