from __future__ import annotations

import gzip
from base64 import b64decode
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qalipsis.plugins import http
from qalipsis.plugins.http.message import Message, RequestTemplate, redirected
from qalipsis.plugins.http.spec import RequestSpec

shop = http.client("http://shop.example:8080/api")


@dataclass
class Context:
    value: Any
    iteration: int = 7


class Received:
    """A request as a service reads it."""

    def __init__(self, message: Message, body: bytes) -> None:
        self.path = ""
        self.headers: list[tuple[str, str]] = []
        self.body = b""
        self.is_complete = False
        parser = httptools.HttpRequestParser(self)
        parser.feed_data(message.head + body)
        self.method = parser.get_method().decode()

    def on_url(self, url: bytes) -> None:
        self.path += url.decode()

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name.decode(), value.decode()))

    def on_body(self, data: bytes) -> None:
        self.body += data

    def on_message_complete(self) -> None:
        self.is_complete = True

    def __getitem__(self, name: str) -> str:
        (value,) = (value for other, value in self.headers if other.lower() == name.lower())
        return value

    def __contains__(self, name: str) -> bool:
        return any(other.lower() == name.lower() for other, _ in self.headers)


def filled(spec: RequestSpec[Any], value: Any = None) -> Message:
    assert spec.problems() == []
    return RequestTemplate(spec).fill(Context(value))


def received(message: Message) -> Received:
    body = message.body
    if not isinstance(body, bytes):
        body = b"".join(body or ())
    request = Received(message, body)
    assert request.is_complete
    return request


async def received_async(message: Message) -> Received:
    assert isinstance(message.body, AsyncIterator)
    return Received(message, b"".join([chunk async for chunk in message.body]))


def test_a_plain_request_says_what_is_needed_and_no_more() -> None:
    assert filled(shop.get("/basket")).head == (
        b"GET /api/basket HTTP/1.1\r\n"
        b"Host: shop.example:8080\r\n"
        b"User-Agent: qalipsis/" + version("qalipsis").encode() + b"\r\n"
        b"Accept: */*\r\n"
        b"Accept-Encoding: gzip, deflate, br, zstd\r\n"
        b"\r\n"
    )


def test_a_client_that_does_not_decompress_asks_for_nothing_compressed() -> None:
    assert b"Accept-Encoding" not in filled(http.client("http://h", decompress=False).get("/")).head


def test_a_request_that_depends_on_nothing_is_assembled_once() -> None:
    template = RequestTemplate(
        shop.post("/", json={"a": 1}, headers={"X": "1"}, query={"q": 2}, cookies={"c": "3"})
    )
    assert template.static
    assert template.fill(Context(1)) is template.fill(Context(2))


@pytest.mark.parametrize(
    "parts",
    [
        {"query": lambda value: {"v": value}},
        {"headers": lambda value: {"v": str(value)}},
        {"cookies": lambda value: {"v": str(value)}},
        {"json": lambda value: value},
        {"auth": lambda value: http.basic("ann", str(value))},
        {"auth": http.bearer(lambda value: str(value))},
    ],
)
def test_a_request_with_a_function_is_filled_each_time(parts: dict[str, Any]) -> None:
    template = RequestTemplate(shop.post("/", **parts))
    assert not template.static
    first, second = (template.fill(Context(value)) for value in (1, 2))
    assert (first.head, first.body) != (second.head, second.body)


def test_functions_see_the_value_or_the_context_and_the_value() -> None:
    spec = shop.request(
        "PATCH",
        lambda user: f"/users/{user}",
        query=lambda context, user: {"turn": context.iteration, "who": user},
        headers=lambda user: {"X-User": user, "accept": "text/plain", "User-Agent": None},
        cookies=lambda context, user: {"session": f"{user}{context.iteration}"},
        json=lambda user: {"user": user},
        auth=http.bearer(lambda context, user: f"token-of-{user}"),
    )
    request = received(filled(spec, "ann"))
    assert request.method == "PATCH"
    assert request.path == "/api/users/ann?turn=7&who=ann"
    assert (request["x-user"], request["accept"], request["cookie"]) == ("ann", "text/plain", "session=ann7")
    assert "user-agent" not in request
    assert request["authorization"] == "Bearer token-of-ann"
    assert (request["content-type"], request.body) == ("application/json", b'{"user":"ann"}')


