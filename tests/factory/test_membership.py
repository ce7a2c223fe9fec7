"""A factory that loses its broker."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from qalipsis.cluster.messages import Farewell, Handshake, HandshakeRefused, Heartbeat
from qalipsis.cluster.transport import Transport
from qalipsis.errors import FactoryRefused, ServiceUnavailable, TransportClosed
from qalipsis.factory import membership
from qalipsis.factory.membership import stay

from .stage import Losable, Stage, play


class Stay(Stage):
    """The factory is kept in its cluster; its broker is away for as long as the test says."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.tries = 0
        self.is_away = False

    async def __aenter__(self) -> Stay:
        await self.session.load([self.file], {})
        self.served = asyncio.create_task(stay(self.session, self.transport, self.open_transport, 30.0))
        self._spawn(self._read_reception())
        return self

    async def open_transport(self) -> Transport:
        self.tries += 1
        if self.is_away:
            raise ServiceUnavailable("Redis at 10.0.0.1:6379 does not answer")
        self.transport = Losable()
        self._publishers.clear()
        self._spawn(self._read_reception())
        return self.transport

    def lose(self) -> None:
        for task in self._tasks:
            task.cancel()
        self.is_away = True
        self.fail(TransportClosed("Redis at 10.0.0.1:6379 does not answer, for 30 s now"))


def test_a_factory_comes_back_by_itself(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> int:
        async with Stay(tmp_path) as stage:
            await stage.accept()
            await stage.hears(Heartbeat, 2)
            lost = stage.transport
            stage.lose()
            await asyncio.sleep(300)
            assert lost._is_closed
            stage.is_away = False
            await stage.hears(Handshake, 2)
            beats = sum(isinstance(message, Heartbeat) for message in stage.heard)
            await stage.hears(Heartbeat, beats + 2)
            stage.session.stop(is_hard=False)
            await stage.served
            await stage.hears(Farewell)
            return stage.tries

    tries = play(test())
    assert tries == pytest.approx(300 / membership.RETRY_SECONDS, abs=2)
    assert len(caplog.records) <= 2 + tries / membership.TOLD_EVERY + 1  # a line a minute


def test_a_factory_without_a_broker_ends_when_it_is_told_to(tmp_path: Path) -> None:
    async def test() -> None:
        async with Stay(tmp_path) as stage:
            await stage.accept()
            await stage.hears(Heartbeat)
            stage.lose()
            await asyncio.sleep(17)
            stage.session.stop(is_hard=False)
            before = stage.clock.now()
            await stage.served
            assert stage.clock.now() == before

    play(test())


def test_a_factory_that_is_about_to_end_does_not_look_for_another_broker(tmp_path: Path) -> None:
    async def test() -> None:
        async with Stay(tmp_path) as stage:
            await stage.accept()
            await stage.assign()
            await asyncio.sleep(2)
            stage.session.stop(is_hard=False)
            await asyncio.sleep(1)
            stage.lose()
            await stage.served
            assert stage.tries == 0

    play(test())


def test_a_refusal_of_the_head_is_no_reason_to_try_again(tmp_path: Path) -> None:
    async def test() -> None:
        async with Stay(tmp_path) as stage:
            await stage.hears(Handshake)
            await stage.to_node(HandshakeRefused(reason="install the same version"))
            await stage.served

    with pytest.raises(FactoryRefused):
        play(test())
