"""Whole scenarios in one worker, against real servers."""

from __future__ import annotations

import asyncio
from typing import Any

from qalipsis import Minion, StepFailed, journey, profile, scenario
from qalipsis.plugins import tcp
from tests.plugins.http.bench import until

from .playing import play
from .servers import answers, echo, silent

Serve = Any


async def test_minions_keep_their_connections_and_end_them_with_themselves(
    serve: Serve,
) -> None:
    server = await serve(echo)
    client = tcp.client(server.address)
    chain = (
        scenario("talk", minions=50, profile=profile.immediate())
        .start()
        .then(client.request("hello\n"))
        .named("connect")
        .then(tcp.reuse("connect", lambda answer: answer.body + b"!\n"))
        .named("talk")
        .iterate(3)
        .verify(lambda answer: answer.text == "hello!")
    )
    played = await play(chain)
    assert (played.requests, played.ok, played.failed_passes) == (200, 200, 0)
    await until(lambda: server.open_connections == 0)
    assert server.connections == server.farewells == 51  # one looked whether somebody is there


async def test_a_connection_outlives_a_pass(serve: Serve) -> None:
    server = await serve(echo)
    replayed = profile.stages(profile.stage(100, ramp_up="10ms", total="100ms"))
    chain = scenario("again", minions=3, profile=replayed).start()
    played = await play(chain.then(tcp.client(server.address).request("x\n")).delay("20ms"))
    assert played.requests > 6
    assert server.connections == 4


async def test_a_deadline_of_the_step_closes_the_connection(serve: Serve) -> None:
    server = await serve(silent)
    client = tcp.client(server.address)
    played = await play(scenario("slow").start().then(client.request("x\n")).named("x").timeout("50ms"))
    assert dict(played.step("x").errors) == {"timeout": 1}
    assert (played.requests, played.ok) == (1, 0)
    await until(lambda: server.open_connections == 0)


async def test_a_journey_connects_reuses_and_closes(serve: Serve) -> None:
    server = await serve(echo)
    client = tcp.client(server.address)
    seen: list[str] = []

    @journey("walk", minions=2)
    async def walk(minion: Minion) -> None:
        try:
            await minion.do(tcp.reuse("connect", "too early\n"), name="talk")
        except StepFailed as failure:
            seen.append(failure.kind)
        for turn in range(2):
            await minion.do(client.request("hello\n"), name="connect")
            for word in ("a", "b"):
                answer = await minion.do(tcp.reuse("connect", f"{word}{turn}\n"), name="talk")
                seen.append(answer.text)
            await minion.do(tcp.close("connect"), name="leave")

    played = await play(walk.chain())
    assert sorted(seen) == sorted(["not-connected", "a0", "b0", "a1", "b1"] * 2)
    assert (played.requests, played.ok) == (12, 12)
    await until(lambda: server.open_connections == 0)
    assert server.connections == 4


async def test_a_service_that_dies_in_mid_run_is_a_failure_and_the_rest_goes_on(serve: Serve) -> None:
    server = await serve(answers(b"fine\n"))
    client = tcp.client(server.address)
    chain = (
        scenario("dying", minions=5, profile=profile.immediate())
        .start()
        .then(client.request("x\n"))
        .named("connect")
        .iterate(10, period="20ms")
    )
    playing = asyncio.ensure_future(play(chain))
    await until(lambda: server.connections > 5)
    await asyncio.sleep(0.05)
    await server.stop()
    played = await playing
    errors = dict(played.step("connect").errors)
    assert set(errors) <= {"closed", "reset", "connect-refused"}
    assert played.step("connect").attempted == 50
    assert played.ok == played.step("connect").successful == 50 - sum(errors.values())


async def test_branches_with_clients_of_their_own_talk_at_once(serve: Serve) -> None:
    server = await serve(echo)
    left = tcp.client(server.address)
    right = tcp.client(server.address)
    chain = (
        scenario("both")
        .start()
        .gather(lambda c: c.then(left.request("l\n")), lambda c: c.then(right.request("r\n")))
    )
    played = await play(chain.verify(lambda both: [answer.text for answer in both] == ["l", "r"]))
    assert (played.ok, played.failed_passes) == (2, 0)
