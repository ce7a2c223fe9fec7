"""What every directory of factories promises, as checks that any of them must pass.

The checks use factories and campaigns of their own; `known` makes a campaign that a directory may know.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from uuid import uuid4

from qalipsis.cluster.messages import PROTOCOL, Handshake, Heartbeat
from qalipsis.head.directory import Beat, Directory, FactoryRecord

Known = Callable[[str], Awaitable[None]]
"""Makes the campaign of this key known, not over yet."""

Check = Callable[[Directory, Known], Awaitable[None]]


async def check_directory(directory: Directory, known: Known) -> None:
    """Hold a directory against all that it promises; raises AssertionError where it fails."""
    for check in CHECKS:
        await check(directory, known)


async def check_register(directory: Directory, known: Known) -> None:
    """What a factory said of itself comes back; a later start of the node replaces the earlier one."""
    node = _name()
    await directory.register(_handshake(node, zone="eu"), 1)
    found = await _find(directory, node)
    assert (found.incarnation, found.handshake, found.heartbeat) == (1, _handshake(node, zone="eu"), None)
    assert found.silence_s < 5
    assert found.is_free
    await directory.register(_handshake(node), 2)
    assert (await _find(directory, node)).incarnation == 2
    assert (await _find(directory, node)).handshake.zone is None


async def check_hear(directory: Directory, known: Known) -> None:
    """A heartbeat is kept for the start that said it; those of unknown factories are told."""
    node, stranger = _name(), _name()
    await directory.register(_handshake(node), 2)
    heartbeat = Heartbeat(state="idle", sequence=4, clock=1.5, cpu=0.25)
    unknown = await directory.hear(
        [Beat(node, 2, heartbeat, 0.25), Beat(node, 1, heartbeat), Beat(stranger, 1, heartbeat)]
    )
    assert unknown == {(node, 1), (stranger, 1)}
    found = await _find(directory, node)
    assert (found.heartbeat, found.clock_offset_s) == (heartbeat, 0.25)
    assert await directory.hear([]) == frozenset()


async def check_leave(directory: Directory, known: Known) -> None:
    """A factory that ended is listed no more, unless its node was started again since."""
    node = _name()
    await directory.register(_handshake(node), 2)
    await directory.leave(node, 1)
    assert await _find(directory, node)
    await directory.leave(node, 2)
    assert node not in {each.node for each in await directory.factories()}
    await directory.leave(node, 2)


async def check_reserve(directory: Directory, known: Known) -> None:
    """Factories are reserved together, for no more campaigns than they allow, until these let them go."""
    one, other, third = _name(), _name(), _name()
    mine, theirs = _name(), _name()
    for node in (one, other, third):
        await directory.register(_handshake(node), 1)
    await known(mine)
    await known(theirs)
    assert await directory.reserve(mine, [(one, 1), (other, 1)])
    assert await directory.reserve(mine, [(other, 1), (one, 1)])
    assert not await directory.reserve(theirs, [(third, 1), (other, 1)])
    assert await _campaigns(directory, (one, other, third)) == [(mine,), (mine,), ()]
    assert not (await _find(directory, one)).is_free
    assert not await directory.reserve(theirs, [(third, 7)])
    assert not await directory.reserve(theirs, [(_name(), 1)])
    await directory.release(mine)
    assert (await _find(directory, one)).is_free
    assert await directory.reserve(theirs, [(third, 1), (other, 1)])


async def check_share(directory: Directory, known: Known) -> None:
    """A factory that allows it is reserved for several campaigns, each of which lets go of its own."""
    shared, own, campaigns = _name(), _name(), [_name() for _ in range(3)]
    await directory.register(_handshake(shared, campaigns=2), 1)
    await directory.register(_handshake(own), 1)
    for campaign in campaigns:
        await known(campaign)
    one, other, third = campaigns
    assert await directory.reserve(one, [(shared, 1)])
    assert (await _find(directory, shared)).is_free
    assert await directory.reserve(other, [(own, 1), (shared, 1)])
    assert await directory.reserve(one, [(shared, 1)])
    assert await _campaigns(directory, (shared, own)) == [(one, other), (other,)]
    assert not (await _find(directory, shared)).is_free
    assert not await directory.reserve(third, [(shared, 1)])
    assert not await directory.reserve(one, [(shared, 1), (own, 1)])
    await directory.release(one)
    assert await _campaigns(directory, (shared, own)) == [(other,), (other,)]
    assert await directory.reserve(third, [(shared, 1)])
    await directory.register(_handshake(shared, campaigns=2), 2)
    assert await _campaigns(directory, (shared, own)) == [(), (other,)]


async def check_register_again(directory: Directory, known: Known) -> None:
    """A factory that introduces itself twice keeps its heartbeat, and the campaign that took it meanwhile."""
    node, campaign = _name(), _name()
    await known(campaign)
    await directory.register(_handshake(node), 1)
    heartbeat = Heartbeat(state="busy", sequence=4, clock=1.5)
    await directory.hear([Beat(node, 1, heartbeat)])
    assert await directory.reserve(campaign, [(node, 1)])
    await directory.register(_handshake(node, zone="eu"), 1)
    found = await _find(directory, node)
    assert (found.handshake.zone, found.heartbeat, found.campaigns) == ("eu", heartbeat, (campaign,))
    await directory.register(_handshake(node), 2)
    found = await _find(directory, node)
    assert (found.heartbeat, found.campaigns) == (None, ())


async def check_share_at_once(directory: Directory, known: Known) -> None:
    """Of several campaigns that want the same factories at once, exactly as many get all of them as may."""
    nodes, campaigns = [_name() for _ in range(3)], [_name() for _ in range(5)]
    for node in nodes:
        await directory.register(_handshake(node, campaigns=2), 1)
    for campaign in campaigns:
        await known(campaign)
    wanted = [(node, 1) for node in nodes]
    got = await asyncio.gather(
        *(
            directory.reserve(campaign, wanted[at % 3 :] + wanted[: at % 3])
            for at, campaign in enumerate(campaigns)
        )
    )
    assert sorted(got) == [False] * 3 + [True] * 2
    winners = {campaign for campaign, has in zip(campaigns, got, strict=True) if has}
    assert [set(each) for each in await _campaigns(directory, nodes)] == [winners] * 3


async def check_reserve_at_once(directory: Directory, known: Known) -> None:
    """Of several campaigns that want the same factories at once, exactly one gets them."""
    nodes = [_name() for _ in range(4)]
    campaigns = [_name() for _ in range(4)]
    for node in nodes:
        await directory.register(_handshake(node), 1)
    for campaign in campaigns:
        await known(campaign)
    wanted = [(node, 1) for node in nodes]
    got = await asyncio.gather(*(directory.reserve(campaign, wanted) for campaign in campaigns))
    assert sorted(got) == [False] * 3 + [True]
    winner = campaigns[got.index(True)]
    assert await _campaigns(directory, nodes) == [(winner,)] * 4


async def check_reception(directory: Directory, known: Known) -> None:
    """One head at a time receives; it stays until its lease has ended."""
    one, other = _name(), _name()
    await _until_held(directory, one, 0.3)
    assert not await directory.hold_reception(other, 0.3)
    assert await directory.hold_reception(one, 0.3)
    await _until_held(directory, other, 0.05)
    await asyncio.sleep(0.1)


CHECKS: tuple[Check, ...] = (
    check_register,
    check_register_again,
    check_hear,
    check_leave,
    check_reserve,
    check_reserve_at_once,
    check_share,
    check_share_at_once,
    check_reception,
)


def _name() -> str:
    return f"d-{uuid4().hex}"


def _handshake(node: str, zone: str | None = None, campaigns: int = 1) -> Handshake:
    return Handshake(
        node=node,
        protocol=PROTOCOL,
        version="1",
        workers=2,
        campaigns=campaigns,
        scenarios=(),
        zone=zone,
    )


async def _find(directory: Directory, node: str) -> FactoryRecord:
    return next(each for each in await directory.factories() if each.node == node)


async def _campaigns(directory: Directory, nodes: Sequence[str]) -> list[tuple[str, ...]]:
    return [(await _find(directory, node)).campaigns for node in nodes]


async def _until_held(directory: Directory, head: str, lease_seconds: float) -> None:
    async with asyncio.timeout(5):
        while not await directory.hold_reception(head, lease_seconds):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
