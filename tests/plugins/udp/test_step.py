from __future__ import annotations

import asyncio
import re
import socket
import time
from typing import Any

import pytest

from qalipsis import registry
from qalipsis.engine.step import StepError
from qalipsis.errors import ServiceUnavailable
from qalipsis.plugins import udp
from qalipsis.plugins.udp.step import open_close, open_request
from tests.plugins.http.bench import Bench, Context, until

Serve = Any


def echo(data: bytes) -> list[bytes | float]:
    return [data]


def nothing(data: bytes) -> list[bytes | float]:
    return []


def late(first: bytes, after: float) -> Any:
    """Echo, but the `first` datagram only after a while."""
    return lambda data: [after, data] if data == first else [data]


async def close(bench: Bench, spec: Any, minion: Any, value: Any = None) -> Any:
    """Run a step that closes."""
    return await (await bench.step(spec)).execute(Context(minion, value, 0.0))


def same(request: bytes, response: bytes) -> bool:
    return request == response


def test_the_kinds_of_step_are_registered() -> None:
    assert registry.load(registry.STEPS, "udp.request") is open_request
    assert registry.load(registry.STEPS, "udp.close") is open_close


async def test_a_minion_keeps_its_socket_and_others_have_their_own(serve: Serve, bench: Bench) -> None:
    service = await serve(echo)
    request = udp.client(service.address).request(lambda value: f"hello {value}")
    ann, bob = bench.minion(), bench.minion()
    began = time.time()
    for turn in range(3):
        got = await bench.ask(request, ann, turn)
        assert (got.text, got.answers) == (f"hello {turn}", (f"hello {turn}".encode(),))
        assert (got.bytes_sent, got.bytes_received) == (7, 7)
        assert began - 0.1 < got.due <= got.sent <= got.done == got.received_at < time.time() + 0.1
    await bench.ask(request, bob, 1)
    assert (len(service.ports), bench.books) == (2, (4, 4, 0))
    meters = bench.meters_of(request)
    assert (meters.bytes_sent, meters.bytes_received, meters.from_due.count) == (28, 28, 4)


async def test_several_answers_are_waited_for(serve: Serve, bench: Bench) -> None:
    service = await serve(lambda data: [b"one", 0.02, b"two"])
    got = await bench.ask(udp.client(service.address).request("?", answers=2))
    assert (got.answers, got.body, got.bytes_received) == ((b"one", b"two"), b"one", 6)


async def test_no_answer_is_waited_for_when_none_is_wanted(serve: Serve, bench: Bench) -> None:
    service = await serve(nothing)
    request, minion = udp.client(service.address).request("tick", answers=0), bench.minion()
    for _ in range(3):
        got = await bench.ask(request, minion)
        assert (got.answers, got.body, got.text, got.bytes_received) == ((), b"", "", 0)
    await until(lambda: len(service.seen) == 3)
    assert (len(service.ports), bench.books) == (1, (3, 3, 0))


async def test_a_lost_answer_is_a_timeout(serve: Serve, bench: Bench) -> None:
    service = await serve(nothing)
    client, minion = udp.client(service.address, timeout="30ms"), bench.minion()
    request = client.request("?")
    failure = await bench.fails(request, minion)
    assert failure.kind == "timeout"
    assert str(failure) == f"no answer from {service.address} within 0.03 s"
    own = client.request("?", answers=2, timeout="10ms")
    assert str(await bench.fails(own, minion)).startswith("0 of 2 answers")
    assert bench.books == (2, 0, 2)
    assert bench.meters_of(own).failures == {"timeout": 1}


async def test_an_incomplete_set_of_answers_is_a_timeout(serve: Serve, bench: Bench) -> None:
    service = await serve(echo)
    request = udp.client(service.address, timeout="30ms").request("abc", answers=2)
    assert str(await bench.fails(request)).startswith("1 of 2 answers")
    assert bench.meters_of(request).bytes_received == 3


async def test_a_deadline_met_is_no_deadline_for_the_next_request(serve: Serve, bench: Bench) -> None:
    service = await serve(echo)
    request, minion = udp.client(service.address, timeout="60ms").request("a"), bench.minion()
    for _ in range(8):
        await bench.ask(request, minion)
        await asyncio.sleep(0.02)
    assert (len(service.ports), bench.books) == (1, (8, 8, 0))


