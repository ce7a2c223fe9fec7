"""What every store promises, as checks that any of them must pass.

    async def test_my_store_keeps_its_promise() -> None:
        async with open_my_store() as store:
            await check_store(store)

The checks use campaigns and zones of their own, so the store may hold others, and any number of checks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from math import inf, nan
from typing import Final
from uuid import uuid4

import msgspec

from qalipsis.errors import CampaignRefused, ConfigurationError
from qalipsis.head.campaign_list import CampaignQuery, CampaignRecord, CampaignScenario, NewCampaign
from qalipsis.head.meter_series import Meter, MeterQuery
from qalipsis.head.ownership import Claim, Commit, Fenced
from qalipsis.head.store import Store
from qalipsis.head.zones import Zone
from qalipsis.metrics.ledger import Books, MinionBooks
from qalipsis.reports.model import (
    CampaignInfo,
    Executions,
    FactoryReport,
    Message,
    Report,
    ScenarioReport,
    Second,
    StepReport,
    Verdict,
)

Check = Callable[[Store], Awaitable[None]]

LEASE_SECONDS: Final = 30.0
SHORT_LEASE_SECONDS: Final = 0.5
AT: Final = 1_700_000_000.0


async def check_store(store: Store) -> None:
    """Hold a store against all that `head.store.Store` promises; raises AssertionError where it fails."""
    for check in CHECKS:
        await check(store)


# A campaign that one process drives


async def check_timeline(store: Store) -> None:
    """The timeline comes back as it was saved, and a second that is saved again stays one."""
    one, other = _key(), _key()
    await store.save_seconds(one, [_second(0), _second(1)])
    await store.save_seconds(other, [_second(7)])
    await store.save_seconds(one, [_second(1), _second(2)])
    await store.save_seconds(one, [])
    assert await store.seconds(one) == (_second(0), _second(1), _second(2))
    assert await store.seconds(other) == (_second(7),)
    assert await store.seconds(_key()) == ()


async def check_states(store: Store) -> None:
    """A campaign is known by its first state; its start and its end are the moments of the first time."""
    key = _key()
    assert await store.campaign(key) is None
    states = (
        ("PREPARING", "QUEUED"),
        ("RUNNING", "IN_PROGRESS"),
        ("DRAINING", "IN_PROGRESS"),
        ("FAILED", "FAILED"),
    )
    for second, (state, status) in enumerate(states):
        for again in (0, 0.5):
            await store.save_state(key, state, AT + second + again)
        record = await _known(store, key)
        assert (record.state, record.status) == (state, status)
    record = await _known(store, key)
    assert (record.start, record.end) == (_moment(1), _moment(3))


async def check_outcome(store: Store) -> None:
    """Who stopped a campaign and why it failed stay as they were first told."""
    key = _key()
    await store.save_outcome(key, aborter="nobody")
    assert await store.campaign(key) is None
    await store.save_state(key, "RUNNING", AT)
    await store.save_outcome(key, aborter="alice")
    await store.save_outcome(key, aborter="bob", failure_reason="no \0 power")
    record = await _known(store, key)
    assert record.aborter == "alice"
    assert record.failure_reason is not None
    assert record.failure_reason.startswith("no ")


async def check_report(store: Store) -> None:
    """The report comes back as it was, whatever people wrote in it, and the first one stays."""
    report = sample_report(_key())
    assert await store.report(report.campaign.key) is None
    await store.save_state(report.campaign.key, "COMPLETED", AT)
    await store.save_report(report)
    await store.save_report(report)
    await store.save_report(sample_report(report.campaign.key, status="ABORTED"))
    assert await store.report(report.campaign.key) == report
    record = await _known(store, report.campaign.key)
    assert (record.name, record.status) == (report.campaign.name, "WARNING")


# What is known of campaigns


async def check_campaign(store: Store) -> None:
    """What was asked for comes back, and a key is taken once."""
    new = _campaign()
    created = await store.create_campaign(new)
    assert created == await store.campaign(new.key)
    asked = {name: getattr(created, name) for name in NewCampaign.__struct_fields__}
    assert NewCampaign(**asked) == new
    assert (created.state, created.status, created.epoch, created.owner) == ("SCHEDULED", "QUEUED", 0, None)
    assert created.creation.utcoffset() == timedelta(0)
    error = await _refused(CampaignRefused, store.create_campaign(new))
    assert new.key in str(error)


async def check_racing_creations(store: Store) -> None:
    """Of several heads that create the same campaign at once, one does, and what it asked for is kept."""
    asked = [msgspec.structs.replace(_campaign(name=f"by head {i}"), key="") for i in range(10)]
    key = _key()
    results = await asyncio.gather(
        *(store.create_campaign(msgspec.structs.replace(each, key=key)) for each in asked),
        return_exceptions=True,
    )
    (won,) = [result for result in results if isinstance(result, CampaignRecord)]
    assert sum(isinstance(result, CampaignRefused) for result in results) == 9
    assert await store.campaign(key) == won


async def check_scheduled(store: Store) -> None:
    """What is scheduled is found by when it is due, may be put off, and aborted before it is claimable."""
    mark = uuid4().hex
    now = datetime.now(UTC)
    days = (3, 1, 2)
    keys = [
        (await store.create_campaign(_campaign(mark, scheduled_at=now + timedelta(days=day)))).key
        for day in days
    ]
    query = CampaignQuery(
        filters=(mark,), excluded_statuses=("QUEUED",), sort="scheduled_at", descending=False, size=2
    )
    assert [each.key for each in (await store.campaigns(query)).elements] == [keys[1], keys[2]]
    put_off = msgspec.structs.replace(_campaign(mark, scheduled_at=now + timedelta(days=4)), key=keys[1])
    assert (await store.reschedule(put_off)).scheduled_at == put_off.scheduled_at
    assert [each.key for each in (await store.campaigns(query)).elements] == [keys[2], keys[0]]
    claim = await _claimed(store, keys[2])
    await store.release(await store.commit(claim, Commit(state="ABORTED", at=AT, aborter="me")))
    record = await _known(store, keys[2])
    assert (record.status, record.start, record.aborter) == ("ABORTED", None, "me")
    assert "ABORTED" in str(await _refused(CampaignRefused, store.reschedule(record)))
    assert not {*keys} & {*await store.claimable()}
    due = msgspec.structs.replace(put_off, scheduled_at=now - timedelta(seconds=1))
    assert (await store.reschedule(due)).status == "SCHEDULED"
    assert keys[1] in await store.claimable()


async def check_racing_reschedule(store: Store) -> None:
    """A campaign is either changed or claimed: who claims it knows what it was asked for last."""
    for _ in range(5):
        new = _campaign(scheduled_at=datetime.now(UTC))
        await store.create_campaign(new)
        changed = msgspec.structs.replace(new, name="changed")
        answer, claim = await asyncio.gather(
            store.reschedule(changed), store.claim(new.key, "head", LEASE_SECONDS), return_exceptions=True
        )
        assert isinstance(claim, Claim)
        record = await _known(store, new.key)
        assert record.name == ("changed" if isinstance(answer, CampaignRecord) else new.name)
        assert isinstance(answer, CampaignRecord | CampaignRefused)


async def check_reschedule(store: Store) -> None:
    """A campaign that waits may be asked for in another way, one that somebody has begun may not."""
    new = _campaign(scheduled_at=datetime.now(UTC) + timedelta(days=1))
    created = await store.create_campaign(new)
    assert created.status == "SCHEDULED"
    changed = msgspec.structs.replace(
        new, name="changed", scenarios=(CampaignScenario(name="other", minions=1),), scheduled_at=None
    )
    record = await store.reschedule(changed)
    assert (record.name, record.scenarios, record.status) == ("changed", changed.scenarios, "QUEUED")
    assert (record.creation, record.version > created.version) == (created.creation, True)
    await _claimed(store, new.key)
    error = await _refused(CampaignRefused, store.reschedule(new))
    assert "QUEUED" in str(error)
    assert "there is no campaign" in str(await _refused(CampaignRefused, store.reschedule(_campaign())))


async def check_pages(store: Store) -> None:
    """Campaigns are filtered, sorted and served by page; those without a value to sort by come last."""
    mark = uuid4().hex
    names = [f"{mark} {name}" for name in ("b", "C%", "a_", "d")]
    for name in names:
        await store.create_campaign(_campaign(name=name))
    everything = CampaignQuery(filters=(f"{mark}*",), sort="name", descending=False)

    async def listed(query: CampaignQuery) -> list[str]:
        return [record.name.removeprefix(f"{mark} ") for record in (await store.campaigns(query)).elements]

    query = CampaignQuery(filters=(f"{mark}*",))
    assert await listed(query) == ["d", "a_", "C%", "b"]
    page = await store.campaigns(CampaignQuery(filters=query.filters, page=1, size=3))
    assert ([record.name for record in page.elements], page.total, page.total_pages) == ([names[0]], 4, 2)
    assert await listed(CampaignQuery(filters=(f"{mark.upper()} ?_", f"{mark} c%"))) == ["a_", "C%"]
    assert await listed(CampaignQuery(filters=(f"{mark} _", f"{mark} %", mark))) == []
    first, last = (await store.campaigns(everything)).elements[0], (await store.campaigns(query)).elements[0]
    assert await listed(CampaignQuery(filters=(first.key,))) == [first.name.removeprefix(f"{mark} ")]
    await store.save_state(first.key, "RUNNING", AT)
    await store.save_state(last.key, "RUNNING", AT + 1)
    by_start = [
        await listed(CampaignQuery(filters=query.filters, sort="start", descending=down))
        for down in (True, False)
    ]
    by_start_names = [[name.removeprefix(f"{mark} ") for name in (last.name, first.name)] for _ in range(2)]
    by_start_names[1].reverse()
    assert [found[:2] for found in by_start] == by_start_names
    assert len(await listed(CampaignQuery(filters=query.filters, excluded_statuses=("QUEUED",)))) == 2


async def check_scenarios_and_configurers_are_filtered(store: Store) -> None:
    """A campaign is found by one of its scenarios, and by who asked for it."""
    mark = uuid4().hex
    scenarios = (CampaignScenario(name="x", minions=1), CampaignScenario(name=f"buy {mark}", minions=1))
    key = (await store.create_campaign(_campaign(scenarios=scenarios, configurer=f"{mark}@shop"))).key
    for text in (f"BUY {mark}", f"{mark}@*"):
        found = await store.campaigns(CampaignQuery(filters=(text,)))
        assert [record.key for record in found.elements] == [key]


# Who drives a campaign


async def check_one_claim(store: Store) -> None:
    """Of twenty heads that claim at once, exactly one succeeds."""
    key = (await store.create_campaign(_campaign())).key
    claims = await asyncio.gather(*(store.claim(key, f"head-{i}", LEASE_SECONDS) for i in range(20)))
    (won,) = [claim for claim in claims if claim is not None]
    record = await _known(store, key)
    assert (won.epoch, won.head, won.version) == (record.epoch, record.owner, record.version)
    assert await store.claim(_key(), "head", LEASE_SECONDS) is None


async def check_lease(store: Store) -> None:
    """A lease keeps others away until it ends; then the next epoch begins, and the one before is over."""
    key = (await store.create_campaign(_campaign())).key
    first = await _claimed(store, key, "first", SHORT_LEASE_SECONDS)
    for _ in range(4):
        await asyncio.sleep(0.3 * SHORT_LEASE_SECONDS)
        await store.renew(first)
        assert await store.claim(key, "second", LEASE_SECONDS) is None
        assert key not in await store.claimable()
    await asyncio.sleep(1.1 * SHORT_LEASE_SECONDS)
    assert key in await store.claimable()
    await store.renew(first)  # nobody came: it may go on
    assert await store.claim(key, "second", LEASE_SECONDS) is None
    await asyncio.sleep(1.1 * SHORT_LEASE_SECONDS)
    second = await _claimed(store, key, "second")
    assert second.epoch == first.epoch + 1
    await _refused(Fenced, store.renew(first))
    await store.release(first)
    await store.renew(second)


async def check_release(store: Store) -> None:
    """Who lets go lets others in at once, and cannot write any more."""
    key = (await store.create_campaign(_campaign())).key
    first = await _claimed(store, key)
    await store.release(first)
    await store.release(first)
    assert key in await store.claimable()
    await _refused(Fenced, store.commit(first, Commit(state="RUNNING", at=AT)))
    await _refused(Fenced, store.renew(first))
    assert (await _claimed(store, key)).epoch == first.epoch + 1


async def check_claimable(store: Store) -> None:
    """Campaigns are claimed when they are due and not over: those that were begun, then the oldest first."""
    now = datetime.now(UTC)
    late, due, over, first, begun = [
        (await store.create_campaign(_campaign(scheduled_at=at))).key
        for at in (now + timedelta(days=1), now - timedelta(days=1), None, None, None)
    ]
    for key, state in ((over, "ABORTED"), (begun, "RUNNING")):
        claim = await store.commit(await _claimed(store, key), Commit(state=state, at=AT))
        await store.release(claim)
    assert await store.claim(over, "head", LEASE_SECONDS) is None
    found = await store.claimable()
    assert [key for key in found if key in (late, due, over, first, begun)] == [begun, due, first]
    assert (
        await store.claim(late, "head", LEASE_SECONDS) is not None
    )  # by a head that cancels it, for example


async def check_commit(store: Store) -> None:
    """A commit writes all of itself, and the next one needs the claim that it returns."""
    key = (await store.create_campaign(_campaign())).key
    claim = await _claimed(store, key)
    assert (await store.checkpoint(key), await store.watermarks(key)) == (None, {})
    first = await store.commit(claim, _full_commit("RUNNING", key))
    assert first.version > claim.version
    assert await store.checkpoint(key) == b"\x00\xff RUNNING"
    assert await store.watermarks(key) == {("node-1", 2**40): 2**41, ("node-2", 1): 1}
    assert await store.seconds(key) == (_second(0),)
    assert await _bodies(store, key) == [b"1", b"2", b"3"]
    second = await store.commit(
        first, Commit(state="DRAINING", at=AT + 1, failure_reason="lost", aborter="me")
    )
    record = await _known(store, key)
    assert (record.state, record.start, record.end) == ("DRAINING", _moment(0), None)
    assert (record.failure_reason, record.aborter, record.version) == ("lost", "me", second.version)
    assert await store.checkpoint(key) == b"\x00\xff RUNNING"
    report = sample_report(key)
    await store.commit(second, Commit(state="COMPLETED", at=AT + 2, report=report))
    record = await _known(store, key)
    assert (record.status, record.end, record.failure_reason) == ("WARNING", _moment(2), "lost")
    assert await store.report(key) == report


async def check_fencing(store: Store) -> None:
    """A stale head changes nothing, whether another head came or it lost count itself."""
    key = (await store.create_campaign(_campaign())).key
    stale = await _claimed(store, key, "stale", SHORT_LEASE_SECONDS)
    await asyncio.sleep(1.1 * SHORT_LEASE_SECONDS)
    fresh = await _claimed(store, key, "fresh")
    before = await store.campaign(key)
    error = await _refused(Fenced, store.commit(stale, _full_commit("FAILED", key)))
    assert all(part in str(error) for part in (key, "stale", "fresh"))
    assert await store.campaign(key) == before
    assert (await store.checkpoint(key), await store.watermarks(key)) == (None, {})
    assert (await store.seconds(key), await _bodies(store, key), await store.report(key)) == ((), [], None)
    current = await store.commit(fresh, Commit(state="RUNNING", at=AT))
    await _refused(Fenced, store.commit(fresh, Commit(state="ABORTED", at=AT)))
    assert (await store.commit(current, Commit(state="DRAINING", at=AT))).epoch == fresh.epoch
    await _refused(Fenced, store.commit(_unknown(fresh), Commit(state="RUNNING", at=AT)))
    await _refused(Fenced, store.renew(_unknown(fresh)))
    await store.release(_unknown(fresh))


async def check_repeated_commit(store: Store) -> None:
    """A commit whose answer was lost may be repeated: it is written once, and the answer is the same."""
    key = (await store.create_campaign(_campaign())).key
    claim = await _claimed(store, key)
    commit = _full_commit("RUNNING", key)
    first = await store.commit(claim, commit)
    assert await store.commit(claim, commit) == first
    assert await _bodies(store, key) == [b"1", b"2", b"3"]
    second = await store.commit(first, Commit(state="DRAINING", at=AT))
    await _refused(Fenced, store.commit(claim, commit))
    await store.renew(second)


async def check_racing_commits(store: Store) -> None:
    """Of several commits from the same claim, one is written."""
    key = (await store.create_campaign(_campaign())).key
    claim = await _claimed(store, key)
    commits = [Commit(state="RUNNING", at=AT, outgoing=((key, bytes([i])),)) for i in range(10)]
    results = await asyncio.gather(*(store.commit(claim, each) for each in commits), return_exceptions=True)
    assert sum(isinstance(result, Claim) for result in results) == 1
    assert sum(isinstance(result, Fenced) for result in results) == 9
    assert len(await _bodies(store, key)) == 1


async def check_watermarks(store: Store) -> None:
    """A watermark only rises, each source and incarnation by itself."""
    key = (await store.create_campaign(_campaign())).key
    claim = await _claimed(store, key)
    for sequence in (5, 3, 9):
        marks = {("a", 1): sequence, ("a", 2): 10 - sequence}
        claim = await store.commit(claim, Commit(state="RUNNING", at=AT, watermarks=marks))
    assert await store.watermarks(key) == {("a", 1): 9, ("a", 2): 7}


async def check_outgoing(store: Store) -> None:
    """Messages wait in their order until they are known to be sent, also those of campaigns that are over."""
    key = (await store.create_campaign(_campaign())).key
    claim = await _claimed(store, key)
    for first in (0, 3):
        bodies = tuple((key, bytes([number])) for number in range(first, first + 3))
        claim = await store.commit(claim, Commit(state="RUNNING", at=AT, outgoing=bodies))
    await store.commit(claim, Commit(state="FAILED", at=AT))
    mine = await store.outgoing(key, 1000)
    assert [each.body for each in mine] == [bytes([number]) for number in range(6)]
    assert len(await store.outgoing(key, 2)) == 2
    await store.sent([each.id for each in mine[:2]])
    await store.sent([each.id for each in mine[:2]])
    await store.sent([])
    assert await _bodies(store, key) == [bytes([number]) for number in range(2, 6)]
    await store.sent([each.id for each in mine])
    assert await _bodies(store, key) == []


async def check_ownerless_outgoing(store: Store) -> None:
    """What the last commit of a head that died then had to say is forgotten, nothing that somebody sends."""
    over, left, owned = [(await store.create_campaign(_campaign())).key for _ in range(3)]
    for key, state, seconds in (
        (over, "FAILED", SHORT_LEASE_SECONDS),
        (left, "RUNNING", SHORT_LEASE_SECONDS),
        (owned, "FAILED", LEASE_SECONDS),
    ):
        claim = await _claimed(store, key, lease_seconds=seconds)
        await store.commit(claim, Commit(state=state, at=AT, outgoing=((key, b"1"),)))
    assert [await _bodies(store, key) for key in (over, left, owned)] == [[b"1"]] * 3
    await asyncio.sleep(1.1 * SHORT_LEASE_SECONDS)
    await _claimed(store, (await store.create_campaign(_campaign())).key)
    assert [await _bodies(store, key) for key in (over, left, owned)] == [[], [b"1"], [b"1"]]


# Zones and meters


async def check_zones(store: Store) -> None:
    """Zones are kept when they are disabled, and can be enabled again; a key is taken once."""
    zone = Zone(
        key=_key()[:50], title="West " + "Europe " * 100, description=None, image_path="https://x/y.png"
    )
    await store.add_zone(zone)
    assert zone in await store.zones()
    disabled = await store.enable_zone(zone.key, enabled=False)
    assert disabled == msgspec.structs.replace(zone, enabled=False)
    assert await store.enable_zone(zone.key, enabled=False) == disabled
    found = await store.zones()
    assert disabled in found
    assert [each.key for each in found] == sorted(each.key for each in found)
    assert await store.enable_zone(zone.key, enabled=True) == zone
    for bad in (zone, Zone(key="x" * 51, title="too long"), Zone(key="", title="empty")):
        await _refused(ConfigurationError, store.add_zone(bad))
    error = await _refused(ConfigurationError, store.enable_zone("nowhere", enabled=True))
    assert zone.key in str(error)


async def check_meters(store: Store) -> None:
    """Meters are found by campaign, name, scenario and time, and saved once."""
    one, other = _key(), _key()
    meters = [
        Meter(
            name=name,
            at=_moment(second),
            type="timer",
            scenario="buy",
            tags={"step": "a" * 5000, "zone": "z"},
            count=second,
            mean=0.1,
            max=nan,
            other={"percentile_99.0": 0.5, "odd": inf},
        )
        for second in range(4)
        for name in ("latency", "sent")
    ]
    expected = [msgspec.structs.replace(each, max=None, other={"percentile_99.0": 0.5}) for each in meters]
    await store.save_meters(one, meters[:6])
    await store.save_meters(one, meters)
    await store.save_meters(other, [msgspec.structs.replace(meters[0], scenario="", tags={})])
    assert list(await store.meters(MeterQuery(campaigns=(one,)))) == expected
    assert len(await store.meters(MeterQuery(campaigns=(one, other)))) == 9
    found = await store.meters(
        MeterQuery(
            campaigns=(one, other), names=("sent",), scenarios=("buy",), since=_moment(1), until=_moment(3)
        )
    )
    assert list(found) == [expected[3], expected[5]]
    assert list(await store.meters(MeterQuery(campaigns=(one,), limit=3))) == expected[:3]
    assert await store.meters(MeterQuery(campaigns=())) == ()
    odd = Meter(name="n \0", at=_moment(0), type="gauge", value=1.0)
    await store.save_meters(strange := _key(), [odd])
    (read,) = await store.meters(MeterQuery(campaigns=(strange,)))
    assert await store.meters(MeterQuery(campaigns=(strange,), like=(read,))) == (read,)
    like = await store.meters(MeterQuery(campaigns=(one, other), like=(expected[1],)))
    assert list(like) == expected[1::2]
    samples = await store.meter_samples((one, other, _key()), 100)
    assert sorted((each.name, each.scenario, each.tags.get("zone")) for each in samples) == [
        ("latency", "", None),
        ("latency", "buy", "z"),
        ("sent", "buy", "z"),
    ]
    assert len(await store.meter_samples((one, other), 2)) == 2


async def check_meters_of_zones(store: Store) -> None:
    """The meters of single zones lie beside the fleet's, and are found only by who asks for zones."""
    several, single = _key(), _key()
    whole = [
        Meter(name="minions", at=_moment(t), type="gauge", scenario="buy", tags={"step": "s"}, value=5.0)
        for t in range(3)
    ]
    east, west = (
        [msgspec.structs.replace(each, zone=zone, is_part=True, value=value) for each in whole]
        for zone, value in (("east", 3.0), ("west \0", 2.0))
    )
    for _ in range(2):
        await store.save_meters(several, [*whole, *east, *west])
    assert list(await store.meters(MeterQuery(campaigns=(several,)))) == whole
    assert list(await store.meters(MeterQuery(campaigns=(several,), zones=("east",)))) == east
    both = await store.meters(
        MeterQuery(campaigns=(several,), zones=("east", west[0].zone), like=(whole[0],), since=_moment(2))
    )
    assert sorted((each.value or 0.0, each.is_part) for each in both) == [(2.0, True), (3.0, True)]
    assert await store.meters(MeterQuery(campaigns=(several,), zones=("north",))) == ()
    assert await store.meter_samples((several,), 100) in [(each,) for each in whole]
    # A fleet in one zone is that zone.
    await store.save_meters(single, [msgspec.structs.replace(each, zone="east") for each in whole])
    for zones in ((), ("east",)):
        found = await store.meters(MeterQuery(campaigns=(single,), zones=zones))
        assert [(each.zone, each.is_part) for each in found] == [("east", False)] * 3
    assert await store.meters(MeterQuery(campaigns=(single,), zones=("west",))) == ()
    assert len(await store.meter_samples((single,), 100)) == 1


