"""When a factory may send."""

from __future__ import annotations

from math import inf

from qalipsis.factory.lease import Lease, granted


def test_sending_ends_at_eight_tenths_of_the_lease() -> None:
    lease = granted(100.0, 15.0)
    assert lease == Lease(112.0)
    assert not lease.has_ended(111.999)
    assert lease.has_ended(112.0)


def test_a_lease_without_a_length_never_ends() -> None:
    assert not granted(100.0, None).has_ended(1e9)


def test_a_renewal_counts_from_the_moment_the_heartbeat_was_sent() -> None:
    assert granted(100.0, 15.0).renewed(104.0, 15.0, now=110.0) == Lease(116.0)


def test_a_lease_never_becomes_shorter() -> None:
    lease = granted(100.0, 15.0)
    assert lease.renewed(90.0, 15.0, now=101.0) == lease
    assert lease.renewed(101.0, 1.0, now=102.0) == lease
    assert Lease(inf).renewed(101.0, 15.0, now=102.0) == Lease(inf)


def test_a_lease_that_has_ended_is_never_renewed() -> None:
    lease = granted(100.0, 15.0)
    for now in (112.0, 120.0):
        assert lease.renewed(111.9, 15.0, now) == lease
        assert lease.renewed(now, None, now) == lease


def test_a_heartbeat_from_the_future_renews_from_now() -> None:
    assert granted(100.0, 15.0).renewed(500.0, 15.0, now=101.0) == Lease(113.0)
