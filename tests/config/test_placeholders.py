from __future__ import annotations

import pytest

from qalipsis.config.placeholders import Resolver, Unresolvable
from qalipsis.config.sources import command_line_entries, environment_entries


def resolve(text: str, environment: dict[str, str] | None = None, **keys: str) -> object:
    entries, _ = command_line_entries([f"x={text}", *(f"{key}={value}" for key, value in keys.items())])
    resolver = Resolver(entries, environment_entries(environment or {}), {})
    return resolver.resolve(entries[("x",)]).value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        ("${a}", "1"),
        ("<${a}${b}>", "<12>"),
        ("${HOME_DIR}", "/home"),
        ("${home.dir}", "/home"),
        ("${none:}", ""),
        ("${none:default}", "default"),
        ("${none:http://h:80/}", "http://h:80/"),
        ("${none:${a}}", "1"),
        ("${none:${neither:3}}!", "3!"),
        ("${indirect}", "1"),
        ("$${a}", "${a}"),
        ("cost: 5$ ${a}$", "cost: 5$ 1$"),
        ("$${a} ${b} $${c}", "${a} 2 ${c}"),
        ("${x:own}", "own"),
    ],
)
def test_placeholders_are_filled(text: str, value: str) -> None:
    assert resolve(text, {"HOME_DIR": "/home"}, a="1", b="2", indirect="${a}") == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("${nowhere}", "x refers to ${nowhere}, which neither"),
        ("${bass}", "did you mean ${base}?"),
        ("${a", "a placeholder of x is not closed"),
        ("${circle}", "the placeholders go round in a circle: x → circle → again → x"),
        ("${x}", "x refers to ${x}"),
    ],
)
def test_a_placeholder_that_leads_nowhere_is_refused(text: str, message: str) -> None:
    with pytest.raises(Unresolvable) as caught:
        resolve(text, base="1", circle="${again}", again="${x}")
    assert message in str(caught.value.mistake)
    assert str(caught.value.mistake).startswith("command line -c ")


def test_a_setting_may_name_the_environment_variable_of_its_own_key() -> None:
    file, _ = command_line_entries(["redis.uri=${REDIS_URI:redis://localhost}"])
    entry = file[("redis", "uri")]
    assert Resolver({}, {}, file).resolve(entry).value == "redis://localhost"
    environment = environment_entries({"REDIS_URI": "redis://there"})
    resolver = Resolver({}, environment, file)
    found = resolver.find(("redis", "uri"))
    assert found is not None
    assert resolver.resolve(found).value == "redis://there"