def test_a_stronger_header_replaces_a_weaker_one_whatever_its_case() -> None:
    client = http.client(
        "http://h", headers={"ACCEPT": "text/html", "X-A": "client", "user-agent": "mine", "X-B": 1}
    )
    request = received(
        filled(client.get("/", headers={"accept": "text/css", "x-a": ["1", "2"], "X-B": None}))
    )
    assert request["accept"] == "text/css"
    assert [value for name, value in request.headers if name.lower() == "x-a"] == ["1", "2"]
    assert request["user-agent"] == "mine"
    assert "x-b" not in request


def test_an_author_may_name_another_host() -> None:
    assert received(filled(shop.get("/", headers={"Host": "virtual.example"})))["host"] == "virtual.example"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_a_method_that_expects_a_body_announces_that_there_is_none(method: str) -> None:
    assert received(filled(shop.request(method, "/")))["content-length"] == "0"


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS"])
def test_other_methods_announce_nothing(method: str) -> None:
    assert "content-length" not in received(filled(shop.request(method, "/")))


def test_a_form_is_url_encoded() -> None:
    request = received(filled(shop.post("/", form={"name": "Ann Lee", "tag": ["a&b", "ü"], "none": None})))
    assert request["content-type"] == "application/x-www-form-urlencoded"
    assert parse_qs(request.body.decode()) == {"name": ["Ann Lee"], "tag": ["a&b", "ü"]}


def test_multipart_names_the_boundary_it_uses(tmp_path: Path) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(b"\xff\xd8" * 100_000)
    template = RequestTemplate(shop.post("/", multipart={"title": "Ü", "photo": photo}))
    for _ in range(2):  # the file is read anew for every request
        request = received(template.fill(Context(None)))
        boundary = request["content-type"].removeprefix("multipart/form-data; boundary=").encode()
        assert request.body.startswith(b"--" + boundary + b"\r\n")
        assert request.body.endswith(b"\r\n--" + boundary + b"--\r\n")
        assert photo.read_bytes() in request.body
        assert int(request["content-length"]) == len(request.body)


def test_text_and_bytes_are_sent_as_they_are() -> None:
    assert received(filled(shop.put("/", body="Größe"))).body == "Größe".encode()
    packed = gzip.compress(b"packed")
    assert received(filled(shop.put("/", body=packed, headers={"Content-Encoding": "gzip"}))).body == packed


def test_a_path_object_is_a_file_sent_with_its_length(tmp_path: Path) -> None:
    file = tmp_path / "upload"
    file.write_bytes(bytes(range(256)) * 1000)
    for spec in (shop.put("/", body=file), shop.put("/", body=lambda value: file)):
        request = received(filled(spec))
        assert request["content-length"] == "256000"
        assert request.body == file.read_bytes()


def test_an_iterable_is_sent_in_chunks() -> None:
    def stream(value: str) -> Iterator[bytes]:
        yield value.encode()
        yield b""
        yield b"end"

    for spec in (shop.put("/", body=[b"start", b"", b"end"]), shop.put("/", body=stream)):
        request = received(filled(spec, "start"))
        assert request["transfer-encoding"] == "chunked"
        assert "content-length" not in request
        assert request.body == b"startend"


async def test_an_async_iterable_is_sent_in_chunks() -> None:
    async def stream(value: str) -> AsyncIterator[bytes]:
        yield value.encode()
        yield b""
        yield b"end"

    request = await received_async(filled(shop.put("/", body=stream), "start"))
    assert request.is_complete
    assert request.body == b"startend"


def test_an_iterable_of_something_else_is_refused_while_it_is_sent() -> None:
    message = filled(shop.put("/", body=lambda value: ["text"]))
    with pytest.raises(ValueError, match="should consist of bytes, not str"):
        received(message)


def test_a_function_may_return_nothing() -> None:
    def nothing(value: object) -> None:
        return None

    spec = shop.post("/", query=nothing, headers=nothing, cookies=nothing, form=nothing, auth=nothing)
    request = received(filled(spec))
    assert (request.path, request["content-length"]) == ("/api/", "0")
    assert "authorization" not in request
    assert received(filled(shop.post("/", json=nothing))).body == b"null"


def test_a_body_waits_for_the_service_when_the_author_expects_that() -> None:
    expecting = {"expect": "100-continue"}
    assert filled(shop.put("/", body=b"x", headers=expecting)).expect_continue
    assert filled(shop.put("/", body=b"x", headers=lambda value: expecting)).expect_continue
    assert not filled(shop.get("/", headers=expecting)).expect_continue
    assert not filled(shop.put("/", body=b"x")).expect_continue


# credentials


