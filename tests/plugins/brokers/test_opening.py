from __future__ import annotations

import asyncio

import pytest

from qalipsis.engine.step import StepError
from qalipsis.plugins.brokers import recovery
from qalipsis.plugins.brokers.opening import Opening
from qalipsis.plugins.brokers.recovery import recovered


async def test_all_who_ask_meanwhile_share_one_attempt() -> None:
    attempts = 0

    async def open() -> int:
        nonlocal attempts
        attempts += 1
        await asyncio.sleep(0.01)
        if attempts == 1:
            raise StepError("connect-refused")
        return attempts

    opening = Opening(open)
    results = await asyncio.gather(*(opening.wait() for _ in range(5)), return_exceptions=True)
    assert [getattr(result, "kind", "") for result in results] == ["connect-refused"] * 5
    assert await asyncio.gather(*(opening.wait() for _ in range(5))) == [2] * 5


async def test_who_gives_up_does_not_disturb_the_others() -> None:
    go = asyncio.Event()

    async def open() -> str:
        await go.wait()
        return "open"

    opening = Opening(open)
    impatient, patient = (asyncio.create_task(opening.wait()) for _ in range(2))
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.sleep(0)
    go.set()
    assert await patient == "open"


async def test_closing_gives_up_what_is_being_opened() -> None:
    opening: Opening[None] = Opening(lambda: asyncio.sleep(60))
    waiting = asyncio.create_task(opening.wait())
    await asyncio.sleep(0)
    await opening.aclose()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await opening.aclose()


async def test_a_reader_tries_again_until_it_succeeds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "FIRST_PAUSE", 0.001)
    failures = [StepError("connect-refused"), TimeoutError(), StepError("no-queue")]

    async def open() -> str:
        if failures:
            raise failures.pop()
        return "open"

    assert await recovered(open, StepError("closed", "it is gone")) == "open"


async def test_a_refused_login_is_not_tried_again() -> None:
    async def open() -> str:
        raise StepError("auth", "refused")

    with pytest.raises(StepError, match="refused"):
        await recovered(open, StepError("closed"))


async def test_trying_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recovery, "RECOVERY_SECONDS", 0.2)

    async def refuse() -> str:
        raise StepError("connect-refused", "nobody there")

    with pytest.raises(StepError, match=r"nobody there; no success within 0\.2 s"):
        await recovered(refuse, StepError("closed"))

    async def hang() -> str:
        await asyncio.sleep(60)
        return "late"

    with pytest.raises(StepError, match="it is gone"):
        await recovered(hang, StepError("closed", "it is gone"))
