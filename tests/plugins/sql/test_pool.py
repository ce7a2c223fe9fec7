from __future__ import annotations

import asyncio
import os
import shutil
import socket
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from qalipsis.errors import ServiceUnavailable
from qalipsis.plugins import sql
from tests.plugins.http.certificates import Certificates
from tests.services.postgres import Postgres, account

from .desk import Desk

Databases = Callable[..., sql.Database]


async def none_left(admin: Any, condition: str) -> None:
    """Wait until the server has no such connection."""
    for _ in range(250):
        if not await admin.fetchval(f"SELECT count(*) FROM pg_stat_activity WHERE {condition}"):
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"there are still connections with {condition}")


async def test_statements_wait_for_a_free_connection(database: Databases, desk: Desk) -> None:
    nap = database(pool_size=2).search("SELECT pg_backend_pid() AS pid FROM pg_sleep(0.1)")
    rows = await asyncio.gather(*(desk.do(nap) for _ in range(6)))
    assert len({row["pid"] for [row] in rows}) == 2
    assert desk.books == (6, 6, 0)


async def test_no_free_connection_in_time_is_a_class_of_its_own(database: Databases, desk: Desk) -> None:
    nap = database(pool_size=1, timeout="300ms").search("SELECT pg_sleep(0.2)")
    await (await desk.step(nap)).reach()
    ended = await asyncio.gather(*(desk.do(nap) for _ in range(3)), return_exceptions=True)
    kinds = [getattr(error, "kind", None) for error in ended]
    assert kinds[0] is None
    assert kinds[2] == "pool-timeout"
    assert "none of the 1 connections became free within 0.3 s" in str(ended[2])
    assert desk.failures(nap)["pool-timeout"] >= 1


async def test_a_statement_that_takes_too_long_is_given_up_and_cancelled(
    database: Databases, desk: Desk, admin: Any
) -> None:
    hang = database(timeout="300ms", pool_size=1).search("SELECT pg_sleep(60) AS hang")
    began = time.monotonic()
    error = await desk.fails(hang)
    assert error.kind == "timeout"
    assert time.monotonic() - began < 5
    assert desk.books == (1, 0, 1)
    await none_left(admin, "query LIKE '%AS hang' AND state = 'active'")


async def test_an_execution_that_is_cancelled_leaves_a_usable_pool(database: Databases, desk: Desk) -> None:
    one = database(pool_size=1)
    task = asyncio.ensure_future(desk.do(one.search("SELECT pg_sleep(60)")))
    await asyncio.sleep(0.3)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
    assert await desk.do(one.search("SELECT 1 AS one")) == [{"one": 1}]


async def test_cancelled_while_waiting_for_a_connection(database: Databases, desk: Desk) -> None:
    one = database(pool_size=1)
    first = asyncio.ensure_future(desk.do(one.search("SELECT pg_sleep(0.4)")))
    await asyncio.sleep(0.1)
    second = asyncio.ensure_future(desk.do(one.search("SELECT 2 AS two")))
    await asyncio.sleep(0.1)
    second.cancel()
    await first
    assert await desk.do(one.search("SELECT 1 AS one")) == [{"one": 1}]
    assert second.cancelled()


async def test_all_connections_are_closed_in_the_end(database: Databases, admin: Any) -> None:
    desk = Desk()
    mine = database()
    await asyncio.gather(*(desk.do(mine.search("SELECT pg_sleep(0.05)")) for _ in range(4)))
    ours = "application_name = 'qalipsis'"
    assert await admin.fetchval(f"SELECT count(*) FROM pg_stat_activity WHERE {ours}") == 4
    await desk.aclose()
    await none_left(admin, ours)


async def test_a_database_that_restarts_fails_what_runs_and_serves_what_follows(
    postgres: Postgres, database: Databases, desk: Desk
) -> None:
    mine = database(timeout="5s", connect_timeout="2s")
    one = mine.search("SELECT 1 AS one")
    nap = mine.search("SELECT pg_sleep(30)")
    await desk.do(one)
    running = asyncio.ensure_future(desk.fails(nap))
    await asyncio.sleep(0.3)
    await asyncio.to_thread(postgres.stop)
    try:
        assert (await running).kind == "closed"
        error = await desk.fails(one)
        assert error.kind == "connect-refused"
        assert str(error) == f"{mine.settings().place} refuses connections"
    finally:
        await asyncio.to_thread(postgres.start)
    assert await desk.do(one) == [{"one": 1}]
    assert desk.failures(one) == {"connect-refused": 1}
    assert desk.books == (3, 2, 1)


