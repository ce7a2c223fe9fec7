import pytest

from qalipsis.metrics.records import RECORD, RecordBuffer


def test_a_record_comes_out_as_it_went_in() -> None:
    records = RecordBuffer()
    records.add(12, 404, 1.0, 2.0, 3.0, 4.0, 5.0, 60, 70)
    records.add(0, 0, 1.5, 2.5, 0.0, 0.0, 5.5, 0, 0)
    assert len(records) == 2
    first, second = records.drain()
    assert first.tolist() == (12_404, 1.0, 2.0, 3.0, 4.0, 5.0, 60, 70)
    assert second["tag"] == 0
    assert len(records) == 0


def test_the_buffer_grows_until_it_is_drained() -> None:
    records = RecordBuffer()
    for at in range(10_000):
        records.add(1, 200, at, at, at, at, at, 0, 0)
    assert len(records) == 10_000
    drained = records.drain()
    assert drained.dtype == RECORD
    assert drained["due"].sum() == pytest.approx(sum(range(10_000)))


def test_what_was_drained_stays_while_new_records_come() -> None:
    records = RecordBuffer()
    records.add(1, 200, 1.0, 1.0, 1.0, 1.0, 1.0, 0, 0)
    drained = records.drain()
    records.add(2, 200, 9.0, 9.0, 9.0, 9.0, 9.0, 0, 0)
    assert drained["due"].tolist() == [1.0]