def test_credentials_come_from_the_request_then_the_client_then_the_url() -> None:
    by_url = http.client("http://ann:p%40ss@h")
    by_client = http.client("http://ann:secret@h", auth=http.bearer("client"))
    assert b64decode(received(filled(by_url.get("/")))["authorization"].removeprefix("Basic ")) == b"ann:p@ss"
    assert received(filled(by_client.get("/")))["authorization"] == "Bearer client"
    assert (
        received(filled(by_client.get("/", auth=http.bearer("request"))))["authorization"] == "Bearer request"
    )
    by_context = http.client(
        "http://h", auth=lambda context, value: http.bearer(lambda value: f"{value}-token")
    )
    assert received(filled(by_context.get("/"), "ann"))["authorization"] == "Bearer ann-token"


def test_the_clients_credentials_stay_with_its_origin() -> None:
    client = http.client("http://ann:secret@h", auth=http.bearer("client"))
    for spec in (client.get("http://other/"), client.get(lambda value: "http://other/")):
        request = received(filled(spec))
        assert request["host"] == "other"
        assert "authorization" not in request
    assert "authorization" in received(filled(client.get("http://h:80/")))
    assert "authorization" in received(filled(client.get("http://other/", auth=http.bearer("for the other"))))


# what would break a request


@pytest.mark.parametrize(
    "parts",
    [
        {"headers": lambda value: {"X": value}},
        {"headers": lambda value: {value: "x"}},
        {"cookies": lambda value: {"x": value}},
        {"cookies": lambda value: {value: "x"}},
        {"auth": http.bearer(lambda value: value)},
        {"headers": lambda value: {"X": ["fine", value]}},
    ],
)
@pytest.mark.parametrize("text", ["a\r\nInjected: yes", "a\nb", "a\rb", "a\0b"])
def test_a_line_break_in_a_value_is_refused(parts: dict[str, Any], text: str) -> None:
    with pytest.raises(ValueError, match=r"control character|no name|no cookie"):
        filled(shop.get("/", **parts), text)


