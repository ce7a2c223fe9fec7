"""(h) How long a head takes until 200 factories know what is theirs of a million minions."""

from __future__ import annotations

import asyncio
import time
from statistics import median

from benchmarks import probe
from benchmarks.cores import INJECTOR
from benchmarks.figure import Figure, at_most
from benchmarks.isolated import isolated
from qalipsis.cluster import topics
from qalipsis.cluster.codec import Sender
from qalipsis.cluster.inbox import Inbox
from qalipsis.cluster.memory import MemoryTransport
from qalipsis.cluster.messages import AssignFactory, DeclareMinions
from qalipsis.cluster.publisher import Publisher
from qalipsis.head.assignment import Member, assign
from qalipsis.head.scenario_request import ScenarioRequest
from qalipsis.plan.model import ScenarioDescriptor
from qalipsis.plan.ownership import ownership_of

FACTORIES = 200
WORKERS = 4
MINIONS = 1_000_000
ZONES = {"north": 50, "south": 27, "west": 23}
"""Percentages of the minions; the factories stand in them in turns."""

BOUND_SECONDS = 1.0


def measure(is_quick: bool) -> list[Figure]:
    taken = isolated("benchmarks.assigning:assigning", INJECTOR, times=3 if is_quick else 20)
    return [
        at_most("200 factories know their part of 1,000,000 minions", taken["middle"], "s", BOUND_SECONDS),
        at_most("the slowest time", taken["slowest"], "s", BOUND_SECONDS),
    ]


def assigning(times: int) -> dict[str, float]:
    taken = [probe.run(assign_all()) for _ in range(times)]
    return {"middle": median(taken), "slowest": max(taken)}


async def assign_all() -> float:
    """Seconds until the last factory has read its orders and counted the minions of its workers."""
    transport = MemoryTransport()
    fleet = [
        Member(node=f"factory-{number}", workers=WORKERS, zone=list(ZONES)[number % len(ZONES)])
        for number in range(FACTORIES)
    ]
    factories = [asyncio.create_task(_learn(transport, member)) for member in fleet]
    await asyncio.sleep(0)  # so that all of them listen
    began = time.perf_counter()
    await _tell(transport, fleet)
    parts = await asyncio.gather(*factories)
    taken = time.perf_counter() - began
    assert sum(parts) == MINIONS
    await transport.aclose()
    return taken


async def _tell(transport: MemoryTransport, fleet: list[Member]) -> None:
    """What the orchestrator does once it has found its factories."""
    publisher = Publisher(transport, Sender("head", 1))
    scenario = ScenarioDescriptor(name="shop", minions=1, profile="immediate")
    requested = {"shop": ScenarioRequest(minions=MINIONS, zones=ZONES)}
    assignment = assign([scenario], fleet, requested=requested)
    for factory in fleet:
        await publisher.say(
            topics.node(factory.node, factory.incarnation),
            AssignFactory(
                campaign="campaign",
                zones=tuple(assignment.zones.values()),
                first_worker=assignment.first_worker[factory.node],
                seed=1,
                speed_factor=1.0,
            ),
            "campaign",
        )
    declared = DeclareMinions(minions=assignment.minions, shares=assignment.shares)
    for factory in fleet:
        await publisher.say(topics.node(factory.node, factory.incarnation), declared, "campaign")


async def _learn(transport: MemoryTransport, member: Member) -> int:
    """How many minions belong to the workers of this factory, by what it is told."""
    inbox = Inbox(transport, topics.node(member.node, member.incarnation))
    assigned: AssignFactory | None = None
    async for received in inbox.messages():
        match received.message:
            case AssignFactory():
                assigned = received.message
            case DeclareMinions() as declared:
                assert assigned is not None
                minions = declared.minions["shop"]
                ownership = ownership_of(assigned.zones, declared.shares.get("shop"), minions)
                places = range(assigned.first_worker, assigned.first_worker + member.workers)
                return sum(ownership.count(place, 0, minions) for place in places)
    raise AssertionError("the transport was closed")
