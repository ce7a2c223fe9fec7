"""The factory's side of a process: its workers, and the scenarios that they load."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from typing import Any

from qalipsis.clock import Clock
from qalipsis.cluster.transport import Transport
from qalipsis.config.settings import Settings
from qalipsis.factory.kit import Kit
from qalipsis.factory.orders import Loaded
from qalipsis.factory.session import Identity, Session
from qalipsis.factory.supervisor import MakeBody
from qalipsis.factory.worker_process import WorkerProcess
from qalipsis.factory.worker_task import WorkerTask
from qalipsis.wiring.request import RunRequest


def make_session(
    settings: Settings,
    transport: Transport,
    clock: Clock,
    node: str,
    incarnation: int,
    workers: int,
    *,
    kit: Kit | None = None,
    campaigns: int = 1,
    is_transient: bool = False,
    broker: str = "this process",
) -> Session:
    """The factory of this process; without workers, minions are a task of it."""
    identity = Identity(
        node=node,
        incarnation=incarnation,
        zone=settings.factory.zone,
        tenant=settings.factory.tenant,
        tags=settings.factory.tags,
    )
    make_body: MakeBody
    if workers:
        make_body = partial(WorkerProcess, settings.logging)
    else:
        make_body = WorkerTask if kit is None else partial(WorkerTask, kit=kit)
    return Session(
        transport,
        clock,
        identity,
        max(1, workers),
        make_body,
        campaigns=campaigns,
        grace=settings.factory.graceful_shutdown,
        is_transient=is_transient,
        broker=broker,
    )


async def load(session: Session, request: RunRequest) -> Loaded:
    """Have the workers load the scenarios; raises ScenarioErrors, and ConfigurationError for unknown keys."""
    events = request.settings.events
    levels = {"": events.root, **events.level} if events.export.enabled else None
    loaded = await session.load(request.paths, _resolved(request.properties), levels)
    request.check_keys(loaded.property_keys)
    return loaded


def workers_beside_others(configured: int | None) -> int:
    """By default one core is left to the parent and the service under test."""
    return max(1, len(os.sched_getaffinity(0)) - 1) if configured is None else configured


def _resolved(properties: Mapping[str, Any]) -> dict[str, Any]:
    """What the workers get: values only, for their environment they have themselves."""
    return {key: value for key in properties if (value := properties.get(key)) is not None}