class FreezingProxy:
    """Stands before a server, and one day says nothing more: a network that is cut without a word."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._tasks: list[asyncio.Task[None]] = []
        self._writers: list[asyncio.StreamWriter] = []
        self.is_frozen = False

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    async def aclose(self) -> None:
        self._server.close()
        for writer in self._writers:
            writer.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        self._writers += [writer, back]
        self._tasks += [
            asyncio.ensure_future(self._copy(*pair)) for pair in ((reader, back), (there, writer))
        ]

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            if not self.is_frozen:
                writer.write(data)
        writer.close()


async def test_a_network_that_goes_silent_holds_nobody_up(
    postgres: Postgres, database: Databases, desk: Desk
) -> None:
    proxy = FreezingProxy(postgres.port)
    port = await proxy.start()
    silent = replace(database(timeout="400ms", connect_timeout="300ms", pool_size=1), port=port)
    one = silent.search("SELECT 1 AS one")
    try:
        assert await desk.do(one) == [{"one": 1}]
        proxy.is_frozen = True
        began = time.monotonic()
        assert (await desk.fails(one)).kind == "timeout"
        # The old connection is still taking its leave, and counts until it is gone.
        assert (await desk.fails(one)).kind == "pool-timeout"
        assert time.monotonic() - began < 2
        await desk.aclose()
        assert time.monotonic() - began < 5
    finally:
        await proxy.aclose()


@pytest.fixture
async def tls_postgres(postgres: Postgres, admin: Any) -> AsyncIterator[Path]:
    """The server speaks TLS as well, with a certificate of the authority in the file."""
    if postgres.server is None:
        pytest.skip("the server was not started by these tests, so they do not change its certificates")
    with TemporaryDirectory() as folder:
        certificates = Certificates(Path(folder))
        os.chmod(folder, 0o755)
        if user := account():
            shutil.chown(certificates.server, user)
        certificates.server.chmod(0o600)
        settings = {"ssl_cert_file": certificates.server, "ssl_key_file": certificates.server, "ssl": "on"}
        for name, value in settings.items():
            await admin.execute(f"ALTER SYSTEM SET {name} = '{value}'")
        try:
            await admin.execute("SELECT pg_reload_conf()")
            await until_tls(admin, "on")
            yield certificates.ca
        finally:
            for name in reversed(settings):
                await admin.execute(f"ALTER SYSTEM RESET {name}")
            await admin.execute("SELECT pg_reload_conf()")
            await until_tls(admin, "off")


async def until_tls(admin: Any, state: str) -> None:
    for _ in range(250):
        if await admin.fetchval("SHOW ssl") == state:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"the server's ssl is not {state}")


async def test_tls_is_used_where_it_is_offered_and_checked_where_it_is_asked_for(
    postgres: Postgres, desk: Desk, tls_postgres: Path
) -> None:
    query = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
    for tls, is_encrypted in ((None, True), (tls_postgres, True), (False, False)):
        database = sql.postgres(postgres.url, tls=tls)
        assert await desk.do(database.search(query)) == [{"ssl": is_encrypted}]
    unknown = await reach(desk, sql.postgres(postgres.url, tls=True))
    assert "certificate verify failed" in unknown
    assert "correct tls=" in unknown


@pytest.fixture
def closed_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


async def reach(desk: Desk, database: sql.Database) -> str:
    """Why the campaign would not start."""
    with pytest.raises(ServiceUnavailable) as caught:
        await (await desk.step(database.search("SELECT 1"))).reach()
    message = str(caught.value)
    assert "test_pool.py:" in message
    assert "qalipsis" in message or "nobody" in message
    assert "secret" not in message
    assert "wrong-pass" not in message
    return message


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"password": "wrong-pass"}, "password authentication failed"),
        ({"user": "nobody"}, "correct user and password"),
        ({"database": "nowhere"}, 'database "nowhere" does not exist'),
        ({"host": "no-such-host.invalid"}, "correct the host's name"),
        ({"tls": True}, "correct tls="),
    ],
    ids=lambda given: next(iter(given), "") if isinstance(given, dict) else "",
)
async def test_a_login_that_is_refused_is_told_before_the_start(
    postgres: Postgres, desk: Desk, changes: dict[str, Any], words: str
) -> None:
    message = await reach(desk, sql.postgres(postgres.url, **changes))
    assert words in message
    assert f"{changes.get('host', '127.0.0.1')}:{postgres.port}" in message


async def test_a_database_that_is_down_is_told_before_the_start(desk: Desk, closed_port: int) -> None:
    for host in ("127.0.0.1", "localhost"):
        database = sql.postgres(
            host=host, port=closed_port, user="qalipsis", password="secret", database="db"
        )
        message = await reach(desk, database)
        assert (
            f"PostgreSQL at {host}:{closed_port} (database db, user qalipsis) refuses connections" in message
        )
        assert "start the service, or correct the address" in message


async def test_a_database_that_does_not_answer_is_given_up(desk: Desk) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        database = sql.postgres(
            host="127.0.0.1",
            port=silent.getsockname()[1],
            user="qalipsis",
            password="secret",
            database="db",
            connect_timeout="200ms",
        )
        assert "did not let us in within 0.2 s" in await reach(desk, database)
        error = await desk.fails(replace(database, timeout="100ms").search("SELECT 1"))
    assert error.kind == "connect-timeout"
    assert "0.1 s" in str(error)
    assert desk.books == (0, 0, 0)


async def test_too_many_connections_are_a_class_of_their_own(
    postgres: Postgres, desk: Desk, admin: Any
) -> None:
    await admin.execute("CREATE ROLE single LOGIN PASSWORD 'secret' CONNECTION LIMIT 1")
    try:
        single = sql.postgres(postgres.url, user="single", password="secret")
        nap = single.search("SELECT pg_sleep(0.5)")
        ended = await asyncio.gather(desk.do(nap), desk.do(nap), return_exceptions=True)
        assert sorted(getattr(error, "kind", "") for error in ended) == ["", "too-many-connections"]
    finally:
        await desk.aclose()
        desk.steps.clear()
        await none_left(admin, "usename = 'single'")
        await admin.execute("DROP ROLE single")


async def test_a_passwordless_description_asks_no_environment(
    postgres: Postgres, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", postgres.password)
    monkeypatch.setenv("PGHOST", "nowhere.invalid")
    bare = sql.postgres(
        host=postgres.host, port=postgres.port, user=postgres.user, database=postgres.database
    )
    assert "pg_hba.conf" in await reach(desk, bare)
