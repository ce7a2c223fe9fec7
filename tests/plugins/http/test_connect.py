from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from qalipsis.engine.dialing import Address, Resolver, connect_any
from qalipsis.engine.step import StepError
from qalipsis.errors import ConfigurationError
from qalipsis.plugins import http
from qalipsis.plugins.http.connect import tls_context
from qalipsis.testing.virtual_clock import VirtualClock

from .bench import Bench, until
from .certificates import Certificates
from .servers import Peer, answers, response

Serve = Any
HELLO = response(b"hello")


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def deaf_port() -> Iterator[int]:
    """A port that takes no more connections and does not refuse them either."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
            fillers.append(filler)
        yield listener.getsockname()[1]
        for filler in fillers:
            filler.close()


def here(port: int) -> Address:
    return Address(socket.AF_INET, ("127.0.0.1", port))


async def test_an_address_is_asked_for_once_until_it_expires() -> None:
    clock = VirtualClock()
    resolver = Resolver(clock.now, {}, ttl=60.0)
    first, meanwhile = await asyncio.gather(resolver.find("localhost", 80), resolver.find("localhost", 80))
    assert meanwhile is first
    clock.advance(59.0)
    assert await resolver.find("localhost", 80) is first
    clock.advance(2.0)
    assert await resolver.find("localhost", 80) is not first


async def test_who_gives_up_on_an_address_leaves_it_to_the_others() -> None:
    resolver = Resolver(VirtualClock().now, {}, ttl=60.0)
    impatient = asyncio.ensure_future(resolver.find("localhost", 80))
    patient = asyncio.ensure_future(resolver.find("localhost", 80))
    await asyncio.sleep(0)
    impatient.cancel()
    assert await patient
    await resolver.aclose()


async def test_a_name_that_does_not_exist_is_a_dns_failure() -> None:
    resolver = Resolver(VirtualClock().now, {}, ttl=60.0)
    with pytest.raises(StepError, match=r"nowhere\.invalid") as caught:
        await resolver.find("nowhere.invalid", 80)
    assert caught.value.kind == "dns"


async def test_a_static_host_needs_no_dns(serve: Serve, bench: Bench) -> None:
    server = await serve(answers(HELLO))
    client = http.client(f"http://shop.invalid:{server.port}", hosts={"shop.invalid": "127.0.0.1"})
    assert (await bench.ask(client.get("/"))).text == "hello"
    assert f"Host: shop.invalid:{server.port}\r\n".encode() in server.requests[0]


async def test_ipv6_is_spoken(serve: Serve, bench: Bench) -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    try:
        server = await serve(answers(HELLO), host="::1")
    except OSError:
        pytest.skip("no IPv6 here")
    page = http.client(f"http://[::1]:{server.port}").get("/")
    assert (await bench.ask(page)).text == "hello"
    assert f"Host: [::1]:{server.port}".encode() in server.requests[0]


async def test_the_next_address_is_tried_when_one_refuses(serve: Serve) -> None:
    server = await serve(answers(HELLO))
    refusing = Address(socket.AF_INET6, ("::1", closed_port(), 0, 0))
    sock = await connect_any([refusing, here(closed_port()), here(server.port)], 5.0, "shop")
    assert sock.getpeername()[1] == server.port
    sock.close()


async def test_the_next_address_is_tried_when_one_is_silent(serve: Serve) -> None:
    server = await serve(answers(HELLO))
    with deaf_port() as port:
        sock = await connect_any([here(port), here(server.port)], 0.2, "shop")
    assert sock.getpeername()[1] == server.port
    sock.close()


async def test_a_port_nobody_listens_on_is_a_refused_connection(bench: Bench) -> None:
    port = closed_port()
    page = http.client(f"http://127.0.0.1:{port}").get("/")
    failure = await bench.fails(page)
    assert (failure.kind, f"127.0.0.1:{port}" in str(failure)) == ("connect-refused", True)
    assert bench.books == (0, 0, 0)  # nothing was handed to a socket
    assert bench.meters_of(page).failures == {"connect-refused": 1}


async def test_a_silent_host_is_given_up_after_the_connect_timeout(bench: Bench) -> None:
    with deaf_port() as port:
        page = http.client(f"http://127.0.0.1:{port}", connect_timeout="50ms").get("/")
        began = bench.clock.now()
        assert (await bench.fails(page)).kind == "connect-timeout"
    assert bench.clock.now() - began < 1.0


async def test_the_total_timeout_covers_connecting(bench: Bench) -> None:
    with deaf_port() as port:
        page = http.client(f"http://127.0.0.1:{port}", timeout="50ms").get("/")
        assert (await bench.fails(page)).kind == "timeout"


async def test_giving_up_while_connecting_leaves_nothing_behind(bench: Bench) -> None:
    with deaf_port() as port:
        page = http.client(f"http://127.0.0.1:{port}").get("/")
        line = await bench.start(page)
        await asyncio.sleep(0.01)
        line.pending.cancel()
        await asyncio.sleep(0.01)
        assert not line.future.done()
    assert bench.books == (0, 0, 0)
    assert bench.meters_of(page).failures == {}


async def test_descriptors_that_run_out_are_not_blamed_on_the_target(bench: Bench) -> None:
    import resource

    page = http.client(f"http://127.0.0.1:{closed_port()}").get("/")
    await bench.step(page)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        failure = await bench.fails(page)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert (failure.kind, "ulimit" in str(failure)) == ("connect-failed", True)


def shop(port: int, **options: Any) -> http.HttpClient:
    return http.client(f"https://shop.example:{port}", hosts={"shop.example": "127.0.0.1"}, **options)


async def test_a_certificate_is_verified_against_the_authority_given(
    serve: Serve, bench: Bench, certificates: Certificates
) -> None:
    server = await serve(answers(HELLO), tls=certificates.server_context())
    page, minion = shop(server.port, verify=certificates.ca).get("/"), bench.minion()
    first, second = await bench.ask(page, minion), await bench.ask(page, minion)
    assert (first.text, second.text, server.connections) == ("hello", "hello", 1)
    assert first.timings.tls > 0.0 == second.timings.tls
    assert bench.meters_of(page).phases["tls"].count == 1


async def test_a_certificate_of_an_unknown_authority_is_refused_by_default(
    serve: Serve, bench: Bench, certificates: Certificates
) -> None:
    server = await serve(answers(HELLO), tls=certificates.server_context())
    page = shop(server.port).get("/")
    failure = await bench.fails(page)
    assert (failure.kind, "verify" in str(failure)) == ("tls", True)
    assert server.requests == []
    assert bench.meters_of(page).failures == {"tls": 1}


async def test_a_certificate_for_another_name_is_refused(
    serve: Serve, bench: Bench, certificates: Certificates
) -> None:
    server = await serve(answers(HELLO), tls=certificates.server_context())
    page = http.client(f"https://localhost:{server.port}", verify=certificates.ca).get("/")
    failure = await bench.fails(page)
    assert (failure.kind, "a name of the certificate" in str(failure)) == ("tls", True)


async def test_verification_can_be_switched_off(
    serve: Serve, bench: Bench, certificates: Certificates
) -> None:
    server = await serve(answers(HELLO), tls=certificates.server_context())
    assert (await bench.ask(shop(server.port, verify=False).get("/"))).text == "hello"


async def test_the_server_hears_the_name_it_is_asked_for(
    serve: Serve, bench: Bench, certificates: Certificates
) -> None:
    names: list[str | None] = []
    context = certificates.server_context()
    context.sni_callback = lambda connection, name, context: names.append(name)
    server = await serve(answers(HELLO), tls=context)
    await bench.ask(shop(server.port, verify=certificates.ca).get("/"))
    assert names == ["shop.example"]


async def test_a_client_shows_its_certificate(serve: Serve, bench: Bench, certificates: Certificates) -> None:
    subjects: list[Any] = []

    async def handler(peer: Peer) -> None:
        await peer.request()
        subjects.append(peer.writer.get_extra_info("peercert")["subject"])
        await peer.say(HELLO)

    server = await serve(handler, tls=certificates.server_context(wants_client=True))
    cert = (certificates.client, certificates.client_key)
    assert (await bench.ask(shop(server.port, verify=certificates.ca, cert=cert).get("/"))).text == "hello"
    assert subjects == [((("commonName", "a client"),),)]
    assert (await bench.fails(shop(server.port, verify=certificates.ca).get("/"))).kind in ("tls", "reset")


async def test_a_server_that_speaks_no_tls_is_a_tls_failure(serve: Serve, bench: Bench) -> None:
    async def handler(peer: Peer) -> None:
        await peer.reader.read(10)
        await peer.say(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    server = await serve(handler)
    failure = await bench.fails(shop(server.port, verify=False).get("/"))
    assert (failure.kind, "write http://" in str(failure)) == ("tls", True)


async def test_a_handshake_that_hangs_is_given_up(serve: Serve, bench: Bench) -> None:
    async def handler(peer: Peer) -> None:
        await peer.closed()

    server = await serve(handler)
    page = shop(server.port, verify=False, connect_timeout="60ms").get("/")
    failure = await bench.fails(page)
    assert (failure.kind, "tls" in str(failure)) == ("connect-timeout", True)
    await until(lambda: server.open_connections == 0)


def test_a_file_without_certificates_is_named(tmp_path: Any) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing")
    with pytest.raises(ConfigurationError, match=r"empty\.pem"):
        tls_context(http.client("https://a.example", verify=empty).settings())
    with pytest.raises(ConfigurationError, match=r"empty\.pem"):
        tls_context(http.client("https://a.example", cert=empty).settings())


def test_a_folder_of_authorities_is_taken(tmp_path: Any) -> None:
    context = tls_context(http.client("https://a.example", verify=tmp_path).settings())
    assert context.verify_mode is ssl.CERT_REQUIRED
