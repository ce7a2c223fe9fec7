from __future__ import annotations

import asyncio
import re
import time
from typing import Any

import pytest

from qalipsis import registry
from qalipsis.errors import ConfigurationError, ServiceUnavailable
from qalipsis.plugins import tcp
from qalipsis.plugins.tcp.step import open_close, open_request
from tests.plugins.http.bench import Bench, until
from tests.plugins.http.certificates import Certificates
from tests.plugins.http.test_connect import closed_port, deaf_port

from .servers import answers, echo, echo_everything, says, silent

Serve = Any


async def close(bench: Bench, spec: Any, minion: Any, value: Any = None) -> Any:
    """Run a step that closes."""
    from tests.plugins.http.bench import Context

    return await (await bench.step(spec)).execute(Context(minion, value, 0.0))


def test_the_kinds_of_step_are_registered() -> None:
    assert registry.load(registry.STEPS, "tcp.request") is open_request
    assert registry.load(registry.STEPS, "tcp.close") is open_close


async def test_a_minion_keeps_its_connection_and_others_have_their_own(serve: Serve, bench: Bench) -> None:
    server = await serve(echo)
    request = tcp.client(server.address).request(lambda value: f"hello {value}\r\n")
    ann, bob = bench.minion(), bench.minion()
    began = time.time()
    for turn in range(3):
        got = await bench.ask(request, ann, turn)
        assert (got.text, got.body) == (f"hello {turn}", f"hello {turn}".encode())
        assert (got.bytes_sent, got.bytes_received) == (9, 9)
        assert began - 0.1 < got.due <= got.sent <= got.done == got.received_at < time.time() + 0.1
    await bench.ask(request, bob, 1)
    assert (server.connections, bench.books) == (2, (4, 4, 0))
    meters = bench.meters_of(request)
    assert (meters.bytes_sent, meters.bytes_received) == (36, 36)
    assert (meters.from_due.count, meters.phases["connect"].count) == (4, 2)
    ann.close()
    bob.close()
    await until(lambda: server.open_connections == 0)
    assert server.farewells == 2


@pytest.mark.parametrize(
    ("end", "came", "body"),
    [
        (tcp.line(), b"a\r\n", b"a"),
        (tcp.delimiter(b"END"), b"abEND", b"ab"),
        (tcp.delimiter("END"), b"END", b""),
        (tcp.exactly(3), b"abc", b"abc"),
        (tcp.exactly(lambda value: value + 1), b"abc", b"abc"),
        (tcp.exactly(lambda context, value: value + context.minion.index + 1), b"abc", b"abc"),
        (tcp.length_prefix(2), b"\0\3abc", b"abc"),
        (tcp.length_prefix(1, "little", counts_itself=True), b"\4abc", b"abc"),
    ],
)
@pytest.mark.parametrize("cut", [None, 1, 2])
async def test_a_response_ends_where_the_author_says(
    serve: Serve, bench: Bench, end: Any, came: bytes, body: bytes, cut: int | None
) -> None:
    pieces = [came] if cut is None else [came[:cut], 0.02, came[cut:]]
    server = await serve(says(*[piece for piece in pieces if piece], 1.0))
    got = await bench.ask(tcp.client(server.address).request("?\n", end), value=2)
    assert (got.body, got.bytes_received) == (body, len(came))


async def test_a_response_may_be_all_until_the_connection_ends(serve: Serve, bench: Bench) -> None:
    server = await serve(says(b"abc\n", 0.02, b"def"))
    request, minion = tcp.client(server.address).request("?\n", tcp.end_of_stream()), bench.minion()
    for _ in range(2):
        assert (await bench.ask(request, minion)).body == b"abc\ndef"
    assert (server.connections, bench.books) == (2, (2, 2, 0))


async def test_an_empty_stream_is_a_response_as_well(serve: Serve, bench: Bench) -> None:
    server = await serve(says())
    assert (await bench.ask(tcp.client(server.address).request("?\n", tcp.end_of_stream()))).body == b""


async def test_a_service_that_speaks_first_is_heard_with_an_empty_payload(serve: Serve, bench: Bench) -> None:
    async def greet(reader: Any, writer: Any) -> None:
        writer.write(b"220 welcome\n")
        await echo(reader, writer)

    server = await serve(greet)
    client, minion = tcp.client(server.address), bench.minion()
    assert (await bench.ask(client.request(b""), minion)).text == "220 welcome"
    assert (await bench.ask(client.request("hello\n"), minion)).text == "hello"
    assert (server.connections, bench.books) == (1, (2, 2, 0))


