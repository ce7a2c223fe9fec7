"""Checked by mypy in test_spec.py, never run: lines marked `# wrong` must be errors, all others must not."""

from dataclasses import dataclass
from typing import Any, assert_type

from qalipsis import Chain, Minion, prop, scenario
from qalipsis.plugins import tcp


@dataclass
class User:
    id: int
    name: str


echo = tcp.client("127.0.0.1", port=prop("echo.port", default=7000), timeout=prop("t", default="5s"))
tcp.client("h:1", timeout=object())  # wrong
tcp.client("h:1", tsl=True)  # wrong

users = scenario("users").start().returns(User(1, "ann"))
assert_type(users.then(echo.request("x\n")), Chain[tcp.Response])
users.then(echo.request("x\n")).map(lambda response: response.body + b"x")
users.then(echo.request("x\n")).map(lambda response: response.status)  # wrong

users.then(echo.request(lambda user: user.name))
users.then(echo.request(lambda user: user.nr))  # wrong
users.then(echo.request(lambda context, user: f"{context.iteration} {user.name}"))
users.then(echo.request(lambda context, user: user.nr))  # wrong
users.then(echo.request(lambda user: user.id))  # wrong
users.then(echo.request(b"x", until=tcp.length_prefix(4, "big")))
users.then(echo.request(b"x", until=tcp.exactly(lambda user: user.id)))
users.then(echo.request(b"x", until=b"\n"))  # wrong
users.then(tcp.reuse("connect", lambda user: user.name))
users.then(tcp.reuse("connect", lambda user: user.nr))  # wrong
users.then(tcp.reuse("connect", lambda context, user: user.name, tcp.end_of_stream()))
assert_type(users.then(tcp.reuse("connect", b"x")), Chain[tcp.Response])
assert_type(users.then(echo.close()), Chain[User])
assert_type(users.then(tcp.close("connect")), Chain[User])

hello = echo.request("x\n")
assert_type(hello, tcp.RequestSpec[Any])
users.then(hello).then(echo.request(lambda response: response.body))


async def talk(minion: Minion) -> None:
    response = await minion.do(echo.request(lambda user: user.name), value=User(1, "ann"))
    assert_type(response, tcp.Response)
    await minion.do(echo.close())
