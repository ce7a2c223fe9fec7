"""Waits until a campaign's factories have come and are free, and reserves them."""

from __future__ import annotations

import logging
from functools import partial
from typing import Final

from qalipsis.errors import CampaignRefused, FactoriesMissing, FactoryError, QalipsisError
from qalipsis.head.campaign_request import CampaignRequest
from qalipsis.head.fleet import Fleet, NoFactoryFree, choose
from qalipsis.head.office import Office
from qalipsis.head.patience import patiently

LOOK_SECONDS: Final = 0.25
SETTLE_SECONDS: Final = 10.0

_log = logging.getLogger(__name__)


async def muster(office: Office, request: CampaignRequest) -> Fleet:
    """The campaign's fleet, reserved for it.

    Raises FactoriesMissing when too few factories come in time, NoFactoryFree when they work for others all
    the time, and CampaignRefused or ScenarioErrors for what waiting would not change.
    """
    began_at = office.clock.now()
    deadline = began_at + request.factories_timeout
    # What names its scenarios was accepted for factories that were there: they may only be starting again.
    settled_at = began_at + (SETTLE_SECONDS if request.scenarios else 0.0)
    while True:
        await patiently(office.roster.refresh)
        there = [each for each in office.roster.factories.values() if each.is_fresh]
        late: Exception
        if len(there) < request.required_factories:
            late = FactoriesMissing(
                f"{len(there)} of the {request.required_factories} required factories came within "
                f"{request.factories_timeout:g} s: start the others, or lower campaign.required-factories"
            )
        else:
            try:
                fleet = choose(request, there, await patiently(office.store.zones))
            except NoFactoryFree as error:
                late = error
            except CampaignRefused as error:
                if office.clock.now() >= settled_at:
                    raise
                late = error
            else:
                nodes = [(each.node, each.incarnation) for each in fleet.factories]
                if await patiently(partial(office.directory.reserve, request.key, nodes)):
                    return fleet
                late = NoFactoryFree("the factories were reserved for another campaign meanwhile")
        if office.clock.now() >= deadline:
            raise late
        await patiently(partial(office.directory.wait_change, LOOK_SECONDS))


async def tried_muster(office: Office, request: CampaignRequest) -> Fleet | QalipsisError:
    """The fleet, or why there is none: for who cannot be raised at while it does something else."""
    try:
        return await muster(office, request)
    except QalipsisError as error:
        return error
    except Exception as error:
        _log.exception("the factories of campaign %s could not be chosen", request.key)
        return FactoryError(f"its factories could not be chosen: {error!r}")
