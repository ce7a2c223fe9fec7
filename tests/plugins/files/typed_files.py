"""Checked by mypy in test_spec.py, never run: lines marked `# wrong` must be errors, all others must not."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, assert_type

from msgspec import Struct

from qalipsis import Chain, Minion, journey, prop, scenario
from qalipsis.plugins import files
from qalipsis.plugins.files import CsvSource, JsonSource, XmlSource


@dataclass
class User:
    name: str
    age: int


class Account(Struct):
    owner: str


start = scenario("typed").start()

assert_type(files.csv("a.csv"), CsvSource[dict[str, Any]])
assert_type(files.csv(Path("a.csv"), into=dict), CsvSource[dict[str, Any]])
assert_type(files.csv("a.csv", into=list, header=False, types={1: int}), CsvSource[list[Any]])
assert_type(files.csv(prop("users.file"), into=User), CsvSource[User])
assert_type(files.csv("a.csv", into=Account, bad_rows="skip"), CsvSource[Account])
assert_type(files.json("a.json"), JsonSource[dict[str, Any]])
assert_type(files.json("a.json", into=list), JsonSource[list[Any]])
assert_type(files.json("a.json", into=Account, path_to_items="data.users"), JsonSource[Account])
assert_type(files.xml("a.xml", element="user"), XmlSource[dict[str, Any]])
assert_type(files.xml("a.xml", element="user", into=User), XmlSource[User])

assert_type(start.then(files.csv("a.csv", into=User)), Chain[User])
users = start.then(files.csv("a.csv", into=User).unicast(buffer=10))
assert_type(users, Chain[User])
users.map(lambda user: user.name.upper())
users.map(lambda user: user.nam)  # wrong
start.then(files.csv("a.csv")).map(lambda row: row["name"])
start.then(files.json("a.json", into=Account).broadcast()).map(lambda account: account.owner.upper())
start.then(files.json("a.json", into=Account).loop()).map(lambda account: account.ouner)  # wrong
start.then(files.xml("a.xml", element="user", into=User).sequential()).map(lambda user: user.age + 1)

files.csv("a.csv", bad_rows="ignore")  # wrong
files.csv("a.csv", separator=5)  # wrong
files.csv(5)  # wrong
files.json("a.json", lines="yes")  # wrong
files.xml("a.xml")  # wrong

rows = files.csv("a.csv", into=User)


@journey("taking")
async def taking(minion: Minion) -> None:
    user = await minion.take(rows)
    assert_type(user, User)
