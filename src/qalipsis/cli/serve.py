"""`standalone`: a head with its REST API, and the workers of this machine, until Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import socket
import sys
from typing import Final, Protocol

from qalipsis.cli.exit_codes import ExitCode
from qalipsis.cli.interruption import interruption
from qalipsis.cli.loop import run_on_a_loop
from qalipsis.cli.streams import tell
from qalipsis.cluster.accompanied import accompanied
from qalipsis.config.loader import Configuration
from qalipsis.config.logs import set_up_logging
from qalipsis.config.settings import Settings
from qalipsis.head.api.access import Gate, is_loopback
from qalipsis.head.api.app import make_app
from qalipsis.head.api.server import ApiServer, listen
from qalipsis.head.api_keys import KeyRing
from qalipsis.head.data_desk import DataDesk
from qalipsis.head.service import CampaignService
from qalipsis.wiring import RunRequest, open_standalone

HOST: Final = "127.0.0.1"


def serve(configuration: Configuration, options: argparse.Namespace) -> int:
    """Serve until Ctrl-C; a campaign that runs then is stopped, and has its report in the store."""
    set_up_logging(configuration.settings.logging, sys.stderr)
    request = RunRequest(
        paths=tuple(options.paths),
        settings=configuration.settings,
        properties=configuration.properties,
        check_keys=configuration.check_unknown,
    )
    run_on_a_loop(_serve(request, options.insecure))
    return ExitCode.SUCCESSFUL


async def _serve(request: RunRequest, is_insecure: bool) -> None:
    settings = request.settings
    with listen(settings.server.host or HOST, settings.server.port) as listener:
        async with open_standalone(request) as standalone:
            await serve_api(standalone, listener, settings, is_insecure=is_insecure)


class Served(Protocol):
    """A head, whether its factories are here or elsewhere."""

    service: CampaignService
    keys: KeyRing
    desk: DataDesk

    async def serve(self) -> None: ...


async def serve_api(head: Served, listener: socket.socket, settings: Settings, *, is_insecure: bool) -> None:
    """Serve the head and its REST API on the open socket until Ctrl-C."""
    host = listener.getsockname()[0]
    is_local = is_loopback(host)
    gate = Gate(
        head.keys,
        needs_key=not is_local and not is_insecure,
        host=host if is_local else None,
        origins=settings.server.cors.origins,
    )
    validation = settings.campaign.configuration.validation
    server = ApiServer(make_app(head.service, gate, settings.server, validation, head.desk), listener)
    _announce(settings, server, gate)
    stopping = _Stopping()
    with interruption(stopping.ask, _softly(head.service)):
        await accompanied(stopping.carry_out(head.service, server), head.serve(), server.serve())


def _announce(settings: Settings, server: ApiServer, gate: Gate) -> None:
    root = settings.server.api_root.strip("/")
    print(
        f"The REST API listens on {server.address}/{root}, and is described at {server.address}/{root}/docs"
    )
    print("Ctrl-C stops it.", flush=True)
    if gate.needs_key:
        tell("Others reach this address, so an API key is needed: `qalipsis keys create NAME` makes one.")


def _softly(service: CampaignService) -> str:
    """What becomes of campaigns when this head is stopped."""
    if service.is_alone or service.lease_s is None:
        return "running passes may end; Ctrl-C again stops at once"
    return (
        "campaigns go on at another head, or at this one when it is started again; where none is, factories "
        f"stop by themselves within {service.lease_s:g} s"
    )


class _Stopping:
    """What Ctrl-C asks for: first that running passes end, then that everything ends."""

    def __init__(self) -> None:
        self._asked = asyncio.Event()
        self._is_urgent = asyncio.Event()

    def ask(self, is_hard: bool) -> None:
        self._asked.set()
        if is_hard:
            self._is_urgent.set()

    async def carry_out(self, service: CampaignService, server: ApiServer) -> None:
        """Wait until asked, then end the campaigns and after them the server."""
        await self._asked.wait()
        await accompanied(service.aclose(is_hard=False), self._hurry(service))
        await server.aclose()

    async def _hurry(self, service: CampaignService) -> None:
        await self._is_urgent.wait()
        await service.aclose(is_hard=True)
