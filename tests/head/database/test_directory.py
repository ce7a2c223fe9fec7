"""The directory in a database keeps what every directory promises, to every head of the cluster."""

from pathlib import Path

from qalipsis.cluster.messages import PROTOCOL, Handshake
from qalipsis.config.settings import Datasource
from qalipsis.head.database.database import open_database
from qalipsis.head.database.directory import DatabaseDirectory
from qalipsis.head.database.store import DatabaseStore
from qalipsis.testing.directory import CHECKS

HANDSHAKE = Handshake(node="eu-1", protocol=PROTOCOL, version="1", workers=1, scenarios=())


async def test_the_database_directory_keeps_its_promise(datasource: Datasource, folder: Path) -> None:
    async with open_database(datasource, folder) as database:
        store = DatabaseStore(database)

        async def known(campaign: str) -> None:
            await store.save_state(campaign, "PREPARING", 1.0)

        for check in CHECKS:
            try:
                await check(DatabaseDirectory(database), known)
            except AssertionError as error:
                raise AssertionError(f"{check.__name__}: {error}") from error


async def test_a_campaign_that_is_over_keeps_no_factory(datasource: Datasource, folder: Path) -> None:
    """Its head may have died before it let them go."""
    async with open_database(datasource, folder) as database:
        store, directory = DatabaseStore(database), DatabaseDirectory(database)
        await directory.register(HANDSHAKE, 1)
        for campaign in ("c-1", "c-2"):
            await store.save_state(campaign, "PREPARING", 1.0)
        assert await directory.reserve("c-1", [("eu-1", 1)])
        await store.save_state("c-1", "COMPLETED", 2.0)
        (found,) = await directory.factories()
        assert found.is_free
        assert await directory.reserve("c-2", [("eu-1", 1)])


async def test_what_one_head_writes_another_reads(server: Datasource) -> None:
    async with open_database(server) as one, open_database(server) as other:
        await DatabaseDirectory(one).register(HANDSHAKE, 7)
        (found,) = await DatabaseDirectory(other).factories()
        assert (found.node, found.incarnation) == ("eu-1", 7)