async def test_the_daytime_of_a_service_that_leaves_at_once_is_heard(serve: Serve, bench: Bench) -> None:
    async def tell(reader: Any, writer: Any) -> None:
        writer.write(b"12:00\r\n")

    server = await serve(tell)
    got = await bench.ask(tcp.client(server.address).request(b"", tcp.end_of_stream()))
    assert got.body == b"12:00\r\n"


async def test_nothing_is_read_when_the_author_expects_nothing(serve: Serve, bench: Bench) -> None:
    received = bytearray()

    async def listen(reader: Any, writer: Any) -> None:
        while data := await reader.read(65_536):
            received.extend(data)

    server = await serve(listen)
    request, minion = tcp.client(server.address).request(b"tick", tcp.nothing()), bench.minion()
    for _ in range(3):
        got = await bench.ask(request, minion)
        assert (got.body, got.bytes_sent, got.bytes_received) == (b"", 4, 0)
    minion.close()
    await until(lambda: received == b"tick" * 3 and server.open_connections == 0)
    assert (server.connections, bench.books) == (1, (3, 3, 0))


async def test_a_large_request_without_response_is_over_once_the_system_took_it(
    serve: Serve, bench: Bench
) -> None:
    size = 20_000_000
    received, may_read = 0, asyncio.Event()

    async def listen(reader: Any, writer: Any) -> None:
        nonlocal received
        await may_read.wait()
        while data := await reader.read(1 << 20):
            received += len(data)

    server = await serve(listen)
    minion = bench.minion()
    line = await bench.start(tcp.client(server.address).request(b"x" * size, tcp.nothing()), minion)
    await asyncio.sleep(0.05)
    assert not line.future.done()
    may_read.set()
    await line.future
    minion.close()
    await until(lambda: received == size)


async def test_a_large_echo_comes_back_whole(serve: Serve, bench: Bench) -> None:
    server = await serve(echo_everything)
    payload = bytes(range(256)) * 8000
    got = await bench.ask(tcp.client(server.address).request(payload, tcp.exactly(len(payload))))
    assert got.body == payload


async def test_a_response_above_the_limit_is_refused_once_it_is_known(serve: Serve, bench: Bench) -> None:
    server = await serve(answers(b"\0\0\x10\0abc"))
    client = tcp.client(server.address, max_response="1KiB", timeout="5s")
    failure = await bench.fails(client.request("?\n", tcp.length_prefix(4)))
    assert (failure.kind, "exceeds the 1024 bytes of max_response" in str(failure)) == ("too-large", True)
    endless = await serve(answers(b"x" * 2000))
    request = tcp.client(endless.address, max_response=1024).request("?\n")
    assert (await bench.fails(request)).kind == "too-large"
    assert bench.books == (2, 0, 2)
    await until(lambda: server.open_connections == endless.open_connections == 0)


async def test_a_length_that_cannot_be_is_a_violation(serve: Serve, bench: Bench) -> None:
    server = await serve(answers(b"\0\1abc"))
    request = tcp.client(server.address).request("?\n", tcp.length_prefix(2, counts_itself=True))
    failure = await bench.fails(request)
    assert (failure.kind, bench.books) == ("protocol", (1, 0, 1))


# Doubt: a connection that may carry what belongs to another request is closed.


async def test_bytes_behind_a_response_never_meet_the_next_request(serve: Serve, bench: Bench) -> None:
    server = await serve(answers(b"one\nmore\n", b"two\n"))
    client, minion = tcp.client(server.address), bench.minion()
    request = client.request("?\n")
    assert (await bench.ask(request, minion)).text == "one"
    assert (await bench.ask(request, minion)).text == "one"
    assert (server.connections, bench.books) == (2, (2, 2, 0))
    assert bench.meters_of(request).counters == {"unread-bytes": 10}


