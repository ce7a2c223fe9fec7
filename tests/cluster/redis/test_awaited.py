"""When an answer of Redis is late."""

import pytest

from qalipsis.cluster.redis.awaited import Awaited


def test_who_asks_nothing_waits_for_nothing() -> None:
    assert not Awaited().is_late(1e9)


def test_an_answer_is_late_from_its_moment_until_it_comes() -> None:
    awaited = Awaited()
    with awaited.until(10.0):
        assert (awaited.is_late(9.99), awaited.is_late(10.0)) == (False, True)
    assert not awaited.is_late(11.0)


def test_one_late_answer_of_several_is_enough() -> None:
    awaited = Awaited()
    with awaited.until(10.0):
        with awaited.until(10.0), awaited.until(20.0):
            assert awaited.is_late(15.0)
        assert awaited.is_late(15.0)
    assert not awaited.is_late(15.0)


def test_a_request_that_fails_waits_no_longer() -> None:
    awaited = Awaited()
    with pytest.raises(TimeoutError), awaited.until(10.0):
        raise TimeoutError
    assert not awaited.is_late(15.0)
