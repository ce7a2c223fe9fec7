"""How long a store may be away."""

from __future__ import annotations

import asyncio
import logging

import pytest

from qalipsis.errors import QalipsisError, ServiceRefused, ServiceUnavailable
from qalipsis.head.patience import PATIENCE_SECONDS, patiently
from tests.head.stage import virtual


class Store:
    """Fails so many times."""

    def __init__(self, error: QalipsisError, times: int) -> None:
        self._error = error
        self._times = times

    async def call(self) -> str:
        if self._times:
            self._times -= 1
            raise self._error
        return "here"


@virtual
async def test_a_store_that_refuses_is_waited_for_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert await patiently(Store(ServiceUnavailable("it is away"), 3).call) == "here"
        assert caplog.messages == []
        assert await patiently(Store(ServiceRefused("check the password"), 3).call) == "here"
    assert caplog.messages == ["this head goes on for 600 s without its store: check the password"]


@pytest.mark.parametrize("error", [ServiceUnavailable("it is away"), ServiceRefused("check the password")])
@virtual
async def test_it_is_not_waited_for_without_end(error: QalipsisError) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(type(error)):
        await patiently(Store(error, 10**6).call)
    assert loop.time() - began == pytest.approx(PATIENCE_SECONDS, abs=1)