async def test_bytes_that_come_between_two_requests_never_meet_the_second(serve: Serve, bench: Bench) -> None:
    server = await serve(says(b"one\n", 0.02, b"late\n", 5.0))
    client, minion = tcp.client(server.address), bench.minion()
    await bench.step(client.request("?\n"), "talk")
    request = client.request("?\n")
    await bench.step(request, "connect")
    again = tcp.reuse("connect", "?\n")
    assert (await bench.ask(request, minion)).text == "one"
    await until(lambda: server.open_connections == 1 and bench.meters_of(request).counters != {})
    failure = await bench.fails(again, minion)
    assert failure.kind == "not-connected"
    assert "sent 5 bytes that no request had asked for" in str(failure)
    assert (await bench.ask(request, minion)).text == "one"
    assert server.connections == 2


async def test_silence_ends_with_the_timeout_and_the_connection(serve: Serve, bench: Bench) -> None:
    server = await serve(says(b"part", 0.3))
    client, minion = tcp.client(server.address, timeout="50ms"), bench.minion()
    failure = await bench.fails(client.request("?\n"), minion)
    assert failure.kind == "timeout"
    assert str(failure) == f"no line from {server.address} within 0.05 s; 4 bytes came"
    assert bench.books == (1, 0, 1)
    own = client.request("?\n", timeout="20ms")
    assert "within 0.02 s" in str(await bench.fails(own, minion))
    assert bench.meters_of(own).failures == {"timeout": 1}
    await until(lambda: server.open_connections == 0)
    assert server.connections == 2


async def test_a_deadline_met_is_no_deadline_for_the_next_request(serve: Serve, bench: Bench) -> None:
    server = await serve(echo)
    request, minion = tcp.client(server.address, timeout="60ms").request("a\n"), bench.minion()
    for _ in range(8):
        await bench.ask(request, minion)
        await asyncio.sleep(0.02)
    assert (server.connections, bench.books) == (1, (8, 8, 0))


async def test_a_cancelled_request_takes_its_connection_along(serve: Serve, bench: Bench) -> None:
    server = await serve(silent)
    request, minion = tcp.client(server.address).request("?\n"), bench.minion()
    line = await bench.start(request, minion)
    await until(lambda: bench.books == (1, 0, 0))
    line.pending.cancel()
    assert bench.books == (1, 0, 1)
    assert bench.meters_of(request).failures == {"cancelled": 1}
    await until(lambda: server.open_connections == 0 and server.connections == 1)
    assert not line.future.done()


async def test_a_request_cancelled_while_it_connects_leaves_nothing(bench: Bench) -> None:
    with deaf_port() as port:
        request, minion = tcp.client(f"127.0.0.1:{port}").request("?\n"), bench.minion()
        line = await bench.start(request, minion)
        await asyncio.sleep(0.01)
        line.pending.cancel()
        await asyncio.sleep(0.01)
        assert (bench.books, line.future.done()) == ((0, 0, 0), False)
        await bench.start(request, minion)  # is not busy
        await asyncio.sleep(0)


async def test_a_service_that_leaves_in_the_middle_is_a_failure(serve: Serve, bench: Bench) -> None:
    server = await serve(says(b"par"))
    failure = await bench.fails(tcp.client(server.address).request("?\n"))
    assert failure.kind == "closed"
    assert (
        str(failure) == f"{server.address}: the service closed the connection in the middle of the response"
    )
    silent_one = await serve(says())
    failure = await bench.fails(tcp.client(silent_one.address).request("?\n"))
    assert str(failure).endswith("closed the connection before the response")


async def test_a_reset_is_told_from_a_farewell(serve: Serve, bench: Bench) -> None:
    async def slam(reader: Any, writer: Any) -> None:
        import socket
        import struct

        await reader.readuntil(b"\n")
        raw = writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()

    server = await serve(slam)
    assert (await bench.fails(tcp.client(server.address).request("?\n"))).kind == "reset"
    assert bench.books == (1, 0, 1)


async def test_a_service_may_close_between_requests(serve: Serve, bench: Bench) -> None:
    server = await serve(says(b"one\n"))
    request, minion = tcp.client(server.address).request("?\n"), bench.minion()
    for _ in range(2):
        assert (await bench.ask(request, minion)).text == "one"
        await asyncio.sleep(0.02)
    assert (server.connections, bench.books) == (2, (2, 2, 0))


