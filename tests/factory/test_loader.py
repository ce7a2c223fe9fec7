"""What an author is told about a broken file: everything, at once, with its place."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from qalipsis.errors import Mistake, ScenarioErrors
from qalipsis.factory.loader import Loaded, load_plans

HEADER = "from qalipsis import *\n"


def load(tmp_path: Path, source: str, name: str = "shop.py", **values: Any) -> Loaded:
    (tmp_path / name).write_text(HEADER + dedent(source).lstrip("\n"))
    return load_plans([tmp_path / name], values)


def mistakes(tmp_path: Path, source: str, **values: Any) -> list[Mistake]:
    with pytest.raises(ScenarioErrors) as caught:
        load(tmp_path, source, **values)
    return list(caught.value.mistakes)


def test_scenarios_are_found_at_module_level(tmp_path: Path) -> None:
    loaded = load(
        tmp_path,
        """
        checkout = scenario("checkout", minions=3).start().returns(1)

        @journey("browse", minions=2)
        async def browse(minion):
            pass
        """,
    )
    assert {name: plan.minions for name, plan in loaded.plans.items()} == {"checkout": 3, "browse": 2}


def test_a_value_that_another_extends_is_no_scenario_of_its_own(tmp_path: Path) -> None:
    loaded = load(
        tmp_path,
        """
        base = scenario("s").start().returns(1)
        named = base.named("first")
        full = named.map(str).named("second")
        """,
    )
    assert [node.name for node in loaded.plans["s"].chain] == ["first", "second"]


def test_a_folder_is_searched_and_its_files_may_import_each_other(tmp_path: Path) -> None:
    (tmp_path / "parts_of_it.py").write_text(HEADER + 'base = scenario("base").start().returns(1)\n')
    (tmp_path / "more.py").write_text(
        HEADER + 'from parts_of_it import base\nother = scenario("other").start().returns(2)\n'
    )
    assert set(load_plans([tmp_path], {}).plans) == {"base", "other"}


def test_a_syntax_error_names_file_and_line(tmp_path: Path) -> None:
    [mistake] = mistakes(tmp_path, "a = 1\nb = = 2\n")
    assert (Path(mistake.file).name, mistake.line) == ("shop.py", 3)
    assert "syntax error" in mistake.message


def test_an_exception_while_importing_names_the_authors_line(tmp_path: Path) -> None:
    [mistake] = mistakes(tmp_path, "a = 1\nraise SystemExit(3)\n")
    assert mistake.line == 3
    assert "SystemExit" in mistake.message


def test_all_mistakes_of_a_file_are_reported_at_once(tmp_path: Path) -> None:
    found = mistakes(
        tmp_path,
        """
        a = (
            scenario("a", minions=0, profile=profile.stages(profile.stage(99, ramp_up="1s", total="2s")))
            .start()
            .returns(1).named("first")
            .delay("-2s")
            .verfy(lambda v: v)
            .map(str).named("first")
            .map(str).timeout("soon")
            .map(str).named("Not Good")
            .map(str).tolerate(3)
            .map(str).iterate(0)
            .verify(bool).retry(backoff())
        )
        b = scenario("b").start().returns(1).named("here").expect(step("her").failed_share.is_less_than(1))
        c = scenario("c")
        d = scenario("d").start()
        e = scenario("d").start().returns(1)
        """,
    )
    text = "\n".join(map(str, found))
    for line, what in [
        (3, "minions=0"),
        (3, "99"),
        (6, "-2s"),
        (7, "verfy"),
        (8, "'first'"),
        (9, "soon"),
        (10, "Not Good"),
        (11, "tolerate(3)"),
        (12, "iterate(0)"),
        (13, "never retried"),
        (15, "'her'"),
        (16, "never started"),
        (17, "no steps"),
    ]:
        assert any(mistake.line == line and what in mistake.message for mistake in found), (line, what, text)
    assert "did you mean 'verify'?" in text
    assert "did you mean 'here'?" in text


def test_two_scenarios_of_one_name_are_a_mistake(tmp_path: Path) -> None:
    [mistake] = mistakes(
        tmp_path,
        """
        a = scenario("same").start().returns(1)
        b = scenario("same").start().returns(1)
        """,
    )
    assert "used twice" in mistake.message


def test_two_scenarios_of_one_name_are_a_mistake_whatever_else_is_wrong_with_them(tmp_path: Path) -> None:
    found = mistakes(
        tmp_path,
        """
        a = scenario("same").start().returns(1).delay("-1s")
        b = scenario("same").start().returns(1)
        """,
    )
    assert [(each.line, "used twice" in each.message) for each in found] == [(2, False), (3, True)]


def test_a_missing_file_and_an_empty_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(ScenarioErrors, match=r"nowhere\.py"):
        load_plans([tmp_path / "nowhere.py"], {})
    [mistake] = mistakes(tmp_path, "a = 1")
    assert "no scenario" in mistake.message


def test_properties_come_from_configuration(tmp_path: Path) -> None:
    source = """
        from datetime import timedelta
        a = scenario("a", minions=prop("load.minions", default=2)).start().returns(
            prop("word", type=str)
        ).delay(prop("pace", default="10s", type=timedelta))
        """
    loaded = load(tmp_path, source, **{"word": "hello", "load.minions": "7"})
    assert loaded.plans["a"].minions == 7
    assert loaded.plans["a"].chain[0].spec.value == "hello"
    assert loaded.property_keys == {"word", "load.minions", "pace"}
    [missing] = mistakes(tmp_path, source)
    assert "'word'" in missing.message
    assert missing.line == 4
    [wrong] = mistakes(tmp_path, source, word="x", pace="never")
    assert "'pace'" in wrong.message


def test_a_scenario_file_may_have_the_name_of_a_standard_module(tmp_path: Path) -> None:
    (tmp_path / "random.py").write_text(HEADER + 'a = scenario("a").start().returns(1)\n')
    assert set(load_plans([tmp_path / "random.py"], {}).plans) == {"a"}
    import random

    assert random.random() < 1


def test_a_secret_property_is_not_shown_when_it_is_wrong(tmp_path: Path) -> None:
    [mistake] = mistakes(
        tmp_path,
        """
        a = scenario("a").start().returns(prop("shop.password", type=int))
        """,
        **{"shop.password": "hunter2"},
    )
    assert "hunter2" not in str(mistake)


def test_a_client_that_only_a_journey_uses_declares_its_properties(tmp_path: Path) -> None:
    source = """
        from qalipsis.plugins import http
        shop = http.client(prop("shop.url", type=str))

        @journey("browse")
        async def browse(minion):
            await minion.do(shop.get("/"))
        """
    assert load(tmp_path, source, **{"shop.url": "http://127.0.0.1"}).property_keys == {"shop.url"}
    [missing] = mistakes(tmp_path, source)
    assert "'shop.url'" in missing.message


def test_a_coroutine_function_where_none_is_awaited_is_a_mistake(tmp_path: Path) -> None:
    [mistake] = mistakes(
        tmp_path,
        """
        async def check(value): return False
        a = scenario("a").start().returns(1).verify(check)
        """,
    )
    assert "execute" in mistake.hint


def test_expectations_inside_branches_count(tmp_path: Path) -> None:
    loaded = load(
        tmp_path,
        """
        a = scenario("a").start().stage(
            "st", lambda c: c.returns(1).named("one").expect(step("one").failed_share.is_less_than(0.5))
        )
        """,
    )
    assert len(loaded.plans["a"].expectations) == 1


def test_what_cannot_be_called_as_a_verb_calls_it_is_a_mistake(tmp_path: Path) -> None:
    found = mistakes(
        tmp_path,
        """
        a = (
            scenario("a").start()
            .map(5)
            .verify(lambda value, other, third: True)
            .filter(lambda: True)
            .recover(lambda context, errors: 1)
            .on_each(print)
            .map(str)
            .map(lambda value, default=3: value)
            .map(lambda context, value: value)
            .counter("c", lambda *values: 1)
        )
        """,
    )
    assert [(mistake.line, mistake.message) for mistake in found] == [
        (4, "map needs a function of (value) or (context, value), not 5"),
        (
            5,
            "verify calls its function with (value) or (context, value), "
            "and this one takes (value, other, third)",
        ),
        (6, "filter calls its function with (value) or (context, value), and this one takes ()"),
        (7, "recover calls its function with (errors), and this one takes (context, errors)"),
    ]


def test_a_journey_needs_a_name_and_a_function_of_the_minion(tmp_path: Path) -> None:
    found = mistakes(
        tmp_path,
        """
        from qalipsis import journey

        @journey
        async def nameless(minion): ...

        @journey("lonely")
        async def lonely(): ...
        """,
    )
    assert [mistake.message for mistake in found] == [
        "the journey has no name",
        "journey calls its function with (minion), and this one takes ()",
    ]


def test_what_is_wrong_with_a_client_is_told_once_where_it_was_made(tmp_path: Path) -> None:
    [mistake] = mistakes(
        tmp_path,
        """
        from qalipsis.plugins import http
        shop = http.client("http://shop", timeout="-1s")
        a = scenario("a").start().then(shop.get("/")).then(shop.get("/basket"))
        """,
    )
    assert (mistake.line, mistake.message) == (
        3,
        "http.client timeout cannot be negative: '-1s'; write how long, such as '1s'",
    )


def test_a_value_that_is_missing_is_told_once_and_not_complained_about(tmp_path: Path) -> None:
    [mistake] = mistakes(
        tmp_path,
        """
        from qalipsis import prop
        from qalipsis.plugins import http
        shop = http.client(prop("shop.url"))
        a = scenario("a").start().then(shop.get("/")).then(shop.get("/basket"))
        """,
    )
    assert "'shop.url' is not configured" in mistake.message


def test_a_value_of_the_wrong_type_is_all_there_is_to_say(tmp_path: Path) -> None:
    source = """
        from qalipsis import profile, prop, step
        n = prop("n", default=1)
        a = (
            scenario("a", minions=n, profile=profile.arrival_rate(n, over=n)).start()
            .pipe().named("p").iterate(n, period=n).timeout(n).tolerate(n)
            .expect(step("p").failed_share.is_less_than(n))
        )
        """
    assert {mistake.message for mistake in mistakes(tmp_path, source, n="many")} == {
        "the property 'n' should be of type int, not 'many'"
    }


def test_an_unknown_verb_is_not_also_a_missing_step(tmp_path: Path) -> None:
    [mistake] = mistakes(tmp_path, 'a = scenario("a").start().mapp(str)')
    assert mistake.message == "there is no step verb 'mapp'"


@pytest.mark.parametrize(
    ("condition", "what"),
    [
        ('step("p").latency.p95.is_less_than("1s")', "write percentile(95)"),
        ('step("p").executions.count.is_greater_than(1)', "there are is_between, is_equal"),
        ('step("p").failures.is_less_than(1)', "executions, failed_share, latency, service_time"),
    ],
)
def test_a_condition_that_there_is_not_names_those_there_are(
    tmp_path: Path, condition: str, what: str
) -> None:
    [mistake] = mistakes(
        tmp_path,
        f"""
        from qalipsis import step
        a = scenario("a").start().pipe().named("p").expect({condition})
        """,
    )
    assert what in mistake.message


def test_should_satisfy_without_a_condition_is_a_mistake(tmp_path: Path) -> None:
    [mistake] = mistakes(
        tmp_path,
        'a = scenario("a").start().pipe().counter("c").should_satisfy(lambda counter: counter.value)',
    )
    assert mistake.message == "should_satisfy needs a condition"


def test_a_file_named_like_a_standard_module_does_not_take_its_place(tmp_path: Path) -> None:
    source = 'a = scenario("a").start().pipe()\n'
    (tmp_path / "wave.py").write_text(HEADER + source)
    (tmp_path / "uses.py").write_text(HEADER + "import wave\nwave.Wave_read\n" + source.replace('"a"', '"b"'))
    assert set(load_plans([tmp_path], {}).plans) == {"a", "b"}
