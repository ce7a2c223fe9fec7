from __future__ import annotations

import asyncio
import gzip
import re
import zlib
from typing import Any

import pytest

from benchmarks.nginx import NginxMissing, find_nginx, run_nginx
from qalipsis import registry
from qalipsis.errors import ConfigurationError, ServiceUnavailable
from qalipsis.plugins import http
from qalipsis.plugins.http.step import open_step

from .bench import Bench, until
from .certificates import Certificates
from .servers import Handler, Peer, answers, response
from .test_connect import closed_port

Serve = Any


def routes(pages: dict[str, bytes]) -> Handler:
    async def handler(peer: Peer) -> None:
        while True:
            path = (await peer.request()).split(b" ")[1].decode()
            await peer.say(pages[path])

    return handler


def moved(location: str, status: str = "302 Found", body: bytes = b"look there") -> bytes:
    return response(body, status=status, location=location)


def test_the_kind_of_step_is_registered() -> None:
    assert registry.load(registry.STEPS, "http.request") is open_step


async def test_a_redirect_is_followed_on_the_same_connection(serve: Serve, bench: Bench) -> None:
    pages = {"/old": moved("/middle"), "/middle": moved("new"), "/new": response(b"here")}
    server = await serve(routes(pages))
    page, minion = http.client(server.url).get("/old"), bench.minion()
    for _ in range(2):
        got = await bench.ask(page, minion)
        assert (got.text, got.url) == ("here", f"{server.url}/new")
    assert server.connections == 1
    assert bench.books == (6, 6, 0)  # every hop is a request
    meters = bench.meters_of(page)
    assert meters.statuses == {302: 4, 200: 2}
    assert meters.from_due.count == 2
    assert meters.bytes_received == 2 * sum(map(len, pages.values()))
    assert meters.bytes_sent == sum(map(len, server.requests))


async def test_a_redirected_request_lasts_from_its_first_message_to_its_last_response(
    serve: Serve, bench: Bench
) -> None:
    async def handler(peer: Peer) -> None:
        await peer.request()
        await asyncio.sleep(0.05)
        await peer.say(moved("/new"))
        await peer.request()
        await peer.say(response(b"here"))

    server = await serve(handler)
    got = await bench.ask(http.client(server.url).get("/old"))
    assert got.done - got.sent > 0.04
    assert got.timings.send < 0.04 < got.timings.wait


async def test_a_redirect_to_another_host_takes_another_connection(serve: Serve, bench: Bench) -> None:
    bank = await serve(answers(response(b"bank")))
    shop = await serve(answers(moved(f"{bank.url}/pay")))
    page = http.client(shop.url, auth=http.basic("u", "p")).get("/")
    minion = bench.minion()
    for _ in range(2):
        assert (await bench.ask(page, minion)).url == f"{bank.url}/pay"
    assert (shop.connections, bank.connections) == (1, 1)
    assert b"Authorization" in shop.requests[0]
    assert b"Authorization" not in bank.requests[0]


async def test_a_redirect_may_end_the_connection(serve: Serve, bench: Bench) -> None:
    async def handler(peer: Peer) -> None:
        path = (await peer.request()).split(b" ")[1]
        await peer.say(
            response(b"here")
            if path == b"/new"
            else response(status="302 Found", location="/new", connection="close")
        )

    server = await serve(handler)
    assert (await bench.ask(http.client(server.url).get("/old"))).text == "here"
    assert server.connections == 2


async def test_a_form_that_is_redirected_becomes_a_get_and_a_307_stays_what_it_is(
    serve: Serve, bench: Bench
) -> None:
    pages = {"/a": moved("/c", "303 See Other"), "/b": moved("/c", "307 Temporary Redirect")}
    server = await serve(routes({**pages, "/c": response(b"done")}))
    client = http.client(server.url)
    for path in ("/a", "/b"):
        assert (await bench.ask(client.post(path, body=b"x=1"))).text == "done"
    assert server.requests[1].startswith(b"GET /c ")
    assert server.requests[3].startswith(b"POST /c ")
    assert server.requests[3].endswith(b"x=1")


async def test_a_redirect_is_shown_when_it_is_not_to_be_followed(serve: Serve, bench: Bench) -> None:
    server = await serve(answers(moved("/new")))
    got = await bench.ask(http.client(server.url, follow_redirects=False).get("/old"))
    assert (got.status, got.headers["location"], got.text) == (302, "/new", "look there")


async def test_a_redirect_without_location_is_the_response(serve: Serve, bench: Bench) -> None:
    server = await serve(answers(response(b"hm", status="302 Found")))
    page, minion = http.client(server.url).get("/old"), bench.minion()
    for _ in range(2):
        assert (await bench.ask(page, minion)).status == 302