async def test_concurrent_branches_do_not_talk_into_each_other(serve: Serve, bench: Bench) -> None:
    server = await serve(silent)
    request, minion = tcp.client(server.address).request("?\n"), bench.minion()
    await bench.start(request, minion)
    assert (await bench.fails(request, minion)).kind == "busy"  # while it connects
    await until(lambda: bench.books == (1, 0, 0))
    failure = await bench.fails(request, minion)
    assert (failure.kind, "client of its own" in str(failure)) == ("busy", True)
    assert bench.books == (1, 0, 0)


# Reuse and close.


async def test_a_connection_is_reused_by_the_name_of_the_step_that_opened_it(
    serve: Serve, bench: Bench
) -> None:
    server = await serve(echo)
    connect = tcp.client(server.address).request("hello\n")
    await bench.step(connect, "connect")
    ping = tcp.reuse("connect", lambda value: value + "\n")
    await bench.step(ping, "ping")
    again = tcp.reuse("ping", "again\n", tcp.exactly(6))
    minion = bench.minion()
    await bench.ask(connect, minion)
    assert (await bench.ask(ping, minion, "x")).text == "x"
    assert (await bench.ask(again, minion)).body == b"again\n"
    assert (server.connections, bench.books) == (1, (3, 3, 0))


async def test_reuse_never_connects(serve: Serve, bench: Bench) -> None:
    server = await serve(echo)
    client = tcp.client(server.address)
    connect, ping = client.request("hello\n"), tcp.reuse("connect", "ping\n")
    minion = bench.minion()
    failure = await bench.fails(ping, minion)  # no step of that name was opened
    assert failure.kind == "not-connected"
    assert "the step 'connect' opened no connection for this minion" in str(failure)
    await bench.step(connect, "connect")
    assert (await bench.fails(ping, minion)).kind == "not-connected"
    await bench.ask(connect, minion)
    await bench.ask(ping, minion)
    assert await close(bench, tcp.close("connect"), minion, "kept") == "kept"
    failure = await bench.fails(ping, minion)
    assert re.search(
        "the connection of the step 'connect' is closed: the step 'step-3' closed the connection",
        str(failure),
    )
    assert (server.connections, bench.books) == (1, (2, 2, 0))


async def test_a_step_that_reuses_itself_in_a_circle_finds_nothing(bench: Bench) -> None:
    one, other = tcp.reuse("b", "x\n"), tcp.reuse("a", "x\n")
    await bench.step(one, "a")
    await bench.step(other, "b")
    assert (await bench.fails(one)).kind == "not-connected"


async def test_reuse_says_why_the_connection_could_not_be_opened(bench: Bench) -> None:
    connect = tcp.client(f"127.0.0.1:{closed_port()}").request("hello\n")
    await bench.step(connect, "connect")
    minion = bench.minion()
    await bench.fails(connect, minion)
    assert "refuses connections" in str(await bench.fails(tcp.reuse("connect", "ping\n"), minion))


async def test_closing_is_in_order_and_twice_is_once(serve: Serve, bench: Bench) -> None:
    server = await serve(echo)
    client, minion = tcp.client(server.address), bench.minion()
    assert await close(bench, client.close(), minion, 1) == 1
    await bench.ask(client.request("hello\n"), minion)
    for value in (2, 3):
        assert await close(bench, client.close(), minion, value) == value
    await until(lambda: server.open_connections == 0)
    assert server.farewells == 1
    await bench.ask(client.request("hello\n"), minion)
    assert server.connections == 2


async def test_closing_under_a_request_fails_it(serve: Serve, bench: Bench) -> None:
    server = await serve(silent)
    client, minion = tcp.client(server.address), bench.minion()
    line = await bench.start(client.request("?\n"), minion)
    await until(lambda: bench.books == (1, 0, 0))
    await close(bench, client.close(), minion)
    assert line.future.exception().kind == "closed"
    assert bench.books == (1, 0, 1)


async def test_closing_by_a_name_that_no_step_has_is_a_failure(bench: Bench) -> None:
    with pytest.raises(Exception, match="there is no step 'connect' that opens a connection"):
        await close(bench, tcp.close("connect"), bench.minion())


async def test_a_client_made_anew_in_a_journey_is_the_same_client(serve: Serve, bench: Bench) -> None:
    server = await serve(echo)
    minion = bench.minion()
    for _ in range(3):
        await bench.ask(tcp.client(server.address).request("hello\n"), minion)
    assert server.connections == 1
    left = tcp.client(server.address)
    right = tcp.client(server.address)
    assert left != right


