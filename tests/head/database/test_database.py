"""A database that is away, refuses or does not answer is told in words, at once, and without its password."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import text

from qalipsis.config.secret import Secret
from qalipsis.config.settings import Datasource, DatasourcePool
from qalipsis.errors import ConfigurationError, QalipsisError, ServiceRefused, ServiceUnavailable
from qalipsis.head.database import database as database_module
from qalipsis.head.database import engine
from qalipsis.head.database.database import Database, open_database
from qalipsis.head.database.store import DatabaseStore
from tests.head.database.conftest import ask
from tests.services.home import free_port
from tests.services.postgres import Postgres

SECRET = "the very secret word"


async def refusal(datasource: Datasource, folder: Path | str = "data") -> QalipsisError:
    """How opening it is refused: within a time that nobody calls hanging."""
    began = time.monotonic()
    with pytest.raises(QalipsisError) as caught:
        async with open_database(datasource, folder):
            pass
    assert time.monotonic() - began < 5.0
    for each in (str(caught.value), repr(caught.value)):
        assert SECRET not in each
    return caught.value


async def test_a_server_that_is_down_is_named_with_what_to_check() -> None:
    port = free_port()
    error = await refusal(Datasource(host="127.0.0.1", port=port, username="me", password=Secret(SECRET)))
    assert isinstance(error, ServiceUnavailable)
    assert f"PostgreSQL at 127.0.0.1:{port}, database qalipsis, user me: Connection refused" in str(error)
    assert "datasource.host and datasource.port" in str(error)


async def test_a_host_that_has_no_address_is_named() -> None:
    error = await refusal(Datasource(host="nowhere.invalid", username="me", password=Secret(SECRET)))
    assert isinstance(error, ServiceUnavailable)
    assert "nowhere.invalid:5432" in str(error)


async def test_a_server_that_does_not_answer_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "CONNECT_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        error = await refusal(Datasource(host="127.0.0.1", port=port, username="me", password=Secret(SECRET)))
    assert isinstance(error, ServiceUnavailable)
    assert "it does not answer" in str(error)


async def test_a_wrong_password_is_refused_with_the_keys_to_correct(server: Datasource) -> None:
    error = await refusal(replace(server, password=Secret(SECRET)))
    assert isinstance(error, ConfigurationError)
    assert f"PostgreSQL at {server.host}:{server.port}, database {server.database}, user qalipsis" in str(
        error
    )
    assert "check datasource.username and datasource.password" in str(error)


async def test_a_missing_database_is_refused_with_the_statement_that_creates_it(server: Datasource) -> None:
    error = await refusal(replace(server, database="nowhere"))
    assert isinstance(error, ConfigurationError)
    assert 'CREATE DATABASE "nowhere" OWNER "qalipsis"' in str(error)


async def test_a_user_without_rights_is_refused_with_the_statement_that_grants_them(
    server: Datasource, guest: Datasource
) -> None:
    error = await refusal(guest)
    assert isinstance(error, ConfigurationError)
    granting = f'GRANT CREATE ON DATABASE "{guest.database}" TO "{guest.username}"'
    assert granting in str(error)
    await ask(server, granting)
    async with open_database(guest) as database:
        assert await database.revision() is not None


async def test_another_users_schema_is_refused_with_the_statement_that_gives_it(
    server: Datasource, guest: Datasource
) -> None:
    async with open_database(server):
        pass
    error = await refusal(guest)
    assert isinstance(error, ConfigurationError)
    assert f'ALTER SCHEMA "qalipsis" OWNER TO "{guest.username}"' in str(error)


async def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "qalipsis.db").write_bytes(b"no database at all " * 1000)
    error = await refusal(Datasource(), tmp_path)
    assert isinstance(error, ConfigurationError)
    assert str(tmp_path / "qalipsis.db") in str(error)
    assert "not a database" in str(error)


async def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    error = await refusal(Datasource(), tmp_path / "file" / "data")
    assert isinstance(error, ConfigurationError)
    assert str(tmp_path / "file" / "data") in str(error)


async def test_a_restarted_server_is_missed_only_while_it_is_away(
    server: Datasource, postgres: Postgres
) -> None:
    async with open_database(server) as database:
        store = DatabaseStore(database)
        await store.save_state("c-1", "RUNNING", 1.0)
        await asyncio.to_thread(postgres.stop)  # meanwhile the driver hears of it
        try:
            began = time.monotonic()
            with pytest.raises(ServiceUnavailable, match=r"cannot reach PostgreSQL at .* Connection refused"):
                await store.save_state("c-1", "DRAINING", 2.0)
            assert time.monotonic() - began < 5.0
        finally:
            postgres.start()
        await store.save_state("c-1", "DRAINING", 2.0)
        record = await store.campaign("c-1")
        assert record is not None
        assert record.state == "DRAINING"


async def test_a_password_that_is_changed_meanwhile_is_an_outage_that_says_so(
    server: Datasource, guest: Datasource
) -> None:
    await ask(server, f'GRANT CREATE ON DATABASE "{guest.database}" TO "{guest.username}"')
    async with open_database(guest) as database:
        store = DatabaseStore(database)
        await store.save_state("c-1", "RUNNING", 1.0)
        await ask(server, f"ALTER ROLE {guest.username} PASSWORD '{SECRET}'")
        ending = "select pg_terminate_backend(pid) from pg_stat_activity where usename = $1"
        await ask(server, ending, guest.username)
        with suppress(ServiceUnavailable):
            await store.campaign("c-1")  # the driver may not have heard yet that its connection has ended
        reason = r"refuses the login: .*; check datasource\.username"
        with pytest.raises(ServiceRefused, match=reason) as caught:
            await store.save_state("c-1", "DRAINING", 2.0)
        assert SECRET not in str(caught.value)
        # Who starts now is refused at once, by its own settings.
        assert isinstance(await refusal(guest), ConfigurationError)
        await ask(server, f"ALTER ROLE {guest.username} PASSWORD 'secret of a guest'")
        await store.save_state("c-1", "DRAINING", 2.0)
        record = await store.campaign("c-1")
        assert record is not None
        assert record.state == "DRAINING"


async def test_a_right_that_is_taken_away_meanwhile_is_an_outage_too(
    server: Datasource, guest: Datasource
) -> None:
    await ask(server, f'GRANT CREATE ON DATABASE "{guest.database}" TO "{guest.username}"')
    async with open_database(guest) as database:
        await ask(server, f"REVOKE ALL ON qalipsis.campaign FROM {guest.username}")
        with pytest.raises(ServiceRefused, match="lacks a right"):
            await DatabaseStore(database).save_state("c-1", "RUNNING", 1.0)


async def test_a_session_that_the_server_ends_costs_one_call_at_most(server: Datasource) -> None:
    async with open_database(server) as database:
        store = DatabaseStore(database)
        await store.save_state("c-1", "RUNNING", 1.0)
        with pytest.raises(ServiceUnavailable):
            async with database.transaction() as connection:
                await connection.execute(text("select pg_terminate_backend(pg_backend_pid())"))
        await store.save_state("c-1", "DRAINING", 2.0)


async def test_connections_whose_server_vanished_without_a_word_cost_one_call(
    server: Datasource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "ANSWER_SECONDS", 0.5)
    pool = DatasourcePool(min=3, max_acquire_time=3.0)
    async with open_database(replace(server, pool=pool)) as database:
        store = DatabaseStore(database)
        async with database.transaction(), database.transaction(), database.transaction():
            pass
        ours = "select pid from pg_stat_activity where application_name = 'qalipsis' and datname = $1"
        backends = [pid for (pid,) in await ask(server, ours, server.database)]
        assert len(backends) == 3
        for pid in backends:
            os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(ServiceUnavailable, match="it does not answer"):
                await store.save_state("c-1", "RUNNING", 1.0)
            for _ in range(3):
                await store.save_state("c-1", "RUNNING", 1.0)
        finally:
            for pid in backends:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)


async def test_a_lock_that_somebody_holds_does_not_hold_a_head(
    server: Datasource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "ANSWER_SECONDS", 0.5)
    pool = DatasourcePool(max_acquire_time=0.1)
    async with open_database(server) as other, other.transaction() as blocking:
        await blocking.execute(text("lock table campaign"))
        async with open_database(replace(server, pool=pool)) as database:
            with pytest.raises(ServiceUnavailable, match="it does not answer"):
                await DatabaseStore(database).save_state("c-1", "RUNNING", 1.0)


async def test_a_mistake_of_ours_is_not_told_as_one_of_the_database(
    datasource: Datasource, folder: Path
) -> None:
    async with open_database(datasource, folder) as database:
        with pytest.raises(Exception, match=re.compile("syntax error|near", re.IGNORECASE)) as caught:
            async with database.transaction() as connection:
                await connection.execute(text("selcet 1"))
        assert not isinstance(caught.value, QalipsisError)


# The pool


async def sessions(database: Database) -> int:
    async with database.transaction() as connection:
        return int(
            await connection.scalar(
                text(
                    "select count(*) from pg_stat_activity "
                    "where application_name = 'qalipsis' and datname = current_database()"
                )
            )
        )


async def identity(database: Database) -> int:
    async with database.transaction() as connection:
        return int(await connection.scalar(text("select pg_backend_pid()")))


def pooled(server: Datasource, **settings: float) -> Database:
    return Database(replace(server, pool=replace(DatasourcePool(), **settings)))


async def test_the_pool_keeps_its_minimum_and_opens_no_more_than_its_maximum(server: Datasource) -> None:
    database = pooled(server, min=2, max=5, max_acquire_time=0.3)
    seen: list[int] = []

    async def hold() -> None:
        async with database.transaction() as connection:
            await connection.execute(text("select pg_sleep(0.1)"))
            seen.append(int(await connection.scalar(text("select count(*) from pg_stat_activity"))))

    await asyncio.gather(*(hold() for _ in range(10)))
    assert len(seen) == 10
    for _ in range(100):
        if (found := await sessions(database)) <= 2:
            break
        await asyncio.sleep(0.02)
    assert found == 2
    await database.aclose()


async def test_who_waits_too_long_for_a_connection_is_told_which_keys_to_raise(server: Datasource) -> None:
    database = pooled(server, min=1, max=1, max_acquire_time=0.1)
    async with database.transaction():
        with pytest.raises(ServiceUnavailable, match=r"raise datasource\.pool\.max"):
            async with database.transaction():
                pass
    await database.aclose()


@pytest.mark.parametrize("limit", ["max_life_time", "max_idle_time"])
async def test_an_old_or_idle_connection_is_replaced(server: Datasource, limit: str) -> None:
    database = pooled(server, min=1, max=1, **{limit: 0.3})
    first = await identity(database)
    assert await identity(database) == first
    await asyncio.sleep(1.5)  # SQLAlchemy counts lives in whole seconds
    second = await identity(database)
    assert second != first
    await database.aclose()


async def test_a_pool_may_keep_nothing_at_least(server: Datasource) -> None:
    database = pooled(server, min=0, max=2)
    assert await identity(database)
    await database.aclose()
