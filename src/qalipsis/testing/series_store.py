"""What every store of data series promises."""

from __future__ import annotations

from uuid import uuid4

from msgspec.structs import replace

from qalipsis.head.data_series import DataSeries, Filter
from qalipsis.head.refusals import NotThere, Stale
from qalipsis.head.series_store import SeriesStore


async def check_series(store: SeriesStore) -> None:
    """They are kept whole, changed by one at a time, and gone when they are deleted."""
    reference = uuid4().hex
    new = DataSeries(
        reference=reference,
        creator="someone",
        display_name="Späte \ud800 Antworten \0" * 8,
        data_type="METERS",
        value_name="step.latency",
        filters=(Filter(name="step", operator="IS_IN", value="pay,buy"),),
        color_opacity=50,
    )
    added = await store.add(new)
    assert added.filters == new.filters
    assert await store.add(replace(new, display_name="another")) == added
    assert [each for each in await store.all() if each.reference == reference] == [added]
    changed = await store.replace(replace(added, display_name="later", color="#000000"))
    assert (changed.display_name, changed.color, changed.creation) == ("later", "#000000", added.creation)
    assert changed.version > added.version
    for stale, kind in ((added, Stale), (replace(changed, reference=uuid4().hex), NotThere)):
        try:
            await store.replace(stale)
        except kind:
            continue
        raise AssertionError(f"no {kind.__name__} was raised")
    assert changed in await store.all()
    await store.delete(reference)
    await store.delete(reference)
    assert reference not in {each.reference for each in await store.all()}