# Connecting.


@pytest.mark.parametrize("name", ["nowhere.invalid:7000"])
async def test_a_name_without_address_is_its_own_class(bench: Bench, name: str) -> None:
    assert (await bench.fails(tcp.client(name).request("?\n"))).kind == "dns"
    assert bench.books == (0, 0, 0)


async def test_a_refusal_is_told_and_nothing_was_sent(bench: Bench) -> None:
    request, port = tcp.client("127.0.0.1", port=closed_port()).request("?\n"), 0
    failure = await bench.fails(request)
    assert failure.kind == "connect-refused"
    assert re.search(r"127.0.0.1:\d+ refuses connections", str(failure)), port
    assert bench.books == (0, 0, 0)
    assert bench.meters_of(request).failures == {"connect-refused": 1}


async def test_who_does_not_answer_is_given_up(bench: Bench) -> None:
    with deaf_port() as port:
        request = tcp.client(f"127.0.0.1:{port}", connect_timeout="50ms").request("?\n")
        failure = await bench.fails(request)
    assert (failure.kind, bench.books) == ("connect-timeout", (0, 0, 0))


async def test_nothing_is_sent_once_the_lease_has_expired(serve: Serve, bench: Bench) -> None:
    server = await serve(echo)
    request, minion = tcp.client(server.address).request("?\n"), bench.minion()
    bench.ledger.lease[0] = 0.0
    assert (await bench.fails(request, minion)).kind == "fenced"  # connected, and silent
    assert (await bench.fails(request, minion)).kind == "fenced"
    assert (server.connections, bench.books) == (1, (0, 0, 0))


async def test_an_exception_of_the_author_is_the_steps_and_touches_no_connection(
    serve: Serve, bench: Bench
) -> None:
    server = await serve(echo)
    client = tcp.client(server.address)
    with pytest.raises(KeyError):
        await bench.ask(client.request(lambda value: value["line"]), value={})
    with pytest.raises(TypeError, match="bytes or text, not 3"):
        await bench.ask(client.request(lambda value: 3))  # type: ignore[arg-type,return-value]
    with pytest.raises(ValueError, match="at least 1 byte"):
        await bench.ask(client.request("?\n", tcp.exactly(lambda value: 0)))
    with pytest.raises(ValueError, match="nothing to do"):
        await bench.ask(client.request(lambda value: b"", tcp.nothing()))
    assert (server.connections, bench.books) == (0, (0, 0, 0))


async def test_a_target_that_cannot_be_reached_is_named_with_its_place_in_the_file(bench: Bench) -> None:
    address = f"127.0.0.1:{closed_port()}"
    step = await bench.step(tcp.client(address).request("?\n"))
    with pytest.raises(ServiceUnavailable) as caught:
        await step.reach()
    assert re.search(rf"test_step\.py:\d+: tcp\.client\('{address}'\) cannot be reached: ", str(caught.value))
    assert "start the service, or correct the client's address" in str(caught.value)


async def test_a_target_is_looked_at_once_and_nothing_is_asked_of_it(serve: Serve, bench: Bench) -> None:
    server = await serve(echo)
    client = tcp.client(server.address)
    for request in (client.request("a\n"), client.request("b\n")):
        step = await bench.step(request)
        await step.reach()
        assert step.connections(100) == {("127.0.0.1", server.port): 100}
    await until(lambda: server.connections == 1 and server.open_connections == 0)
    assert bench.books == (0, 0, 0)


async def test_small_writes_may_wait_when_the_author_wants_it(serve: Serve, bench: Bench) -> None:
    import socket

    server = await serve(echo)
    for no_delay in (True, False):
        client, minion = tcp.client(server.address, no_delay=no_delay), bench.minion()
        await bench.ask(client.request("?\n"), minion)
        [seat] = minion.resources.values()
        raw = seat.connection.transport.get_extra_info("socket")
        assert bool(raw.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)) is no_delay


# TLS.


