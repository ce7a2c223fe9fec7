"""Waits until a campaign's factories have come and are free, and reserves them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from qalipsis.errors import CampaignRefused, FactoriesMissing, FactoryError, QalipsisError
from qalipsis.head.campaign_request import CampaignRequest
from qalipsis.head.directory import FactoryRecord
from qalipsis.head.fleet import Fleet, NoFactoryFree, choose
from qalipsis.head.letters import Source
from qalipsis.head.office import Office
from qalipsis.head.patience import patiently

LOOK_SECONDS: Final = 0.25
SETTLE_SECONDS: Final = 10.0

REPLACED_SECONDS: Final = 30.0
"""How long is waited for others when factories were lost, and too few are left to run the campaign at all."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What a campaign that begins anew left behind when it had lost a factory; nothing at its first time."""

    lost: frozenset[str] = frozenset()
    """Factories that are gone."""
    heard: Mapping[Source, int] = field(default_factory=dict)
    """The sequences of the last words on what was before, by who said them."""

    def may_have(self, factory: FactoryRecord) -> bool:
        """Whether the factory may take part. One that was started again may not: what was said to the one
        before it may still lie there under their name.
        """
        before = {incarnation for node, incarnation in self.heard if node == factory.node}
        return factory.node not in self.lost and before <= {factory.incarnation}

    def has_forgotten(self, factory: FactoryRecord, campaign: str) -> bool:
        """Whether the factory is known to have ended what it did for the campaign.

        A heartbeat of before its last word would not prove it, for nobody knows how long that was on its way.
        """
        heard, heartbeat = self.heard.get((factory.node, factory.incarnation), 0), factory.heartbeat
        return heard == 0 or (
            heartbeat is not None and heartbeat.sequence >= heard and campaign not in heartbeat.campaigns
        )


NOTHING: Final = Left()


async def muster(office: Office, request: CampaignRequest, left: Left = NOTHING) -> Fleet:
    """The campaign's fleet, reserved for it.

    Raises FactoriesMissing when too few factories come in time, NoFactoryFree when they work for others all
    the time, and CampaignRefused or ScenarioErrors for what waiting would not change.
    """
    began_at = office.clock.now()
    patience = min(request.factories_timeout, REPLACED_SECONDS) if left.lost else request.factories_timeout
    # What names its scenarios was accepted for factories that were there: they may only be starting again.
    settled_at = began_at + (SETTLE_SECONDS if request.scenarios else 0.0)
    while True:
        await patiently(office.roster.refresh)
        there = [each for each in office.roster.factories.values() if each.is_fresh and left.may_have(each)]
        busy = [each.node for each in there if not left.has_forgotten(each, request.key)]
        late: Exception
        if len(there) < request.required_factories:
            late = FactoriesMissing(
                f"{len(there)} of the {request.required_factories} required factories came within "
                f"{patience:g} s: start the others, or lower campaign.required-factories"
            )
        elif busy:
            late = NoFactoryFree(f"{', '.join(busy)} did not end what was begun before a factory was lost")
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
        is_too_few = busy or len(there) < request.required_factories
        if office.clock.now() >= began_at + (patience if is_too_few else request.factories_timeout):
            raise late
        await patiently(partial(office.directory.wait_change, LOOK_SECONDS))


async def tried_muster(
    office: Office, request: CampaignRequest, left: Left = NOTHING
) -> Fleet | QalipsisError:
    """The fleet, or why there is none: for who cannot be raised at while it does something else."""
    try:
        return await muster(office, request, left)
    except (FactoriesMissing, CampaignRefused) as error:
        if not left.lost:
            return error
        lost = ", ".join(sorted(left.lost))
        return type(error)(f"{error}; lost before the start, and taken no more: {lost}")
    except QalipsisError as error:
        return error
    except Exception as error:
        _log.exception("the factories of campaign %s could not be chosen", request.key)
        return FactoryError(f"its factories could not be chosen: {error!r}")
