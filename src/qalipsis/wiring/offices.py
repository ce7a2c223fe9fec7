"""The head's side of a process: what its campaigns work with, and what it keeps."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

from qalipsis.clock import Clock
from qalipsis.cluster.transport import Transport
from qalipsis.config.settings import Settings
from qalipsis.errors import CampaignRefused
from qalipsis.head.api_keys import KeyRing
from qalipsis.head.campaign_list import NewCampaign
from qalipsis.head.campaign_request import CampaignRequest
from qalipsis.head.data_desk import DataDesk
from qalipsis.head.directory import Directory
from qalipsis.head.office import Office
from qalipsis.head.orchestrator import Orchestrator
from qalipsis.head.roster import Roster
from qalipsis.head.service import CampaignService
from qalipsis.head.store import Store
from qalipsis.head.tenure import Tenure


@dataclass(frozen=True, slots=True)
class Cabinet:
    """What a head keeps in its database."""

    store: Store
    directory: Directory
    keys: KeyRing
    desk: DataDesk


@asynccontextmanager
async def open_cabinet(settings: Settings) -> AsyncIterator[Cabinet]:
    """Open the database, whose tables are upgraded first; raises ServiceUnavailable when it is away."""
    # An extra, and slow to import: `qalipsis run` must not wait for it.
    from qalipsis.head.database.database import open_database
    from qalipsis.head.database.directory import DatabaseDirectory
    from qalipsis.head.database.key_table import DatabaseKeys
    from qalipsis.head.database.report_table import DatabaseReports
    from qalipsis.head.database.series_table import DatabaseSeries
    from qalipsis.head.database.store import DatabaseStore

    async with open_database(settings.datasource) as database:
        store = DatabaseStore(database)
        desk = DataDesk(store, DatabaseSeries(database), DatabaseReports(database))
        async with aclosing(desk):
            yield Cabinet(store, DatabaseDirectory(database), DatabaseKeys(database), desk)


def make_office(
    settings: Settings,
    transport: Transport,
    store: Store,
    directory: Directory,
    clock: Clock,
    *,
    head: str,
    lease_s: float | None,
    claim_lease_s: float,
) -> Office:
    return Office(
        head=head,
        transport=transport,
        store=store,
        directory=directory,
        roster=Roster(directory),
        clock=clock,
        heartbeat_s=settings.head.heartbeat_delay,
        lease_s=lease_s,
        claim_lease_s=claim_lease_s,
    )


def make_service(office: Office, defaults: CampaignRequest, *, is_alone: bool) -> CampaignService:
    return CampaignService(
        office,
        defaults,
        lambda tenure, asked, watch: Orchestrator(office, tenure, asked, watch),
        is_alone=is_alone,
    )


async def own(office: Office, campaign: CampaignRequest) -> Tenure:
    """A new campaign that is this head's from the beginning."""
    await office.store.create_campaign(NewCampaign(key=campaign.key, name=campaign.name or campaign.key))
    claim = await office.store.claim(campaign.key, office.head, office.claim_lease_s)
    if claim is None:
        raise CampaignRefused(f"another head was quicker to take campaign {campaign.key}: start it again")
    return Tenure(office.store, office.transport, claim)