async def test_tls_is_spoken_verified_and_ended_with_a_farewell(
    serve: Serve, bench: Bench, certificates: Certificates
) -> None:
    server = await serve(echo, tls=certificates.server_context())
    client = tcp.client(server.address, tls=True, verify=certificates.ca)
    request, minion = client.request("hello\n"), bench.minion()
    for _ in range(3):
        assert (await bench.ask(request, minion)).text == "hello"
    meters = bench.meters_of(request)
    assert (meters.phases["tls"].count, meters.phases["connect"].count) == (1, 1)
    assert (meters.bytes_sent, meters.bytes_received) == (18, 18)  # above TLS
    await (await bench.step(request)).reach()
    await close(bench, client.close(), minion)
    await until(lambda: server.open_connections == 0)
    assert server.farewells == 2


async def test_what_was_sent_over_tls_arrives_though_the_minion_ends_at_once(
    serve: Serve, bench: Bench, certificates: Certificates
) -> None:
    received = bytearray()

    async def listen(reader: Any, writer: Any) -> None:
        while data := await reader.read(65_536):
            received.extend(data)

    server = await serve(listen, tls=certificates.server_context())
    client = tcp.client(server.address, tls=True, verify=certificates.ca)
    minion = bench.minion()
    await bench.ask(client.request(b"x" * 300_000, tcp.nothing()), minion)
    minion.close()
    await bench.aclose()
    await until(lambda: len(received) == 300_000)


@pytest.mark.parametrize("end", ["stream", "line"])
async def test_the_end_of_a_stream_over_tls(
    serve: Serve, bench: Bench, certificates: Certificates, end: str
) -> None:
    server = await serve(says(b"all"), tls=certificates.server_context())
    client = tcp.client(server.address, tls=True, verify=certificates.ca)
    if end == "stream":
        assert (await bench.ask(client.request("?\n", tcp.end_of_stream()))).body == b"all"
    else:
        assert (await bench.fails(client.request("?\n"))).kind == "closed"


async def test_a_certificate_that_is_not_accepted_says_what_to_do(
    serve: Serve, bench: Bench, certificates: Certificates
) -> None:
    server = await serve(echo, tls=certificates.server_context())
    unknown = tcp.client(server.address, tls=True).request("?\n")
    failure = await bench.fails(unknown)
    assert (failure.kind, "give tcp.client(verify=…) the CA" in str(failure)) == ("tls", True)
    with pytest.raises(ServiceUnavailable, match="verify"):
        await (await bench.step(unknown)).reach()
    other = tcp.client(server.address, tls=True, verify=certificates.ca, server_name="bank.example")
    assert "tcp.client(server_name=…)" in str(await bench.fails(other.request("?\n")))
    for options in ({"verify": False}, {"verify": certificates.ca, "server_name": "shop.example"}):
        client = tcp.client(server.address, tls=True, **options)  # type: ignore[arg-type]
        assert (await bench.ask(client.request("ok\n"))).text == "ok"


async def test_a_client_certificate_is_shown(serve: Serve, bench: Bench, certificates: Certificates) -> None:
    server = await serve(echo, tls=certificates.server_context(wants_client=True))
    mine = (certificates.client, certificates.client_key)
    known = tcp.client(server.address, tls=True, verify=certificates.ca, cert=mine)
    assert (await bench.ask(known.request("ok\n"))).text == "ok"
    stranger = tcp.client(server.address, tls=True, verify=certificates.ca)
    assert (await bench.fails(stranger.request("ok\n"))).kind in ("tls", "reset", "closed")


async def test_a_plain_service_is_no_tls(serve: Serve, bench: Bench, certificates: Certificates) -> None:
    async def babble(reader: Any, writer: Any) -> None:
        writer.write(b"220 this is plain text\r\n")
        await reader.read()

    server = await serve(babble)
    failure = await bench.fails(tcp.client(server.address, tls=True, verify=certificates.ca).request("?\n"))
    assert (failure.kind, "leave tls=True out" in str(failure)) == ("tls", True)


async def test_files_that_are_no_certificates_are_named_with_their_place(bench: Bench, tmp_path: Any) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing")
    for options in ({"verify": empty}, {"cert": empty}):
        request = tcp.client("127.0.0.1:1", tls=True, **options).request("?\n")
        with pytest.raises(ConfigurationError, match=r"test_step\.py:\d+: tcp\.client .*empty\.pem"):
            await bench.step(request)
        del bench.steps[request]