# Answers that could be taken for each other's.


async def test_a_late_answer_does_not_find_the_next_request(serve: Serve, bench: Bench) -> None:
    service = await serve(late(b"slow", 0.05))
    client, minion = udp.client(service.address, timeout="20ms"), bench.minion()
    await bench.fails(client.request("slow"), minion)
    await asyncio.sleep(0.02)
    patient = client.request("quick", timeout="1s")
    for _ in range(3):
        assert (await bench.ask(patient, minion)).text == "quick"
    assert len(service.ports) == 2  # another socket, which the late answer does not know
    assert service.seen[0][1] != service.seen[1][1]


async def test_a_late_answer_is_recognised_when_the_author_says_how(serve: Serve, bench: Bench) -> None:
    service = await serve(late(b"slow", 0.04))
    client, minion = udp.client(service.address, timeout="20ms"), bench.minion()
    await bench.fails(client.request("slow", matching=same), minion)
    service._answer = lambda data: [0.05, data]  # the late answer comes first
    patient = client.request("quick", matching=same, timeout="1s")
    assert (await bench.ask(patient, minion)).text == "quick"
    assert len(service.ports) == 1  # the socket, and with it the local port, is kept
    assert bench.meters_of(patient).counters == {"ignored-datagrams": 1}


async def test_a_request_that_cannot_tell_gets_another_socket_when_an_answer_is_owed(
    serve: Serve, bench: Bench
) -> None:
    service = await serve(late(b"slow", 0.03))
    client, minion = udp.client(service.address, timeout="10ms"), bench.minion()
    await bench.fails(client.request("slow", matching=same), minion)
    assert (await bench.ask(client.request("quick", timeout="1s"), minion)).text == "quick"
    assert len(service.ports) == 2


async def test_a_second_answer_never_meets_the_next_request(serve: Serve, bench: Bench) -> None:
    service = await serve(lambda data: [data, data, data])
    request, minion = udp.client(service.address).request(lambda value: value), bench.minion()
    for value in ("a", "b", "c"):
        assert (await bench.ask(request, minion, value)).text == value
    assert (len(service.ports), bench.books) == (3, (3, 3, 0))
    assert bench.meters_of(request).counters["unread-datagrams"] >= 2


async def test_an_answer_between_two_requests_closes_the_socket(serve: Serve, bench: Bench) -> None:
    service = await serve(lambda data: [data, 0.02, b"late " + data])
    request, minion = udp.client(service.address).request(lambda value: value), bench.minion()
    assert (await bench.ask(request, minion, "a")).text == "a"
    await until(lambda: bench.meters_of(request).counters == {"unread-datagrams": 1})
    assert (await bench.ask(request, minion, "b")).text == "b"
    assert len(service.ports) == 2


async def test_an_answer_that_nobody_waits_for_does_not_meet_the_next_request(
    serve: Serve, bench: Bench
) -> None:
    service = await serve(echo)
    client, minion = udp.client(service.address), bench.minion()
    silent = client.request("tick", answers=0)
    await bench.ask(silent, minion)
    await until(lambda: bench.meters_of(silent).counters == {"unread-datagrams": 1})
    assert (await bench.ask(client.request("tock"), minion)).text == "tock"


async def test_a_function_that_breaks_fails_its_request(serve: Serve, bench: Bench) -> None:
    service = await serve(echo)
    client, minion = udp.client(service.address), bench.minion()
    with pytest.raises(IndexError):
        await bench.ask(client.request("?", matching=lambda request, response: request[9]), minion)
    assert bench.books == (1, 0, 1)
    assert (await bench.ask(client.request("b"), minion)).text == "b"
    assert len(service.ports) == 2


async def test_datagrams_of_strangers_are_not_even_read(serve: Serve, bench: Bench) -> None:
    service, stranger = await serve(nothing), await serve(nothing)
    request, minion = udp.client(service.address).request("?"), bench.minion()
    line = await bench.start(request, minion)
    await until(lambda: len(service.seen) == 1)
    place = ("127.0.0.1", service.seen[0][1])
    stranger.say(b"me!", place)
    await asyncio.sleep(0.01)
    assert not line.future.done()
    service.say(b"me", place)
    assert (await line.future).text == "me"


