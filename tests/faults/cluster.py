"""A cluster of real processes, with everything that a test may ask it, or do to it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import dedent
from typing import Any
from urllib.request import Request, urlopen
from uuid import uuid4

import asyncpg
from redis.asyncio import Redis as RedisClient

from tests.faults.processes import Process, until
from tests.faults.target import Target, open_target
from tests.services.home import HOST, free_port
from tests.services.postgres import Postgres
from tests.services.redis import Redis

BEATS_PER_SECOND = 10
"""Requests of a minion in a second."""

SCENARIOS = """
    from qalipsis import profile, prop, scenario
    from qalipsis.plugins import http

    target = http.client(prop("target"), warm_up=True)

    walk = (
        scenario("walk", minions=20, profile=profile.regular("5ms", 1))
        .start()
        .then(target.get("/walk"))
        .named("walk")
        .iterate({requests}, period="100ms")
    )
    arrive = (
        scenario("arrive", minions=40, profile=profile.arrival_rate(100, over="{seconds}s"))
        .start()
        .then(target.get("/arrive"))
        .named("arrive")
    )
"""

WATCH = """
    CREATE FUNCTION tell() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_notify('campaigns', json_build_object(
            'key', NEW.key, 'state', NEW.state, 'epoch', NEW.epoch, 'owner', NEW.owner,
            'commit', NEW.last_commit)::text);
        RETURN NULL;
    END $$;
    CREATE TRIGGER tell AFTER INSERT OR UPDATE ON qalipsis.campaign FOR EACH ROW EXECUTE FUNCTION tell();
