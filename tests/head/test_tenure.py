"""What a head says in the name of a claim, whatever happens to its store and to itself."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qalipsis.cluster.inbox import Inbox
from qalipsis.cluster.memory import MemoryTransport
from qalipsis.cluster.messages import StopScenario, WarmUp
from qalipsis.errors import ServiceUnavailable
from qalipsis.head.campaign_list import NewCampaign
from qalipsis.head.memory_store import MemoryStore
from qalipsis.head.ownership import Fenced
from qalipsis.head.patience import PATIENCE_SECONDS
from qalipsis.head.tenure import Tenure
from tests.head.stage import CLAIM_LEASE, MortalStore, clock_of_loop, virtual


class Flaky:
    """A store that fails each call as often as the test says, before or after it had its effect."""

    def __init__(self, store: MemoryStore, failures: int = 0, has_effect: bool = False) -> None:
        self.failures = failures
        self._store = store
        self._has_effect = has_effect
        self._left: dict[str, int] = {}

    def __getattr__(self, name: str) -> Any:
        async def call(*arguments: Any, **more: Any) -> Any:
            left = self._left.setdefault(name, self.failures)
            if left:
                self._left[name] = left - 1
                if self._has_effect:
                    await getattr(self._store, name)(*arguments, **more)
                raise ServiceUnavailable("the store is away")
            self._left.pop(name)
            return await getattr(self._store, name)(*arguments, **more)

        return call


class Table:
    """A store with one campaign, and what its factories have heard."""

    def __init__(self) -> None:
        self.store = MemoryStore(clock_of_loop())
        self.transport = MemoryTransport()
        self.heard: list[tuple[str, int, int]] = []
        """Scenarios that were to be stopped, with the incarnation and the sequence of who said so."""
        self._reading = asyncio.ensure_future(self._read())

    async def _read(self) -> None:
        async for received in Inbox(self.transport, "topic").messages():
            assert isinstance(received.message, StopScenario)
            assert received.epoch == received.incarnation
            self.heard.append((received.message.scenario, received.incarnation, received.sequence))

    async def own(self, head: str = "head", seen: Any = None) -> Tenure:
        if await self.store.campaign("c") is None:
            await self.store.create_campaign(NewCampaign(key="c", name="c"))
        while True:
            if (claim := await self.store.claim("c", head, CLAIM_LEASE)) is not None:
                break
            await asyncio.sleep(0.1)
        return Tenure(seen or self.store, self.transport, claim)

    @property
    def said(self) -> list[str]:
        return [scenario for scenario, _, _ in self.heard]

    async def close(self) -> None:
        await asyncio.sleep(0.1)
        self._reading.cancel()
        await asyncio.wait([self._reading])


def say(tenure: Tenure, *names: str) -> None:
    for name in names:
        tenure.say("topic", StopScenario(scenario=name))


@virtual
async def test_nothing_is_said_before_it_is_committed_and_then_in_order() -> None:
    table = Table()
    tenure = await table.own()
    assert not tenure.has_to_say
    say(tenure, "a", "b")
    await asyncio.sleep(1)
    assert (tenure.has_to_say, table.said) == (True, [])
    await tenure.commit("RUNNING", 1.0)
    say(tenure, "c")
    await tenure.commit("RUNNING", 2.0)
    await table.close()
    assert (tenure.has_to_say, table.said) == (False, ["a", "b", "c"])
    assert await table.store.outgoing("c", 10) == ()


@pytest.mark.parametrize("has_effect", [False, True])
@virtual
async def test_a_lost_answer_is_no_second_commit_and_no_second_message(has_effect: bool) -> None:
    table = Table()
    tenure = await table.own(seen=Flaky(table.store, 3, has_effect))
    for number in range(5):
        say(tenure, f"{number}")
        await tenure.commit("RUNNING", 1.0)
    await table.close()
    assert table.said == ["0", "1", "2", "3", "4"]


@virtual
async def test_a_store_that_stays_away_is_told() -> None:
    table = Table()
    tenure = await table.own(seen=Flaky(table.store, 10**6))
    began = table.store._clock.now()
    with pytest.raises(ServiceUnavailable):
        await tenure.commit("RUNNING", 1.0)
    assert table.store._clock.now() - began == pytest.approx(PATIENCE_SECONDS, abs=1)
    await table.close()


@virtual
async def test_whoever_was_replaced_is_fenced_and_what_it_had_to_say_is_not_said() -> None:
    table = Table()
    first = await table.own("first")
    say(first, "from the first")
    await asyncio.sleep(CLAIM_LEASE)
    second = await table.own("second")
    with pytest.raises(Fenced, match="owned by second now, epoch 2"):
        await first.commit("RUNNING", 1.0)
    with pytest.raises(Fenced):
        await first.keep()
    say(second, "from the second")
    await second.commit("RUNNING", 1.0)
    await first.release()  # that changes nothing
    assert await table.store.claim("c", "third", 1.0) is None
    await table.close()
    assert table.said == ["from the second"]


@virtual
async def test_the_lease_is_kept_while_the_store_is_away_for_a_moment() -> None:
    table = Table()
    tenure = await table.own(seen=Flaky(table.store, 1))
    keeping = asyncio.ensure_future(tenure.keep())
    for _ in range(200):
        await asyncio.sleep(0.1)
        assert await table.store.claimable() == ()
    keeping.cancel()
    await asyncio.wait([keeping])
    await asyncio.sleep(CLAIM_LEASE)
    assert await table.store.claimable() == ("c",)
    await table.close()


@virtual
async def test_whoever_releases_it_lets_others_have_it_at_once() -> None:
    table = Table()
    tenure = await table.own()
    await tenure.release()
    assert await table.store.claimable() == ("c",)
    await table.close()


@virtual
async def test_a_pulse_is_said_at_once_and_does_not_disturb_what_waits() -> None:
    table = Table()
    tenure = await table.own()
    say(tenure, "a")
    await tenure.pulse("topic", StopScenario(scenario="pulse"))
    say(tenure, "b")
    await tenure.commit("RUNNING", 1.0)
    await table.close()
    assert table.said == ["pulse", "a", "b"]


@pytest.mark.parametrize("has_effect", [False, True])
@pytest.mark.parametrize("calls", range(1, 12))
@virtual
async def test_what_a_dead_head_had_committed_is_said_once_by_the_next(calls: int, has_effect: bool) -> None:
    table = Table()
    store = MortalStore(table.store, calls, has_effect)
    first = await table.own("first", store)

    async def decide() -> None:
        for name in "abc":
            say(first, name)
            await first.commit("RUNNING", 1.0, checkpoint=name.encode())

    deciding = asyncio.ensure_future(decide())
    await asyncio.wait([deciding], timeout=0.5)
    deciding.cancel()
    await asyncio.wait([deciding])
    second = await table.own("second")
    await second.relay()
    done = (await table.store.checkpoint("c") or b"").decode()
    for name in "abc"["abc".index(done) + len(done) :]:
        say(second, name)
        await second.commit("RUNNING", 1.0)
    await table.close()
    # Its own reader drops what is said twice under one sequence, as every factory does.
    assert table.said == ["a", "b", "c"]


@given(st.lists(st.sampled_from(["say", "commit", "pulse"]), max_size=12), st.integers(0, 2), st.booleans())
def test_sequences_rise_and_nothing_is_left_out(steps: list[str], failures: int, has_effect: bool) -> None:
    @virtual
    async def play() -> None:
        table = Table()
        tenure = await table.own(seen=Flaky(table.store, failures, has_effect))
        said: list[str] = []
        for number, each in enumerate((*steps, "commit")):
            match each:
                case "say":
                    said.append(f"{number}")
                    say(tenure, said[-1])
                case "commit":
                    await tenure.commit("RUNNING", 1.0)
                case "pulse":
                    await tenure.pulse("other", WarmUp())
        await table.close()
        assert table.said == said
        assert [sequence for _, _, sequence in table.heard] == list(range(1, len(said) + 1))

    play()