CHECKS: Final[tuple[Check, ...]] = (
    check_timeline,
    check_states,
    check_outcome,
    check_report,
    check_campaign,
    check_racing_creations,
    check_scheduled,
    check_racing_reschedule,
    check_reschedule,
    check_pages,
    check_scenarios_and_configurers_are_filtered,
    check_one_claim,
    check_lease,
    check_release,
    check_claimable,
    check_commit,
    check_fencing,
    check_repeated_commit,
    check_racing_commits,
    check_watermarks,
    check_outgoing,
    check_ownerless_outgoing,
    check_zones,
    check_meters,
    check_meters_of_zones,
)
"""Each promise by itself, for tests that want to name the broken one."""


def _key() -> str:
    return f"check-{uuid4().hex}"


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(AT + seconds, UTC)


def _second(t: int) -> Second:
    return Second(
        t_s=float(t), offered_per_s=10.0 * t, achieved_per_s=9.5, errors_per_s=0.1, minions=t, p99_ms=1.25
    )


def _campaign(
    name: str = "Spring sale",
    scenarios: tuple[CampaignScenario, ...] = (
        CampaignScenario(name="checkout", minions=1_000_000, zones={"eu-west-1": 60, "us": 40}),
        CampaignScenario(name="browse", minions=1),
    ),
    configurer: str | None = "someone",
    scheduled_at: datetime | None = None,
) -> NewCampaign:
    return NewCampaign(
        key=_key(),
        name=name,
        scenarios=scenarios,
        speed_factor=1.5,
        configuration={"name": name, "odd": "\0 \ud800 ü", "deep": [{"a": None}, 1.5, True]},
        configurer=configurer,
        scheduled_at=scheduled_at,
    )