"""

RUNNING = ("QUEUED", "SCHEDULED", "IN_PROGRESS")


@dataclass(frozen=True, slots=True)
class Change:
    """What was committed to the row of a campaign, and when this was heard of."""

    at: float
    key: str
    state: str
    epoch: int
    owner: str | None
    commit: str | None


@dataclass(slots=True, kw_only=True)
class Cluster:
    """Heads and factories that share a database of PostgreSQL, a database of Redis, and a target."""

    folder: Path
    target: Target
    postgres: Postgres
    redis: Redis
    database: str
    options: tuple[str, ...] = ()
    changes: list[Change] = field(default_factory=list)
    on_change: Callable[[Change], None] | None = None
    processes: list[Process] = field(default_factory=list)
    heads: dict[str, tuple[Process, int]] = field(default_factory=dict)
    _connection: asyncpg.Connection | None = None

    # Who belongs to it

    async def head(self, name: str, *options: str) -> Process:
        """A head that answers."""
        port = self.heads[name][1] if name in self.heads else free_port()
        words = ("head", "--insecure", *self._common(), "-c", f"server.port={port}", *options)
        process = self._run(name, words)
        self.heads[name] = process, port
        await until(lambda: self.ask("GET", "/factories", head=name) is not None, f"{name} should answer")
        return process

    def autostart(self, name: str, *options: str) -> Process:
        words = ("head", "--autostart", "--no-live", *self._common(), *options)
        return self._run(name, words)

    def factory(
        self,
        node: str,
        *options: str,
        zone: str | None = None,
        workers: int = 1,
        name: str | None = None,
        prefix: tuple[str, ...] = (),
    ) -> Process:
        """A factory that is on its way, and sends under the name of its node."""
        place = ("-c", f"factory.zone={zone}") if zone else ()
        words = (
            *("factory", "scenarios.py", *self._common(), "-c", f"factory.node-id={node}"),
            *("-c", f"factory.workers={workers}", "-c", f"target={self.target.url}/{node}", *place, *options),
        )
        return self._run(name or node, words, prefix)

    async def join(self, *nodes: str, zones: tuple[str | None, ...] = (), workers: int = 1) -> list[Process]:
        """These factories, free to work."""
        placed = zip(nodes, zones or (None,) * len(nodes), strict=True)
        factories = [self.factory(node, zone=zone, workers=workers) for node, zone in placed]
        await self.until_free(*nodes)
        return factories

    async def until_free(self, *nodes: str) -> None:
        await until(
            lambda: set(nodes) <= {each["node"] for each in self.factories() if each["state"] == "IDLE"},
            f"{', '.join(nodes)} should be free",
        )

    def _common(self) -> tuple[str, ...]:
        return ("-c", "logging.level=INFO", *self.options)

    def _run(self, name: str, words: tuple[str, ...], prefix: tuple[str, ...] = ()) -> Process:
        process = Process(name, words, self.folder, prefix)
        self.processes.append(process)
        return process

    # What it is asked over REST

    def ask(self, method: str, path: str, body: Any = None, *, head: str | None = None) -> Any:
        """The answer of this head, or of the first that lives."""
        living = [each for each, (process, _) in self.heads.items() if process.code is None]
        port = self.heads[head or living[0]][1]
        data = None if body is None else json.dumps(body).encode()
        request = Request(
            f"http://{HOST}:{port}/api{path}", data, {"content-type": "application/json"}, method=method
        )
        with urlopen(request, timeout=10) as answer:
            content = answer.read()
        return json.loads(content) if content else None

    def factories(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.ask("GET", "/factories")
        return found

    async def start(self, minions: int = 20, scenario: str = "walk", **asked: Any) -> str:
        """The key of a new campaign."""
        part = {"minionsCount": minions, **asked}
        body = {"name": f"{scenario} of {minions}", "startOffsetMs": 500, "scenarios": {scenario: part}}
        answer = await asyncio.to_thread(self.ask, "POST", "/campaigns", body)
        key: str = answer["key"]
        return key

    async def abort(self, key: str, *, hard: bool) -> None:
        word = "?hard=true" if hard else ""
        await asyncio.to_thread(self.ask, "POST", f"/campaigns/{key}/abort{word}")

    async def details(self, key: str) -> dict[str, Any]:
        found = await asyncio.to_thread(self.ask, "GET", f"/campaigns/{key}")
        details: dict[str, Any] = found[0]
        return details

    async def until_load(self, requests: int = 1, since: float = 0.0) -> None:
        await until(lambda: self.target.count(since) >= requests, f"{requests} requests should arrive")

    # What is in its store

    async def watch(self) -> None:
        """Hear of every commit to a campaign, as soon as it happened."""
        connection = await self._store()
        await connection.execute(WATCH)
        await connection.add_listener("campaigns", self._hear)

    def _hear(self, *notification: Any) -> None:
        change = Change(at=time.monotonic(), **json.loads(notification[-1]))
        self.changes.append(change)
        if self.on_change is not None:
            self.on_change(change)

    async def add_zones(self, *keys: str) -> None:
        connection = await self._store()
        for key in keys:
            await connection.execute(
                "INSERT INTO qalipsis.zone (id, version, creation, key, title, enabled) "
                "VALUES (nextval('qalipsis.zone_seq'), now(), now(), $1, $2, true)",
                key,
                f"Zone {key}",
            )

    async def state(self, key: str) -> str:
        connection = await self._store()
        state: str = await connection.fetchval("SELECT state FROM qalipsis.campaign WHERE key = $1", key)
        return state

    async def ended(self, key: str, seconds: float = 60.0) -> dict[str, Any]:
        """The only report of a campaign, once it is over, with what must hold after any fault."""
        await until(lambda: self.is_over(key), f"campaign {key} should end", seconds)
        connection = await self._store()
        reports = await connection.fetch(
            "SELECT content FROM qalipsis.campaign_report r JOIN qalipsis.campaign c ON r.campaign_id = c.id "
            "WHERE c.key = $1",
            key,
        )
        assert len(reports) == 1, f"{len(reports)} reports of {key}, state {await self.state(key)}"
        report: dict[str, Any] = json.loads(reports[0]["content"])
        assert report["verdict"]["value"] != "INVALID", report["verdict"]["reasons"]
        self._check_one_end(key)
        await self._check_no_keys(key)
        return report

    async def is_over(self, key: str) -> bool:
        return await self.state(key) in ("COMPLETED", "FAILED", "ABORTED")

    def _check_one_end(self, key: str) -> None:
        """A terminal state is entered by one commit."""
        own = [each for each in self.changes if each.key == key]
        ends = {each.commit for each in own if each.state in ("COMPLETED", "FAILED", "ABORTED")}
        assert len(ends) <= 1 or not own, ends

    async def _check_no_keys(self, key: str) -> None:
        """Nothing stays in Redis but receipts that live on for seconds, for those who may still look."""
        deadline = time.monotonic() + 8.0
        while lasting := await self._lasting_keys(key):
            assert time.monotonic() < deadline, lasting
            await asyncio.sleep(0.1)

    async def _lasting_keys(self, key: str) -> list[bytes]:
        async with RedisClient.from_url(self.redis_url) as client:
            found = [each async for each in client.scan_iter(f"*{key}*")]
            seconds = {each: await client.ttl(each) for each in found}
        return [each for each, left in seconds.items() if left != -2 and not 0 <= left <= 60]

    async def _store(self) -> asyncpg.Connection:
        if self._connection is None or self._connection.is_closed():
            self._connection = await self._connect(self.database)
        return self._connection

    async def _connect(self, database: str) -> asyncpg.Connection:
        server = self.postgres
        return await asyncpg.connect(
            host=server.host,
            port=server.port,
            user=server.user,
            password=server.password,
            database=database,
            timeout=5,
        )

    @property
    def redis_url(self) -> str:
        return f"{self.redis.url.removesuffix('/0')}/1"

    # From its beginning to its end

    async def open(self, requests: int, seconds: int) -> None:
        administrator = await self._connect(self.postgres.database)
        await administrator.execute(f'CREATE DATABASE "{self.database}"')
        await administrator.close()
        async with RedisClient.from_url(self.redis_url) as client:
            await client.flushdb()
        server = self.postgres
        (self.folder / "scenarios.py").write_text(
            dedent(SCENARIOS).replace("{requests}", str(requests)).replace("{seconds}", str(seconds))
        )
        (self.folder / "qalipsis.yml").write_text(
            json.dumps(
                {
                    "redis.uri": self.redis_url,
                    "datasource": {
                        "host": server.host,
                        "port": server.port,
                        "database": self.database,
                        "username": server.user,
                        "password": server.password,
                    },
                    "report.export.console-live.enabled": False,
                }
            )
        )

    async def close(self) -> None:
        for process in self.processes:
            process.close()
        if self._connection is not None:
            await self._connection.close(timeout=5)
        with suppress(OSError, asyncpg.PostgresError):
            administrator = await self._connect(self.postgres.database)
            await administrator.execute(f'DROP DATABASE "{self.database}" WITH (FORCE)')
            await administrator.close()


@asynccontextmanager
async def open_cluster(
    folder: Path, postgres: Postgres, redis: Redis, *options: str, requests: int = 60, seconds: int = 10
) -> AsyncIterator[Cluster]:
    """A cluster without anybody. `requests` are those of a walk, `seconds` is how long arrivals come.

    The options are for all commands. What they wrote is shown when a test fails; nothing of them stays.
    """
    async with open_target() as target:
        cluster = Cluster(
            folder=folder,
            target=target,
            postgres=postgres,
            redis=redis,
            database=f"faults_{uuid4().hex[:12]}",
            options=options,
        )
        try:
            await cluster.open(requests, seconds)
            yield cluster
        except BaseException:
            for process in cluster.processes:
                print(f"--- {process.name}\n{process.log[-6000:]}")
            raise
        finally:
            await cluster.close()
