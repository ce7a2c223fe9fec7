from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

from qalipsis import prop, scenario
from qalipsis.plan.compiler import compile_chain
from qalipsis.plan.properties import Properties
from qalipsis.plugins import tcp

echo = tcp.client("echo.example:7000")


@pytest.mark.parametrize("plugin", ["tcp", "udp"])
def test_a_description_loads_without_any_driver(plugin: str) -> None:
    drivers = ("asyncio", "uvloop", "ssl", "socket")
    program = f"import sys, qalipsis.plugins.{plugin}; print([n for n in {drivers} if n in sys.modules])"
    loaded = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert loaded.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"address": "echo.example"}, "'echo.example' has no port; write for example"),
        ({"address": "tcp://echo:7"}, "'tcp://echo:7' should have no scheme"),
        ({"address": "echo:7", "port": 8}, "'echo:7' has a port, and port=8 is another"),
        ({"address": "echo:0"}, "the port '0' should be a number between 1 and 65535"),
        ({"address": ":7"}, "':7' is no address"),
        ({"address": 7}, "7 is no address"),
        ({"timeout": "-1s"}, "timeout cannot be negative"),
        ({"timeout": 0}, "timeout cannot be zero"),
        ({"connect_timeout": "soon"}, "connect_timeout: 'soon' is not a duration"),
        ({"tls": "yes"}, "tls='yes' should be True or False"),
        ({"no_delay": 1}, "no_delay=1 should be True or False"),
        ({"tls": True, "verify": "/no/such.pem"}, "verify: there is no '/no/such.pem'"),
        ({"tls": True, "verify": 3}, "verify=3 should be True, False or the path"),
        ({"tls": True, "cert": "/no/such.pem"}, "cert: there is no '/no/such.pem'"),
        ({"tls": True, "cert": (__file__,)}, "cert has 1 items"),
        ({"tls": True, "cert": 5}, "the path of a PEM file, or (certificate, key)"),
        ({"tls": True, "server_name": ""}, "server_name='' should be a host name"),
        ({"verify": False, "server_name": "x"}, "verify and server_name: no effect without tls=True"),
        ({"max_response": "much"}, "max_response: 'much' is no size"),
        ({"max_response": 0}, "max_response=0 should be at least 1 byte"),
    ],
)
def test_a_mistake_in_a_client_is_a_sentence_at_its_place(options: dict[str, Any], complaint: str) -> None:
    client = tcp.client(**{"address": "echo.example:7000", **options})
    (problem,) = client.problems()
    assert complaint in problem
    assert problem.startswith("tcp.client")
    for spec in (client.request("x"), client.close()):
        assert spec.problems() == [problem]
        [(place, _)] = spec.problems_by_place(tcp.client("a:1").location)
        assert place == client.location


@pytest.mark.parametrize(
    ("spec", "complaint"),
    [
        (echo.request(3), "the payload 3 should be bytes, text, or a function"),  # type: ignore[call-overload]
        (echo.request(lambda: b""), "the payload calls its function with (value) or (context, value)"),  # type: ignore[call-overload]
        (echo.request("\ud800"), "cannot be sent as UTF-8"),
        (echo.request("x", b"\n"), "until=b'\\n' should say where the response ends: tcp.line()"),  # type: ignore[call-overload]
        (echo.request("x", tcp.close("a")), "should say where the response ends"),  # type: ignore[call-overload]
        (echo.request("x", tcp.delimiter("")), "tcp.delimiter('') needs the bytes"),
        (echo.request("x", tcp.exactly(20_000_000)), "is more than max_response='10MB' of the client"),
        (echo.request("", tcp.nothing()), "nothing would be sent, nothing read"),
        (echo.request("x", timeout="-1s"), "the request's timeout cannot be negative"),
        (tcp.reuse("", "x"), "tcp.reuse needs the name of the step that connects, not ''"),
        (tcp.reuse(echo, "x"), "tcp.reuse needs the name of the step"),  # type: ignore[call-overload]
        (tcp.close(3), "tcp.close needs the name of the step that connects, not 3"),  # type: ignore[arg-type]
    ],
)
def test_a_mistake_in_a_request_is_a_sentence(spec: Any, complaint: str) -> None:
    (problem,) = spec.problems()
    assert complaint in problem


def test_a_payload_is_not_awaited() -> None:
    async def payload(value: Any) -> bytes:
        return b""

    (problem,) = echo.request(payload).problems()  # type: ignore[call-overload]
    assert "called and not awaited" in problem


def test_addresses_are_read_as_people_write_them() -> None:
    for client, place in [
        (tcp.client("127.0.0.1:7000"), ("127.0.0.1", 7000)),
        (tcp.client("[::1]:7000"), ("::1", 7000)),
        (tcp.client("::1", port=7000), ("::1", 7000)),
        (tcp.client("echo", port=7), ("echo", 7)),
    ]:
        assert client.problems() == []
        settings = client.settings()
        assert (settings.host, settings.port) == place
    assert tcp.client("[::1]:7").settings().where == "[::1]:7"


def test_placeholders_are_replaced_and_the_client_stays_one() -> None:
    client = tcp.client("echo", port=prop("echo.port", default=7), timeout=prop("t", default="1s"))
    end = tcp.exactly(prop("size", default=3))
    first, second = client.request(prop("hello"), end), client.close()
    properties = Properties({"echo.port": "9", "hello": "hi"})
    resolved = [properties.resolve(spec) for spec in (first, second)]
    assert not properties.mistakes
    assert resolved[0].client == resolved[1].client
    assert resolved[0].client.settings().port == 9
    assert (resolved[0].payload, resolved[0].until, resolved[0].problems()) == ("hi", tcp.exactly(3), [])


def test_a_step_to_be_reused_must_be_there() -> None:
    chain = scenario("s").start().then(echo.request("x\n")).named("connect")
    plan, mistakes = compile_chain(
        chain.then(tcp.reuse("conect", "x\n")).then(tcp.close("x")), Properties({})
    )
    assert plan is None
    shown = sorted(str(mistake) for mistake in mistakes)
    assert "there is no step 'conect'" in shown[0]
    assert "did you mean 'connect'" in shown[0]
    assert "there is no step 'x'" in shown[1]


def test_what_is_shown_names_the_address() -> None:
    assert repr(echo.request("x")) == "<request with tcp.client('echo.example:7000')>"
    assert repr(tcp.reuse("connect", "x")) == "<tcp.reuse('connect')>"
