"""What is known of minions that are started again."""

from __future__ import annotations

import msgspec

from qalipsis.head.assignment import Assignment
from qalipsis.head.restarts import Restarts
from tests.head.stage import row

FLEET = Assignment({"shop": 12}, {"": 3}, {"a": 0, "b": 1, "c": 2})
A, B, C = range(1), range(1, 2), range(2, 3)


def after_the_loss_of_a() -> Restarts:
    restarts = Restarts()
    dealt = restarts.deal(FLEET, {0: {"shop": row(minions_started=4, minions_completed=2)}}, [1, 2])
    assert dealt.walking == {("b", "shop"), ("c", "shop")}
    for factory in dealt.directives:
        restarts.ordered(f"to {factory}", 1)
    return restarts


def test_a_scenario_has_ended_where_it_was_said() -> None:
    restarts = Restarts()
    assert not restarts.has_ended("a", A, "shop")
    restarts.say_ended("a", "shop", 0)
    assert restarts.has_ended("a", A, "shop")
    assert not restarts.has_ended("b", B, "shop")
    assert not restarts.has_ended("a", A, "search")


def test_an_end_that_crossed_an_order_is_no_end() -> None:
    restarts = after_the_loss_of_a()
    restarts.say_ended("b", "shop", 0)
    assert not restarts.has_ended("b", B, "shop")
    restarts.say_ended("b", "shop", 1)
    restarts.say_ended("b", "shop", 0)  # an older one that comes again
    assert restarts.has_ended("b", B, "shop")
    assert not restarts.has_ended("c", C, "shop")


def test_what_is_refused_need_not_end_once_more() -> None:
    restarts = after_the_loss_of_a()
    restarts.say_ended("b", "shop", 0)
    assert restarts.refuse(FLEET, "b", "to b") == {"shop": 1}
    assert restarts.has_ended("b", B, "shop")
    assert restarts.orders == {"to c": 1}


def test_a_worker_is_dealt_with_once() -> None:
    restarts = after_the_loss_of_a()
    before = restarts.book
    dealt = restarts.deal(FLEET, {0: {}}, [1, 2])
    assert (dealt.directives, restarts.book) == ({}, before)


def test_all_of_it_comes_back_from_a_checkpoint() -> None:
    restarts = after_the_loss_of_a()
    restarts.say_ended("c", "shop", 1)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(restarts), type=Restarts) == restarts