@pytest.mark.parametrize(
    ("path", "method", "complaint"),
    [
        (lambda value: 3, "GET", "returned 3 instead of a text"),
        (lambda value: "ftp://x/", "GET", "should start with http://"),
    ],
)
def test_a_path_that_is_none_is_refused(path: Any, method: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        filled(shop.request(method, path))


@pytest.mark.parametrize(
    ("parts", "complaint"),
    [
        ({"headers": lambda value: ["x"]}, "headers should be a mapping"),
        ({"headers": lambda value: {"Content-Length": "3"}}, "follows from the body"),
        ({"cookies": lambda value: ["x"]}, "cookies should be a mapping"),
        ({"auth": lambda value: "token"}, "auth should be http.basic"),
        ({"auth": http.bearer(lambda value: None)}, "bearer token returned a NoneType"),
        ({"query": lambda value: 3}, "3 should be a mapping, or a list of pairs"),
        ({"form": lambda value: [3]}, "should be a mapping, or a list of pairs"),
        ({"multipart": lambda value: [3]}, "should be a mapping"),
        ({"body": lambda value: 3}, "the body should be text, bytes"),
        ({"body": lambda value: {"a": 1}}, "the body should be text, bytes"),
    ],
)
def test_what_a_function_must_not_return_is_explained(parts: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        filled(shop.post("/", **parts))


def test_an_exception_of_the_author_passes_through() -> None:
    with pytest.raises(ZeroDivisionError):
        filled(shop.get(lambda value: str(1 / value)), 0)


anything = st.text(max_size=30)


@given(anything, anything, anything, anything)
def test_no_value_can_add_a_header_or_end_the_head(path: str, name: str, value: str, token: str) -> None:
    spec = shop.get(
        lambda _: f"/{path}",
        query=lambda _: {name: value},
        headers=lambda _: {"X-Value": value},
        auth=http.bearer(lambda _: token),
    )
    try:
        message = filled(spec)
    except ValueError:
        return
    request = received(message)
    names = ["host", "user-agent", "accept", "accept-encoding", "authorization", "x-value"]
    assert sorted(name.lower() for name, _ in request.headers) == sorted(names)
    assert message.head.count(b"\r\n\r\n") == 1
    assert request.path == message.path


# cookies


def test_the_minions_cookies_are_added() -> None:
    template = RequestTemplate(shop.post("/", json=1))
    message = template.fill(Context(None)).with_cookies(b"a=1; b=2")
    assert received(message)["cookie"] == "a=1; b=2"
    assert received(message).body == b"1"
    assert "cookie" not in received(template.fill(Context(None)))


def test_the_authors_cookies_win_over_the_minions() -> None:
    for spec in (shop.get("/", cookies={"a": "mine"}), shop.get("/", headers={"Cookie": "a=mine"})):
        assert received(filled(spec).with_cookies(b"a=1; b=2"))["cookie"] == "b=2; a=mine"


# redirects


@pytest.mark.parametrize(
    ("method", "status", "expected"),
    [
        ("GET", 301, "GET"),
        ("HEAD", 301, "HEAD"),
        ("HEAD", 303, "HEAD"),
        ("POST", 301, "GET"),
        ("POST", 302, "GET"),
        ("POST", 303, "GET"),
        ("PUT", 302, "PUT"),
        ("PUT", 303, "GET"),
        ("DELETE", 303, "GET"),
        ("POST", 307, "POST"),
        ("POST", 308, "POST"),
    ],
)
def test_a_redirect_keeps_or_changes_the_method(method: str, status: int, expected: str) -> None:
    body = None if method in ("GET", "HEAD") else b"content"
    message = filled(shop.request(method, "/a", body=body, headers={"Content-Type": "x/y", "X": "kept"}))
    request = received(redirected(message, status, b"/b"))
    assert (request.method, request.path, request["x"]) == (expected, "/b", "kept")
    keeps_body = body is not None and expected == method
    assert request.body == (body if keeps_body else b"")
    assert ("content-type" in request) == (keeps_body or method in ("GET", "HEAD"))
    assert ("content-length" in request) == keeps_body


def test_a_redirect_within_the_origin_keeps_credentials_and_the_authors_cookies() -> None:
    spec = shop.get(
        "/a", auth=http.bearer("secret"), cookies={"mine": "1"}, headers={"Host": "virtual.example"}
    )
    message = filled(spec).with_cookies(b"jar=2")
    following = redirected(message, 302, "b?c=d#e")
    request = received(following)
    assert request.path == "/api/b?c=d"
    assert request["authorization"] == "Bearer secret"
    assert request["cookie"] == "mine=1"
    assert request["host"] == "virtual.example"
    assert received(following.with_cookies(b"jar=3"))["cookie"] == "jar=3; mine=1"


@pytest.mark.parametrize(
    "location",
    ["http://other.example/b", "https://shop.example:8080/b", "http://shop.example/b", "//other.example/b"],
)
def test_a_redirect_to_another_origin_goes_without_secrets(location: str) -> None:
    spec = shop.post(
        "/a", json={"a": 1}, auth=http.basic("ann", "secret"), cookies={"mine": "1"}, headers={"X": "y"}
    )
    following = redirected(filled(spec).with_cookies(b"jar=2"), 307, location)
    request = received(following)
    assert "authorization" not in request
    assert "cookie" not in request
    assert request["host"] == following.target.host_header
    assert (request["x"], request.body, following.url.endswith("/b")) == ("y", b'{"a":1}', True)
    assert received(following.with_cookies(b"theirs=1"))["cookie"] == "theirs=1"


def test_a_file_is_sent_again_after_a_redirect_and_a_stream_cannot_be(tmp_path: Path) -> None:
    file = tmp_path / "upload"
    file.write_bytes(b"content")
    message = filled(shop.put("/a", body=file))
    assert received(message).body == received(redirected(message, 307, "/b")).body == b"content"
    message = filled(shop.put("/a", body=[b"con", b"tent"]))
    assert received(message).body == received(redirected(message, 308, "/b")).body == b"content"
    message = filled(shop.put("/a", body=lambda value: iter([b"content"])))
    assert received(message).body == b"content"
    with pytest.raises(ValueError, match="asks for the body again"):
        redirected(message, 307, "/b")
    assert received(redirected(message, 303, "/b")).method == "GET"


def test_a_redirected_upload_still_waits_for_the_service() -> None:
    message = filled(shop.put("/a", body=b"x", headers={"Expect": "100-continue"}))
    assert redirected(message, 307, "/b").expect_continue
    following = redirected(message, 303, "/b")
    assert not following.expect_continue
    assert "expect" not in received(following)


def test_a_proxy_gets_the_whole_url() -> None:
    message = filled(shop.post("/basket", json=1))
    first, rest = message.head_for_proxy(b"Basic abc").split(b"\r\n", 1)
    assert first == b"POST http://shop.example:8080/api/basket HTTP/1.1"
    assert rest == b"Proxy-Authorization: Basic abc\r\n" + message.head.split(b"\r\n", 1)[1]
    assert b"Proxy-Authorization" not in message.head_for_proxy()