async def test_a_cancelled_request_takes_its_socket_along(serve: Serve, bench: Bench) -> None:
    service = await serve(late(b"slow", 0.02))
    client, minion = udp.client(service.address), bench.minion()
    request = client.request("slow")
    line = await bench.start(request, minion)
    await until(lambda: len(service.seen) == 1)
    line.pending.cancel()
    assert bench.books == (1, 0, 1)
    assert bench.meters_of(request).failures == {"cancelled": 1}
    assert (await bench.ask(client.request("quick"), minion)).text == "quick"
    assert (len(service.ports), line.future.done()) == (2, False)


async def test_concurrent_branches_do_not_talk_into_each_other(serve: Serve, bench: Bench) -> None:
    service = await serve(nothing)
    request, minion = udp.client(service.address).request("?"), bench.minion()
    await bench.start(request, minion)
    assert (await bench.fails(request, minion)).kind == "busy"  # while the name is looked up
    await until(lambda: bench.books == (1, 0, 0))
    failure = await bench.fails(request, minion)
    assert (failure.kind, "client of its own" in str(failure)) == ("busy", True)


# What the system says.


async def test_a_port_at_which_nobody_listens_refuses(bench: Bench, silent_port: int) -> None:
    request, minion = udp.client("127.0.0.1", port=silent_port).request("?"), bench.minion()
    for _ in range(2):
        failure = await bench.fails(request, minion)
        assert failure.kind == "connect-refused"
        assert str(failure) == f"nobody listens at 127.0.0.1:{silent_port}"
    assert bench.books == (2, 0, 2)


async def test_a_refusal_that_nobody_waits_for_is_counted_and_stops_nothing(
    bench: Bench, silent_port: int
) -> None:
    request = udp.client("127.0.0.1", port=silent_port).request("?", answers=0)
    minion = bench.minion()
    for _ in range(3):
        await bench.ask(request, minion)
        await asyncio.sleep(0.01)
    assert bench.books == (3, 3, 0)
    assert bench.meters_of(request).counters == {"refused-datagrams": 3}


async def test_a_refusal_of_an_earlier_datagram_does_not_keep_the_next_from_being_sent(
    bench: Bench, silent_port: int
) -> None:
    client, minion = udp.client("127.0.0.1", port=silent_port), bench.minion()
    silent = client.request("a", answers=0)
    await bench.ask(silent, minion)
    [seat] = minion.resources.values()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        seat.socket._socket.send(b"refused")  # the system tells it at the next call
        listener.bind(("127.0.0.1", silent_port))
        listener.settimeout(5)
        await bench.start(silent, minion)
        assert listener.recv(100) == b"a"


async def test_a_datagram_that_is_too_large_is_told(serve: Serve, bench: Bench) -> None:
    service = await serve(echo)
    request = udp.client(service.address).request(lambda value: b"x" * 70_000)
    failure = await bench.fails(request)
    assert (failure.kind, bench.books) == ("too-large", (1, 0, 1))
    assert bench.meters_of(request).bytes_sent == 0


async def test_the_largest_datagram_goes_through(serve: Serve, bench: Bench) -> None:
    service = await serve(echo)
    payload = bytes(65_507)
    assert (await bench.ask(udp.client(service.address).request(payload))).body == payload


async def test_an_empty_datagram_is_one_as_well(bench: Bench) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as service:  # uvloop's own would drop it
        service.bind(("127.0.0.1", 0))
        service.settimeout(5)
        line = await bench.start(udp.client("127.0.0.1", port=service.getsockname()[1]).request(b""))
        await until(lambda: bench.books == (1, 0, 0))
        data, place = service.recvfrom(100)
        service.sendto(data, place)
        assert (await line.future).answers == (b"",)


