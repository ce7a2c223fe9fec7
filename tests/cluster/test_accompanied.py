"""Whatever happens, no task is left behind."""

import asyncio

import pytest

from qalipsis.cluster.accompanied import accompanied


class Companion:
    """Waits for ever, and says when it was ended."""

    def __init__(self) -> None:
        self.has_ended = False

    async def run(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self.has_ended = True


async def answer() -> int:
    await asyncio.sleep(0)
    return 42


async def fail() -> None:
    await asyncio.sleep(0)
    raise ValueError("as it is")


async def end() -> None:
    return None


async def test_the_companions_end_with_the_one_they_accompany() -> None:
    companion = Companion()
    assert await accompanied(answer(), companion.run(), end()) == 42
    assert companion.has_ended


async def test_a_failing_companion_ends_everything_with_its_own_error() -> None:
    companion = Companion()
    with pytest.raises(ValueError, match="as it is"):
        await accompanied(Companion().run(), fail(), companion.run())
    assert companion.has_ended


async def test_cancelling_ends_everything() -> None:
    companion = Companion()
    task = asyncio.create_task(accompanied(Companion().run(), companion.run()))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert companion.has_ended
