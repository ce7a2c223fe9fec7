"""What goes wrong in a simulated cluster, each at any moment and for any time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

from tests.simulation.machines import Machine
from tests.simulation.world import Factory, Head, World

SECONDS = (0.2, 1.0, 2.5, 5.0, 9.0)
"""How long faults last: shorter and longer than each of the leases and patiences."""

LONGEST_RUN = 10.0
"""Seconds until most campaigns have ended, from any moment of them."""

Fault = Callable[[World], Awaitable[None]]


async def head_crashes(world: World) -> None:
    head = _any(world, world.living_heads)
    if head is not None:
        world.note(head.name, "CRASHES")
        head.machine.crash()
        if world.random.random() < 0.6 or not world.living_heads:
            await asyncio.sleep(world.random.choice(SECONDS))
            world.add_head()


async def head_dies_of_a_commit(world: World) -> None:
    """Before it, or when it is written and nothing was said or acknowledged yet."""
    head = _any(world, world.living_heads)
    if head is not None:
        head.store.doom = world.random.choice(("before", "after"))
        world.note(head.name, f"WILL DIE {head.store.doom} its next commit")
        await asyncio.sleep(world.random.choice(SECONDS))
        world.add_head()


async def head_freezes(world: World) -> None:
    head = _any(world, world.living_heads)
    if head is not None:
        await _frozen(world, head.machine)


async def head_is_cut_off(world: World) -> None:
    head = _any(world, world.living_heads)
    if head is not None:
        await _cut(world, head)


async def head_loses_its_broker(world: World) -> None:
    head = _any(world, world.living_heads)
    if head is not None:
        world.note(head.name, "LOSES ITS BROKER")
        head.line.lose()
        await asyncio.sleep(world.random.choice(SECONDS))
        world.add_head()


async def factory_crashes(world: World) -> None:
    factory = _any(world, world.living_factories)
    if factory is not None:
        world.note(factory.name, "CRASHES")
        factory.machine.crash()
        if world.random.random() < 0.6:
            await asyncio.sleep(world.random.choice(SECONDS))
            world.add_factory(factory.name, factory.zone, factory.workers)


async def factory_freezes(world: World) -> None:
    """With its workers: the whole machine is suspended."""
    factory = _any(world, world.living_factories)
    if factory is not None:
        await _frozen(world, factory.machine, *factory.machine.parts)


async def supervisor_freezes(world: World) -> None:
    """Without its workers, which go on sending."""
    factory = _any(world, world.living_factories)
    if factory is not None:
        await _frozen(world, factory.machine)


async def factory_is_cut_off(world: World) -> None:
    factory = _any(world, world.living_factories)
    if factory is not None:
        await _cut(world, factory)


async def factory_loses_its_broker(world: World) -> None:
    factory = _any(world, world.living_factories)
    if factory is not None:
        world.note(factory.name, "LOSES ITS BROKER")
        factory.line.lose()


async def factory_is_stopped(world: World) -> None:
    """In order, as by SIGTERM: what it runs gets a second to end."""
    factory = _any(world, world.living_factories)
    if factory is not None and factory.session is not None:
        world.note(factory.name, "IS STOPPED")
        factory.machine.spawn(factory.stop(is_hard=world.random.random() < 0.5))


async def worker_dies(world: World) -> None:
    worker = _any(world, [part for each in world.living_factories for part in each.machine.parts])
    if worker is not None and worker.is_running:
        world.note(worker.name, "DIES")
        worker.crash()


async def worker_dies_at_an_end(world: World) -> None:
    """While all the others have ended the scenario, and some of them are not heard: then the order to start
    minions of the dead worker again crosses what they say.
    """
    with suppress(TimeoutError):
        async with asyncio.timeout(LONGEST_RUN):
            while True:
                ended = await world.held_back("scenario_ended")
                walkers = world.truth.walkers(ended.campaign, ended.message.scenario)  # type: ignore[union-attr]
                workers = [part for each in world.living_factories for part in each.machine.parts]
                walking = [each for each in workers if each.name in walkers and each.is_running]
                if len({each.name.partition("/")[0] for each in walking}) == 1:
                    worker = world.random.choice(walking)
                    world.note(worker.name, "DIES while ends elsewhere are on their way")
                    worker.crash()
                    return


async def worker_freezes(world: World) -> None:
    worker = _any(world, [part for each in world.living_factories for part in each.machine.parts])
    if worker is not None:
        await _frozen(world, worker)


async def store_is_away(world: World) -> None:
    world.note("store", "IS AWAY")
    world.weather.is_store_away = True
    await asyncio.sleep(world.random.choice(SECONDS))
    world.weather.is_store_away = False
    world.note("store", "is back")


async def answers_are_lost(world: World) -> None:
    world.note("store", "FORGETS TO ANSWER")
    world.weather.lost_answers = 0.3
    await asyncio.sleep(world.random.choice(SECONDS))
    world.weather.lost_answers = 0.0


async def broker_freezes(world: World) -> None:
    """All connections stay open, and nothing is answered."""
    await _broker_frozen(world, world.random.choice(SECONDS))


async def broker_freezes_for_a_moment(world: World) -> None:
    """For longer than a factory may be silent, and not until its lease ends."""
    await _broker_frozen(world, world.random.uniform(0.8, 1.6))


async def user_aborts(world: World) -> None:
    await world.abort(is_hard=world.random.random() < 0.5)


async def factory_joins_late(world: World) -> None:
    zone = world.random.choice(world.zones) if world.zones else None
    world.add_factory(f"late-{len(world.factories)}", zone, 1)


FAULTS: tuple[Fault, ...] = (
    head_crashes,
    head_dies_of_a_commit,
    head_freezes,
    head_is_cut_off,
    head_loses_its_broker,
    factory_crashes,
    factory_freezes,
    supervisor_freezes,
    factory_is_cut_off,
    factory_loses_its_broker,
    factory_is_stopped,
    worker_dies,
    *(4 * (worker_dies_at_an_end,)),  # there is seldom an end to cross
    worker_freezes,
    store_is_away,
    answers_are_lost,
    broker_freezes,
    *(2 * (broker_freezes_for_a_moment,)),
    user_aborts,
    factory_joins_late,
)

HARMLESS = frozenset({store_is_away, answers_are_lost, broker_freezes_for_a_moment, factory_joins_late})
"""Faults that keep no factory from its work."""


def _any(world: World, there: list[Any]) -> Any:
    return world.random.choice(there) if there else None


async def _frozen(world: World, *machines: Machine) -> None:
    frozen = [machine for machine in machines if machine.is_running]
    for machine in frozen:
        world.note(machine.name, "FREEZES")
        machine.freeze()
    await asyncio.sleep(world.random.choice(SECONDS))
    for machine in frozen:
        world.note(machine.name, "thaws")
        machine.thaw()


async def _broker_frozen(world: World, seconds: float) -> None:
    async with world.ice.turn:
        world.note("broker", "FREEZES")
        world.ice.freeze()
        await asyncio.sleep(seconds)
        world.note("broker", "thaws")
        world.ice.thaw()
        await asyncio.sleep(1.0)  # or two in a row would be a longer one


async def _cut(world: World, process: Head | Factory) -> None:
    line = process.line
    world.note(process.name, "IS CUT OFF")
    line.cut()
    await asyncio.sleep(world.random.choice(SECONDS))
    world.note(process.name, "is connected again")
    line.mend()