async def test_a_circle_of_redirects_ends_as_a_failure(serve: Serve, bench: Bench) -> None:
    server = await serve(answers(moved("/again")))
    page, minion = http.client(server.url, max_redirects=3).get("/"), bench.minion()
    failure = await bench.fails(page, minion)
    assert (failure.kind, "3 redirects" in str(failure)) == ("redirects", True)
    assert bench.books == (4, 4, 0)
    assert (await bench.fails(page, minion)).kind == "redirects"
    assert server.connections == 1


async def test_a_redirect_that_leads_nowhere_is_a_failure(serve: Serve, bench: Bench) -> None:
    server = await serve(answers(moved("ftp://example.invalid/")))
    assert (await bench.fails(http.client(server.url).get("/"))).kind == "redirects"
    refused = await serve(answers(moved(f"http://127.0.0.1:{closed_port()}/")))
    assert (await bench.fails(http.client(refused.url).get("/"))).kind == "connect-refused"


async def test_giving_up_between_two_hops_leaves_the_books_closed(serve: Serve, bench: Bench) -> None:
    async def silent(peer: Peer) -> None:
        await peer.request()
        await peer.closed()

    slow = await serve(silent)
    server = await serve(answers(moved(f"{slow.url}/")))
    line = await bench.start(http.client(server.url).get("/"))
    await until(lambda: len(slow.requests) == 1)
    line.pending.cancel()
    await until(lambda: slow.open_connections == 0)
    assert bench.books == (2, 1, 1)


async def test_the_timeout_covers_all_hops(serve: Serve, bench: Bench) -> None:
    async def handler(peer: Peer) -> None:
        while True:
            await peer.request()
            await asyncio.sleep(0.02)
            await peer.say(moved("/again"))

    server = await serve(handler)
    page = http.client(server.url, timeout="70ms", max_redirects=1000).get("/")
    assert (await bench.fails(page)).kind == "timeout"


async def test_each_minion_keeps_its_own_cookies(serve: Serve, bench: Bench) -> None:
    pages = {"/login": response(b"", set_cookie="session=1; Path=/"), "/": response(b"home")}
    server = await serve(routes(pages))
    client, ada, bob = http.client(server.url), bench.minion(), bench.minion()
    await bench.ask(client.get("/login"), ada)
    for minion in (ada, bob, ada):
        await bench.ask(client.get("/"), minion)
    sent = [b"\r\nCookie: session=1\r\n" in request for request in server.requests]
    assert sent == [False, True, False, True]
    assert server.connections == 2


async def test_a_cookie_set_by_a_redirect_is_sent_to_where_it_leads(serve: Serve, bench: Bench) -> None:
    login = response(b"", status="303 See Other", location="/", set_cookie="session=1")
    server = await serve(routes({"/login": login, "/": response(b"home")}))
    await bench.ask(http.client(server.url).post("/login", form={"user": "ada"}))
    assert b"\r\nCookie: session=1\r\n" in server.requests[1]


async def test_cookies_outlive_a_connection(serve: Serve, bench: Bench) -> None:
    server = await serve(answers(response(b"", set_cookie="a=b", connection="close")))
    client, minion = http.client(server.url, connections="on-demand"), bench.minion()
    for _ in range(2):
        await bench.ask(client.get("/"), minion)
    assert b"\r\nCookie: a=b\r\n" in server.requests[1]


async def test_a_compressed_body_is_read_as_what_it_was(serve: Serve, bench: Bench) -> None:
    packed = gzip.compress(b"hello" * 100)
    server = await serve(answers(response(packed, content_encoding="gzip")))
    page, minion = http.client(server.url).get("/"), bench.minion()
    for _ in range(2):
        got = await bench.ask(page, minion)
        assert got.body == b"hello" * 100
        assert got.bytes_received == len(response(packed, content_encoding="gzip"))
    raw = http.client(server.url, decompress=False).get("/")
    assert (await bench.ask(raw)).body == packed


async def test_a_body_that_cannot_be_decompressed_is_a_failure(serve: Serve, bench: Bench) -> None:
    server = await serve(answers(response(b"no gzip", content_encoding="gzip")))
    page, minion = http.client(server.url).get("/"), bench.minion()
    for _ in range(2):
        assert (await bench.fails(page, minion)).kind == "protocol"
    assert bench.books == (2, 0, 2)
    assert server.connections == 1  # the response itself was complete


async def test_a_bomb_is_not_unpacked(serve: Serve, bench: Bench) -> None:
    server = await serve(answers(response(zlib.compress(b"0" * 10_000_000), content_encoding="deflate")))
    assert (await bench.fails(http.client(server.url, max_body="1MB").get("/"))).kind == "too-large"