def sample_report(key: str, status: str = "WARNING") -> Report:
    """The report of a campaign that people wrote odd things into."""
    message = Message(severity="ERROR", text="KeyError: \0 \x1b[31m 'ü' " * 1000, step="pay " * 100)
    executions = Executions(attempted=3, successful=2, failed=1, errors={"timeout": 1})
    books = Books(minions=MinionBooks(scheduled=2, started=2, completed=2))
    scenario = ScenarioReport(
        name="check out \0" * 1000,
        status=status,
        ledger=books,
        steps=(StepReport(name="pay", type="http", executions=executions),),
        messages=(message, message),
    )
    return Report(
        campaign=CampaignInfo(
            key=key,
            name="Spring sale ü",
            status=status,
            start="2026-01-01T00:00:00Z",
            end="2026-01-01T00:00:01Z",
            duration_s=1.0,
        ),
        verdict=Verdict(value="DEGRADED", reasons=("a factory was lost",)),
        ledger=books,
        scenarios=(scenario,),
        timeline=(_second(0),),
        factories=(FactoryReport(node="node-1", workers=2, state="LOST", zone="eu-west-1", ledger=books),),
    )


def _full_commit(state: str, key: str) -> Commit:
    return Commit(
        state=state,
        at=AT,
        checkpoint=b"\x00\xff " + state.encode(),
        seconds=(_second(0),),
        watermarks={("node-1", 2**40): 2**41, ("node-2", 1): 1},
        outgoing=((key, b"1"), (key, b"2"), (key, b"3")),
    )


def _unknown(claim: Claim) -> Claim:
    return Claim(
        campaign=_key(),
        head=claim.head,
        epoch=claim.epoch,
        version=claim.version,
        lease_seconds=claim.lease_seconds,
    )


async def _claimed(store: Store, key: str, head: str = "head", lease_seconds: float = LEASE_SECONDS) -> Claim:
    claim = await store.claim(key, head, lease_seconds)
    assert claim is not None
    return claim


async def _known(store: Store, key: str) -> CampaignRecord:
    record = await store.campaign(key)
    assert record is not None
    return record


async def _bodies(store: Store, campaign: str) -> list[bytes]:
    return [each.body for each in await store.outgoing(campaign, 10_000)]


async def _refused(kind: type[Exception], call: Awaitable[object]) -> Exception:
    try:
        await call
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__} was raised")
