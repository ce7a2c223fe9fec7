"""Checked by mypy in test_spec.py, never run: lines marked `# wrong` must be errors, all others must not."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, assert_type

from qalipsis import Chain, Minion, prop, scenario
from qalipsis.plugins import http


@dataclass
class User:
    id: int
    name: str


shop = http.client(
    prop("shop.url", default="http://127.0.0.1"),
    headers={"X-Team": "load", "X-Try": 1},
    auth=lambda context, value: http.bearer(context.minion["token"]),
    timeout=prop("shop.timeout", default="5s"),
    hosts={"shop.example": "127.0.0.1"},
)
shop_with_token = http.client(
    "http://h", auth=http.bearer(lambda context, value: str(context.minion["token"]))
)
http.client("http://h", connections="sometimes")  # wrong
http.client("http://h", timeout=object())  # wrong

users = scenario("users").start().returns(User(1, "ann"))
assert_type(users, Chain[User])
assert_type(users.then(shop.get("/")), Chain[http.Response])
users.then(shop.get("/")).map(lambda response: response.headers["etag"].upper())
users.then(shop.get("/")).map(lambda response: response.header)  # wrong

users.then(shop.get(lambda user: f"/users/{user.id}"))
users.then(shop.get(lambda user: f"/users/{user.nr}"))  # wrong
users.then(shop.get(lambda context, user: f"/users/{user.id}/{context.iteration}"))
users.then(shop.get(lambda context, user: f"/users/{user.nr}"))  # wrong
users.then(shop.get(lambda user: user.id))  # wrong

users.then(shop.get("/", query={"a": [1, 2], "b": None, "c": True}))
users.then(shop.get("/", query=lambda user: {"id": user.id}))
users.then(shop.get("/", query=lambda user: {"id": user.nr}))  # wrong
users.then(shop.get("/", headers=lambda user: {"X-User": user.name}, cookies={"a": "b"}))
users.then(shop.get("/", headers=lambda user: {"X-User": user.nr}))  # wrong
users.then(shop.get("/", cookies=lambda user: {"user": user.name}))
users.then(shop.get("/", cookies=lambda user: {"user": user.id}))  # wrong

users.then(shop.post("/", json={"a": [1]}))
users.then(shop.post("/", json=User(1, "ann")))
users.then(shop.post("/", json=lambda user: {"id": user.id}))
users.then(shop.post("/", json=lambda user: {"id": user.nr}))  # wrong
users.then(shop.post("/", json=lambda context, user: {"id": user.id, "turn": context.iteration}))
users.then(shop.post("/", json=lambda context, user: {"id": user.id, "turn": context.turn}))  # wrong
users.then(shop.post("/", form=lambda user: [("name", user.name)]))
users.then(shop.post("/", multipart={"a": "x", "b": Path("x"), "c": ("n.txt", b"abc"), "d": ["1", "2"]}))
users.then(shop.put("/", body=lambda user: iter([user.name.encode()])))
users.then(shop.put("/", body=[b"x"]))
users.then(shop.put("/", body=3))  # wrong
users.then(shop.put("/", boddy=b"x"))  # wrong
users.then(shop.request("PURGE", lambda user: f"/{user.name}", timeout="3s"))
users.then(shop.request("PURGE", lambda user: f"/{user.nr}", timeout="3s"))  # wrong

users.then(shop.get("/", auth=http.basic("ann", "secret")))
users.then(shop.get("/", auth=http.bearer(lambda user: user.name)))
users.then(shop.get("/", auth=http.bearer(lambda user: user.nr)))  # wrong
users.then(shop.get("/", auth=lambda user: http.basic(user.name, "secret")))
users.then(shop.get("/", auth=lambda user: http.basic(user.nr, "secret")))  # wrong

home = shop.get("/")
create = shop.post("/users", json=lambda user: {"id": user["id"]})
assert_type(home, http.RequestSpec[Any])
users.then(home).then(shop.get(lambda response: response.url))
users.then(home).then(shop.get(lambda response: response.uri))  # wrong
users.then(create)


async def browse(minion: Minion) -> None:
    response = await minion.do(shop.post("/", json=lambda user: {"id": user["id"]}), value={"id": 1})
    assert_type(response, http.Response)