async def test_a_name_without_address_is_its_own_class(bench: Bench) -> None:
    request = udp.client("nowhere.invalid:9").request("?")
    assert (await bench.fails(request)).kind == "dns"
    assert bench.books == (0, 0, 0)
    step = await bench.step(request)
    with pytest.raises(ServiceUnavailable) as caught:
        await step.reach()
    assert re.search(r"test_step\.py:\d+: udp\.client\('nowhere.invalid:9'\)", str(caught.value))


async def test_localhost_is_found(serve: Serve, bench: Bench) -> None:
    service = await serve(echo)
    request = udp.client("localhost", port=service.port).request("?")
    step = await bench.step(request)
    await step.reach()
    assert step.connections(10) == {("localhost", service.port): 10}
    assert (await bench.ask(request)).text == "?"


async def test_nothing_is_sent_once_the_lease_has_expired(serve: Serve, bench: Bench) -> None:
    service = await serve(echo)
    request, minion = udp.client(service.address).request("?"), bench.minion()
    bench.ledger.lease[0] = 0.0
    assert (await bench.fails(request, minion)).kind == "fenced"
    assert (await bench.fails(request, minion)).kind == "fenced"
    await asyncio.sleep(0.01)
    assert (service.seen, bench.books) == ([], (0, 0, 0))


async def test_an_exception_of_the_author_is_the_steps(serve: Serve, bench: Bench) -> None:
    service = await serve(echo)
    client = udp.client(service.address)
    with pytest.raises(KeyError):
        await bench.ask(client.request(lambda value: value["line"]), value={})
    with pytest.raises(TypeError, match="bytes or text, not 3"):
        await bench.ask(client.request(lambda value: 3))  # type: ignore[arg-type,return-value]
    assert (service.seen, bench.books) == ([], (0, 0, 0))


# Reuse and close.


async def test_a_socket_is_reused_by_the_name_of_the_step_that_opened_it(serve: Serve, bench: Bench) -> None:
    service = await serve(echo)
    hello = udp.client(service.address, timeout="5s").request("hello")
    await bench.step(hello, "hello")
    ping = udp.reuse("hello", lambda value: value)
    await bench.step(ping, "ping")
    again = udp.reuse("ping", "again", answers=0)
    minion = bench.minion()
    failure = await bench.fails(ping, minion)
    assert failure.kind == "not-connected"
    assert "the step 'hello' opened no socket for this minion" in str(failure)
    await bench.ask(hello, minion)
    assert (await bench.ask(ping, minion, "x")).text == "x"
    await bench.ask(again, minion)
    await until(lambda: len(service.seen) == 3)
    assert len(service.ports) == 1
    assert await close(bench, udp.close("ping"), minion, "kept") == "kept"
    assert await close(bench, udp.close("ping"), minion, "kept") == "kept"
    assert (await bench.fails(ping, minion)).kind == "not-connected"
    await bench.ask(hello, minion)
    await bench.ask(ping, minion, "y")
    assert len(service.ports) == 2


async def test_reuse_goes_on_with_a_new_socket_after_a_timeout(serve: Serve, bench: Bench) -> None:
    service = await serve(late(b"slow", 0.03))
    hello = udp.client(service.address).request("hello")
    await bench.step(hello, "hello")
    minion = bench.minion()
    await bench.ask(hello, minion)
    await bench.fails(udp.reuse("hello", "slow", timeout="10ms"), minion)
    assert (await bench.ask(udp.reuse("hello", "quick"), minion)).text == "quick"
    assert len(service.ports) == 2


async def test_closing_under_a_request_fails_it(serve: Serve, bench: Bench) -> None:
    service = await serve(nothing)
    client, minion = udp.client(service.address), bench.minion()
    assert await close(bench, client.close(), minion, 1) == 1
    line = await bench.start(client.request("?"), minion)
    await until(lambda: bench.books == (1, 0, 0))
    await close(bench, client.close(), minion)
    error = line.future.exception()
    assert isinstance(error, StepError)
    assert (error.kind, bench.books) == ("closed", (1, 0, 1))


async def test_closing_by_a_name_that_no_step_has_is_a_failure(bench: Bench) -> None:
    with pytest.raises(StepError, match="there is no step 'hello' that opens a socket"):
        await close(bench, udp.close("hello"), bench.minion())
