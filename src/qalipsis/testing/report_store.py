"""What every store of reports promises."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from msgspec.structs import replace

from qalipsis.head.refusals import NotThere, Stale
from qalipsis.head.report_store import ReportStore
from qalipsis.head.report_task import COMPLETED, FAILED, PROCESSING
from qalipsis.head.report_template import Component, ReportTemplate


async def check_reports(store: ReportStore) -> None:
    """Reports are kept whole, changed by one at a time; renderings go with them."""
    new = ReportTemplate(
        reference=uuid4().hex,
        creator="someone",
        display_name="Nightly",
        campaign_keys=("a", "b"),
        components=(
            Component(type="DIAGRAM", data_series=("x", "y")),
            Component(type="DATA_TABLE", data_series=("x",)),
        ),
    )
    added = await store.add(new)
    assert replace(added, creation=new.creation, version=new.version) == new
    other = await store.add(replace(new, reference=uuid4().hex, components=()))
    assert [each for each in await store.all() if each in (added, other)] == [added, other]
    changed = await store.replace(replace(added, description="later", components=added.components[1:]))
    assert await store.find(added.reference) == changed
    assert (changed.description, len(changed.components)) == ("later", 1)
    assert changed.version > added.version
    await _raises(Stale, store.replace(added))
    await _raises(NotThere, store.replace(replace(added, reference=uuid4().hex)))
    await _check_tasks(store, changed.reference)
    await store.delete(changed.reference)
    await store.delete(changed.reference)
    assert await store.find(changed.reference) is None
    assert await store.find(other.reference) == other


async def _check_tasks(store: ReportStore, report: str) -> None:
    done, failed, gone = (uuid4().hex for _ in range(3))
    for reference in (done, failed, gone):
        task = await store.begin(reference, report, "someone")
        assert (task.reference, task.report, task.creator, task.status) == (
            reference,
            report,
            "someone",
            PROCESSING,
        )
    assert await store.file(done) is None
    await store.finish(done, b"%PDF \x00\xff")
    await store.fail(failed, "no memory")
    await store.fail(done, "too late")
    await store.finish(failed, b"too late")
    await store.finish(uuid4().hex, b"of nobody")
    found = [await store.task(reference) for reference in (done, failed, gone)]
    assert [each and (each.status, each.failure_reason) for each in found] == [
        (COMPLETED, None),
        (FAILED, "no memory"),
        (PROCESSING, None),
    ]
    assert await store.file(done) == b"%PDF \x00\xff"
    assert await store.file(failed) is None
    await _raises(NotThere, store.begin(uuid4().hex, uuid4().hex, "someone"))
    long_ago = datetime.now(UTC) - timedelta(days=1)
    await store.forget(1000, long_ago)
    assert await store.file(done) is not None
    await store.forget(2, long_ago)
    assert [await store.task(done) is None, await store.task(gone) is None] == [True, False]
    assert await store.file(done) is None
    await store.forget(1000, datetime.now(UTC) + timedelta(days=1))
    assert await store.task(gone) is None
    await store.finish(gone, b"too late")


async def _raises(kind: type[Exception], call: object) -> None:
    try:
        await call  # type: ignore[misc]
    except kind:
        return
    raise AssertionError(f"no {kind.__name__} was raised")
