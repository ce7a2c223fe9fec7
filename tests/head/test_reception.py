"""How factories become members of the cluster, at one head at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from qalipsis.cluster.messages import (
    PROTOCOL,
    Farewell,
    Handshake,
    HandshakeAccepted,
    HandshakeRefused,
    HandshakeWanted,
    Heartbeat,
    Shutdown,
)
from qalipsis.errors import ServiceUnavailable, TransportClosed
from qalipsis.head.directory import Beat
from qalipsis.head.memory_directory import MemoryDirectory
from qalipsis.head.reception import Reception
from tests.head.stage import CLAIM_LEASE, LEASE, SHOP, PlayedFactory, Stage, virtual

TOO_LONG = 2.75


@asynccontextmanager
async def serving(*receptions: Reception) -> AsyncIterator[None]:
    tasks = [asyncio.ensure_future(each.serve()) for each in receptions]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


class Hall(Stage):
    """A reception, and factories that live as long as the test."""

    def __init__(self) -> None:
        super().__init__(lease=LEASE)
        self._playing: set[asyncio.Task[None]] = set()

    def add(self, node: str = "node", incarnation: int = 1, **more: Any) -> PlayedFactory:
        factory = PlayedFactory(self.transport, SHOP, node=node, incarnation=incarnation)
        if more:
            factory.handshake = msgspec.structs.replace(factory.handshake, **more)
        self._playing.add(asyncio.ensure_future(factory.run()))
        return factory

    async def known(self) -> dict[str, int]:
        return {each.node: each.incarnation for each in await self.directory.factories()}

    async def close(self) -> None:
        for task in self._playing:
            task.cancel()
        await asyncio.wait(self._playing)


@virtual
async def test_a_factory_is_accepted_with_the_terms_of_the_cluster_and_stays_fresh() -> None:
    hall = Hall()
    factory = hall.add(zone="eu", tags={"rack": "7"})
    async with serving(hall.reception):
        await asyncio.sleep(20)
        assert factory.heard == [HandshakeAccepted(heartbeat_s=1.0, lease_s=LEASE)]
        (record,) = await hall.directory.factories()
        assert record.is_free
        assert (record.handshake.zone, record.handshake.tags) == ("eu", {"rack": "7"})
        assert record.silence_s < 1.5
        assert record.heartbeat is not None
        assert record.heartbeat.state == "idle"
    await hall.close()


@pytest.mark.parametrize("protocol", [PROTOCOL + 1, 99])
@virtual
async def test_a_factory_of_another_protocol_is_refused_by_name(protocol: int) -> None:
    hall = Hall()
    factory = hall.add(protocol=protocol, version="9.9")
    factory.is_beating = False
    async with serving(hall.reception):
        await asyncio.sleep(5)
        (refused,) = factory.heard
        assert isinstance(refused, HandshakeRefused)
        assert refused.reason.startswith(
            f"factory node speaks protocol {protocol} (version 9.9), this head 1"
        )
        assert "install the same version" in refused.reason
        assert await hall.known() == {}
    await hall.close()


@virtual
async def test_the_protocol_before_this_one_is_understood() -> None:
    hall = Hall()
    factory = hall.add(protocol=PROTOCOL - 1)
    async with serving(hall.reception):
        await asyncio.sleep(1)
        assert factory.heard_kinds() == [HandshakeAccepted]
    await hall.close()


@virtual
async def test_a_second_factory_of_a_node_is_refused_while_the_first_one_beats() -> None:
    hall = Hall()
    first = hall.add()
    async with serving(hall.reception):
        await asyncio.sleep(3)
        second = hall.add(incarnation=2)
        second.is_beating = False
        await asyncio.sleep(5)
        assert first.heard_kinds() == [HandshakeAccepted]
        (refused,) = second.heard
        assert isinstance(refused, HandshakeRefused)
        assert refused.reason == (
            "another factory works as node node already; give each factory a factory.node-id of its own"
        )
        assert await hall.known() == {"node": 1}
    await hall.close()


@pytest.mark.parametrize("is_late", [False, True], ids=["just before", "just after"])
@virtual
async def test_a_second_factory_of_a_node_is_refused_also_when_the_first_one_could_not_be_heard(
    is_late: bool,
) -> None:
    """The broker is away for longer than a factory may be silent, and the second one comes then."""
    hall = Hall()
    first = hall.add()
    async with serving(hall.reception):
        await asyncio.sleep(2.5)
        first.is_cut_off = True
        if not is_late:
            second = hall.add(incarnation=2)
            second.is_beating = False
        await asyncio.sleep(0.1)
        hall.transport.is_connected = False
        await asyncio.sleep(5)
        hall.transport.is_connected = True
        if is_late:
            second = hall.add(incarnation=2)  # it is read before what the first one said
            second.is_beating = False
        await asyncio.sleep(0.05)
        await first.reconnect()
        await asyncio.sleep(4)
        assert second.heard_kinds() == [HandshakeRefused]
        assert await hall.known() == {"node": 1}
    await hall.close()


@virtual
async def test_a_factory_that_starts_again_takes_its_node_over_once_the_first_one_is_silent() -> None:
    hall = Hall()
    first = hall.add()
    async with serving(hall.reception):
        await asyncio.sleep(3.1)
        first.kill()
        await asyncio.sleep(0.2)
        second = hall.add(incarnation=2)
        second.is_beating = False
        await asyncio.sleep(TOO_LONG - 0.5)
        assert second.heard == []
        await second.introduce(second.handshake)  # again: that makes its wait no longer
        await asyncio.sleep(1)
        assert second.heard_kinds() == [HandshakeAccepted]
        assert await hall.known() == {"node": 2}
    await hall.close()


@virtual
async def test_a_factory_that_starts_again_after_a_while_is_accepted_at_once() -> None:
    hall = Hall()
    first = hall.add()
    async with serving(hall.reception):
        await asyncio.sleep(3.1)
        first.kill()
        await asyncio.sleep(TOO_LONG + 1)
        second = hall.add(incarnation=2)
        await asyncio.sleep(0.1)
        assert second.heard_kinds() == [HandshakeAccepted]
    await hall.close()


@virtual
async def test_whoever_was_replaced_is_asked_who_it_is_and_refused() -> None:
    """The first one was only suspended."""
    hall = Hall()
    first = hall.add()
    async with serving(hall.reception):
        await asyncio.sleep(3.1)
        first.is_beating = False
        await asyncio.sleep(4)
        second = hall.add(incarnation=2)
        await asyncio.sleep(1)
        first.is_beating = True
        await asyncio.sleep(4)
        assert first.heard_kinds()[:3] == [HandshakeAccepted, HandshakeWanted, HandshakeRefused]
        assert second.heard_kinds() == [HandshakeAccepted]
        assert await hall.known() == {"node": 2}
    await hall.close()


@virtual
async def test_a_heartbeat_of_a_stranger_asks_for_its_handshake() -> None:
    """The store of the heads was lost, or the factory was forgotten."""
    hall = Hall()
    factory = hall.add()
    async with serving(hall.reception):
        await asyncio.sleep(3)
        await hall.directory.leave("node", 1)
        await asyncio.sleep(3)
        assert factory.heard_kinds() == [HandshakeAccepted, HandshakeWanted, HandshakeAccepted]
        assert await hall.known() == {"node": 1}
    await hall.close()


@virtual
async def test_a_farewell_frees_the_node_at_once_and_leaves_no_topic() -> None:
    hall = Hall()
    first = hall.add()
    async with serving(hall.reception):
        await asyncio.sleep(3)
        await first.introduce(Farewell())
        first.kill()
        await asyncio.sleep(0.1)
        assert await hall.known() == {}
        assert [topic for topic in hall.transport._topics if topic.startswith("node:")] == []
        second = hall.add(incarnation=2)
        await asyncio.sleep(0.1)
        assert second.heard_kinds() == [HandshakeAccepted]
    await hall.close()


@virtual
async def test_a_newcomer_that_leaves_before_it_was_accepted_is_not_accepted_afterwards() -> None:
    hall = Hall()
    first = hall.add()
    async with serving(hall.reception):
        await asyncio.sleep(3.1)
        first.kill()
        second = hall.add(incarnation=2)
        second.is_beating = False
        await asyncio.sleep(0.5)
        await second.introduce(Farewell())
        await asyncio.sleep(5)
        assert await hall.known() == {"node": 1}
        assert second.heard == []
    await hall.close()


@virtual
async def test_what_does_not_belong_here_is_passed_over() -> None:
    hall = Hall()
    factory = hall.add()
    async with serving(hall.reception):
        await factory.introduce(Shutdown(reason="by mistake"))
        await hall.transport.publish("handshake", b"\xc1")
        await asyncio.sleep(2)
        assert factory.heard_kinds() == [HandshakeAccepted]
    await hall.close()


@virtual
async def test_one_head_receives_at_a_time_and_another_one_takes_over() -> None:
    hall = Hall()
    factory = hall.add()
    other = Reception(hall.office_of("other"), 2)
    async with serving(other):
        async with serving(hall.reception):
            await asyncio.sleep(10)
            assert hall.directory._receptionist == "other"
        await asyncio.sleep(1)
    async with serving(hall.reception):
        await asyncio.sleep(CLAIM_LEASE + 2)
        assert hall.directory._receptionist == "head"
        late = hall.add("late")
        await asyncio.sleep(3)
        assert late.heard_kinds() == factory.heard_kinds() == [HandshakeAccepted]
        assert all(each.is_fresh for each in await hall.directory.factories())
    await hall.close()


class AwayDirectory(MemoryDirectory):
    is_away = False

    def _check(self) -> None:
        if self.is_away:
            raise ServiceUnavailable("the store is away")

    async def register(self, *arguments: Any) -> None:
        self._check()
        await super().register(*arguments)

    async def hear(self, *arguments: Any) -> frozenset[tuple[str, int]]:
        self._check()
        return await super().hear(*arguments)

    async def hold_reception(self, *arguments: Any) -> bool:
        self._check()
        return await super().hold_reception(*arguments)


@virtual
async def test_while_the_store_is_away_factories_are_answered_and_newcomers_wait() -> None:
    hall = Hall()
    hall.directory = directory = AwayDirectory(hall.clock)
    factory = hall.add()
    async with serving(Reception(hall.office_of("head"), 1)):
        await asyncio.sleep(3)
        directory.is_away = True
        await asyncio.sleep(5)
        late = hall.add("late")
        late.is_beating = False
        await asyncio.sleep(5)
        assert late.heard == []
        directory.is_away = False
        await asyncio.sleep(2)
        assert late.heard_kinds() == factory.heard_kinds() == [HandshakeAccepted]
        assert await hall.known() == {"late": 1, "node": 1}
    await hall.close()


@virtual
async def test_when_the_transport_fails_the_head_learns_of_it() -> None:
    hall = Hall()

    class Broken:
        is_connected = True

        def __getattr__(self, name: str) -> Any:
            return getattr(hall.transport, name)

        def subscribe(self, topic: str) -> Any:
            raise TransportClosed("the broker is gone")

    with pytest.raises(TransportClosed, match="the broker is gone"):
        await Reception(hall.office_of("head", transport=Broken()), 1).serve()


@virtual
async def test_when_the_transport_is_closed_in_order_it_ends() -> None:
    hall = Hall()
    task = asyncio.ensure_future(hall.reception.serve())
    await asyncio.sleep(1)
    await hall.transport.aclose()
    await task


@virtual
async def test_each_heartbeat_is_answered_with_its_clock() -> None:
    hall = Hall()
    factory = hall.add()
    async with serving(hall.reception):
        await asyncio.sleep(1.5)
        await factory.introduce(Heartbeat(state="idle", sequence=5, clock=12.5))
        await asyncio.sleep(0.1)
        (reply,) = [each for each in factory.presence_replies if each.clock == 12.5]
        assert reply.lease_s == LEASE
    await hall.close()


@virtual
async def test_who_is_heard_again_while_another_is_accepted_stays(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hall, is_away = Hall(), False
    register, hear = hall.directory.register, hall.directory.hear

    async def registered(handshake: Handshake, incarnation: int) -> None:
        if is_away:
            raise ServiceUnavailable("away")
        await register(handshake, incarnation)

    async def heard(beats: Sequence[Beat]) -> frozenset[tuple[str, int]]:
        if is_away:
            raise ServiceUnavailable("away")
        return await hear(beats)

    monkeypatch.setattr(hall.directory, "register", registered)
    monkeypatch.setattr(hall.directory, "hear", heard)
    first, second = hall.add("a"), hall.add("b")
    async with serving(hall.reception):
        await asyncio.sleep(3)
        first.is_beating = second.is_beating = False
        await asyncio.sleep(0.1)
        hall.add("a", incarnation=2).is_beating = False
        hall.add("b", incarnation=2).is_beating = False
        await asyncio.sleep(1.5)
        is_away = True
        await asyncio.sleep(3)
        second.is_beating = True  # it was only cut off
        await asyncio.sleep(4)
        is_away = False
        await asyncio.sleep(2)
        hall.add("c")
        await asyncio.sleep(1)
        assert await hall.known() == {"a": 2, "b": 1, "c": 1}
    await hall.close()
