"""Factories in a network that nobody reaches from outside, and that is cut off for a while."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.faults.conftest import OpenCluster
from tests.faults.figures import epoch, measured
from tests.faults.network import RULES, open_network, relay

CUT = """
    flush ruleset
    table inet fence {
        chain outbound { type filter hook output priority 0; policy accept; tcp dport %d drop; }
        chain inbound { type filter hook input priority 0; policy accept; tcp sport %d drop; }
    }
"""


async def test_a_factory_only_connects_outwards(opened: OpenCluster) -> None:
    async with (
        opened(requests=20) as cluster,
        open_network() as network,
        relay(network.outside, cluster.redis.port),
    ):
        listener = network.listen(7777)
        try:
            network.rules("flush ruleset")
            _, connected = await asyncio.open_connection(network.inside, 7777)
            connected.close()
            network.rules(RULES)
            with pytest.raises(OSError):  # so nobody connects to the factory either
                await asyncio.wait_for(asyncio.open_connection(network.inside, 7777), 3.0)
        finally:
            listener.kill()
            listener.communicate()
        await cluster.head("head")
        cluster.factory(
            "one",
            *("-c", f"redis.uri=redis://{network.outside}:{cluster.redis.port}/1"),
            *("-c", f"target=http://{network.outside}:{cluster.target.port}/one"),
            prefix=network.prefix,
        )
        await cluster.until_free("one")
        report = await cluster.ended(await cluster.start())
        assert report["verdict"]["value"] == "VALID"
        assert report["ledger"]["requests"]["ok"] == cluster.target.count() == 400


async def test_a_factory_that_is_cut_off_from_the_broker_stops_before_its_minions_walk_elsewhere(
    opened: OpenCluster,
) -> None:
    """It still reaches the target: only its lease keeps it from doubling the load."""
    async with (
        opened("-c", "head.lease=4s", requests=90, seconds=2) as cluster,
        open_network() as network,
        relay(network.outside, cluster.redis.port),
    ):
        await cluster.head("head")
        cluster.factory(
            "two",
            *("-c", f"redis.uri=redis://{network.outside}:{cluster.redis.port}/1"),
            *("-c", f"target=http://{network.outside}:{cluster.target.port}/two"),
            prefix=network.prefix,
        )
        await cluster.join("one")
        await cluster.until_free("two")
        key = await cluster.start()
        await cluster.until_load(400)
        at_epoch, at = time.time(), time.monotonic()
        network.rules(CUT % (cluster.redis.port, cluster.redis.port))
        await asyncio.sleep(7.0)
        network.rules(f"flush ruleset\n{RULES}")
        sent = cluster.target.senders["two"]
        report = await cluster.ended(key)
        assert sent[-1] - at <= 4.0
        assert cluster.target.peak() <= 1.1 * 200
        lost = next(each for each in report["factories"] if each["node"] == "two")
        assert lost["state"] == "LOST"
        minions = report["ledger"]["minions"]
        assert minions["lost"] + minions["aborted"] == minions["restarted"] == 10
        assert minions["completed"] == 20
        measured(
            "factory cut off from the broker",
            detection_s=epoch(lost["lost_at"]) - at_epoch,
            last_request_s=sent[-1] - at,
            peak_per_cent=100 * cluster.target.peak() / 200,
        )
        await cluster.until_free("one", "two")
        cluster.target.forget()
        again = await cluster.ended(await cluster.start(20, "arrive"))
        assert again["ledger"]["requests"]["ok"] == cluster.target.count() == 200
        assert set(cluster.target.senders) == {"one", "two"}
