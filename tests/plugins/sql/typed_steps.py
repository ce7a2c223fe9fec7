"""Checked by mypy in test_spec.py, never run: lines marked `# wrong` must be errors, all others must not."""

from dataclasses import dataclass
from typing import Any, assert_type

from qalipsis import Chain, Context, Minion, Pair, prop, scenario
from qalipsis.plugins import sql


@dataclass
class User:
    id: int
    name: str


shop = sql.postgres(prop("shop.database", default="postgresql://u@h/db"), timeout=prop("t", default="5s"))
sql.postgres("postgresql://u@h/db", tls="ca.pem", pool_size=3)
sql.postgres("postgresql://u@h/db", pool_size="three")  # wrong

users = scenario("users").start().returns(User(1, "ann"))

assert_type(users.then(shop.save("t", columns={"id": lambda user: user.id, "price": 3})), Chain[User])
users.then(shop.save("t", columns={"id": lambda user: user.nr}))  # wrong
users.then(shop.save("t", columns={"id": lambda context, user: user.id + context.iteration}))
users.then(shop.save("t", columns={"id": lambda context, user: user.nr}))  # wrong
assert_type(users.then(shop.save("t", columns=lambda user: {"id": user.id})), Chain[User])
users.then(shop.save("t", columns=lambda user: {"id": user.nr}))  # wrong
users.then(shop.save("t", columns=lambda user: [{"id": user.id}]))
users.then(shop.save("t", columns=lambda context, user: [{"id": user.id}]))
users.then(shop.save("t", columns=lambda user: user.id))  # wrong
assert_type(users.then(shop.save("t", columns=[{"id": 1}, {"id": 3, "at": None}])), Chain[User])
assert_type(
    users.then(shop.save("t", columns={"id": lambda user: user.id}, returning=("id",))), Chain[list[sql.Row]]
)
users.then(shop.save("t", columns=lambda user: {"id": user.nr}, returning=("id",)))  # wrong

assert_type(users.then(shop.execute("UPDATE t SET n = $1", params=[3])), Chain[int])
users.then(shop.execute("UPDATE t SET n = $1", params=[lambda user: user.id, 3]))
users.then(shop.execute("UPDATE t SET n = $1", params=[lambda user: user.nr, 3]))  # wrong

assert_type(users.then(shop.search("s")), Chain[list[sql.Row]])
users.then(shop.search("s", params=lambda user: [user.id])).map(lambda rows: rows[0].received_at)
users.then(shop.search("s", params=lambda user: [user.nr]))  # wrong
users.then(shop.search("s", params=lambda context, user: [user.id, context.iteration]))
users.then(shop.search("s", params=lambda context, user: [user.nr]))  # wrong
assert_type(users.then(shop.search("s", params=lambda user: [user.id], into=User)), Chain[list[User]])
users.then(shop.search("s", into=User)).map(lambda found: found[0].name)
users.then(shop.search("s", into=User)).map(lambda found: found[0].nam)  # wrong
assert_type(users.then(shop.search("s", into=dict)).map(lambda found: found[0]["id"]), Chain[Any])

rows = shop.poll("s", by="id")
assert_type(scenario("rows").start().then(rows), Chain[sql.Row])
assert_type(scenario("rows").start().then(rows.broadcast()), Chain[sql.Row])
assert_type(scenario("rows").start().then(shop.poll("s", by=("a", "b"), into=User)), Chain[User])
shop.poll("s", by="id", order="up")  # wrong
shop.poll("s", by="id", params=[lambda user: user.id])  # wrong
joined = users.inner_join(rows, on=lambda user: user.id, having=lambda row: row["id"], timeout="9s")
assert_type(joined, Chain[Pair[User, sql.Row]])
joined.map(lambda pair: pair.right.received_at - pair.left.id)
joined.map(lambda pair: pair.right.recieved_at)  # wrong

kept = shop.save("t", columns={"id": 3})
found = shop.search("t")
users.then(kept)
users.then(found).map(lambda rows: rows[0]["id"])


def columns(context: Context, user: User) -> dict[str, int]:
    return {"id": user.id}


users.then(shop.save("t", columns=columns))


async def browse(minion: Minion) -> None:
    found = await minion.do(shop.search("q", params=lambda value: [value]), value=3)
    assert_type(found, list[sql.Row])
    await minion.do(shop.save("q", columns={"id": lambda value: value}), value=3)