async def test_values_of_the_minion_reach_every_part_of_a_request(serve: Serve, bench: Bench) -> None:
    server = await serve(answers(response(b"ok")))
    client = http.client(server.url)
    send = client.post(
        lambda user: f"/users/{user['id']}",
        query=lambda user: {"q": user["id"]},
        headers=lambda user: {"X-User": user["id"]},
        json=lambda user: user,
    )
    minion = bench.minion()
    for place in (1, 2):
        got = await bench.ask(send, minion, {"id": place})
        assert got.url == f"{server.url}/users/{place}?q={place}"
        assert f"X-User: {place}\r\n".encode() in server.requests[-1]
        assert server.requests[-1].endswith(b'{"id":%d}' % place)
    assert server.connections == 1


async def test_an_exception_of_the_author_is_the_steps_and_touches_no_connection(
    serve: Serve, bench: Bench
) -> None:
    server = await serve(answers(response(b"ok")))
    page = http.client(server.url).get(lambda user: f"/{user['name']}")
    with pytest.raises(KeyError):
        await bench.ask(page, value={})
    assert (bench.books, server.connections) == ((0, 0, 0), 0)


@pytest.mark.parametrize("url", ["http://nowhere.invalid", "http://127.0.0.1:1", "https://127.0.0.1:1"])
async def test_a_target_that_cannot_be_reached_is_named_with_its_place_in_the_file(
    bench: Bench, url: str
) -> None:
    step = await bench.step(http.client(url).get("/"))
    with pytest.raises(
        ServiceUnavailable, match=rf"test_step\.py:\d+: .*{re.escape(url)}.* cannot be reached"
    ):
        await step.reach()


async def test_a_certificate_that_will_not_do_is_noticed_before_the_start(
    serve: Serve, bench: Bench, certificates: Certificates
) -> None:
    server = await serve(answers(response(b"ok")), tls=certificates.server_context())
    step = await bench.step(http.client(f"https://127.0.0.1:{server.port}").get("/"))
    with pytest.raises(ServiceUnavailable, match="verify"):
        await step.reach()


async def test_a_target_is_looked_at_once_and_nothing_is_asked_of_it(serve: Serve, bench: Bench) -> None:
    server = await serve(answers(response(b"ok")))
    client = http.client(server.url)
    one, other = await bench.step(client.get("/a")), await bench.step(client.get("/b"))
    await one.reach()
    await other.reach()
    await until(lambda: server.connections == 1 and server.open_connections == 0)
    assert (server.requests, bench.books) == ([], (0, 0, 0))


async def test_a_file_without_certificates_is_named_with_its_place(bench: Bench, tmp_path: Any) -> None:
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing")
    page = http.client("https://127.0.0.1:1", verify=empty).get("/")
    with pytest.raises(ConfigurationError, match=r"test_step\.py:\d+: .*empty\.pem"):
        await bench.step(page)
    del bench.steps[page]


async def test_a_warm_up_that_cannot_connect_is_refused_before_the_start(bench: Bench) -> None:
    page = http.client(f"http://127.0.0.1:{closed_port()}", warm_up=True).get("/")
    step = await bench.step(page)
    with pytest.raises(ServiceUnavailable, match=r"test_step\.py:\d+: .*refuses connections"):
        await step.warm_up([bench.minion()])


async def test_connections_are_announced_before_they_are_needed(serve: Serve, bench: Bench) -> None:
    server = await serve(answers(response(b"ok")))
    place = ("127.0.0.1", server.port)

    async def announced(**options: Any) -> dict[tuple[str, int], int]:
        step = await bench.step(http.client(server.url, **options).get("/"))
        result: dict[tuple[str, int], int] = step.connections(100)
        return result

    assert await announced() == {place: 100}
    assert await announced(connections="on-demand") == {place: 100}
    assert await announced(connections="pool", pool_size=7) == {place: 7}
    assert await announced(connections="pool", pool_size=700) == {place: 100}
    assert await announced(proxy="http://127.0.0.1:8") == {("127.0.0.1", 8): 100}


@pytest.mark.parametrize("tls", [False, True])
async def test_the_servers_log_has_exactly_the_requests_counted(
    bench: Bench, tmp_path: Any, tls: bool
) -> None:
    try:
        find_nginx()
    except NginxMissing:
        pytest.skip("nginx is not installed")
    with run_nginx(tmp_path, log=True, tls=tls) as server:
        client = http.client(server.url, verify=server.ca or True)
        pages = [client.get("/a"), client.post("/b", json={"x": 1}), client.head("/c")]

        async def walk() -> None:
            minion = bench.minion()
            for place in range(60):
                assert (await bench.ask(pages[place % 3], minion)).status == 200

        await asyncio.gather(*(walk() for _ in range(20)))
        await bench.aclose()
    assert bench.books == (1200, 1200, 0)
    assert server.logged() == 1200
    assert [server.logged(word) for word in (b"GET /a ", b"POST /b ", b"HEAD /c ")] == [400] * 3
