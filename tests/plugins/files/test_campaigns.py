"""Files in whole campaigns: minions of one and of several workers take their records."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from pathlib import Path

import pytest

from qalipsis.errors import ScenarioErrors, ServiceUnavailable

from .campaign import run, step

TAKING = """
    from qalipsis import prop, scenario
    from qalipsis.plugins import files

    rows = files.csv(prop("rows.file", default="rows.csv"), types={{"id": int}}, bad_rows="skip")

    def note(row):
        with open(prop_file, "a") as file:
            file.write(f"{{row['id']}}\\n")

    prop_file = __file__.replace("scenarios.py", "taken.txt")

    taking = (
        scenario("taking", minions={minions})
        .start()
        .then(rows{mode}).named("take").iterate({times})
        .on_each(note)
    )
"""


def rows_file(folder: Path, rows: int, bad: str = "") -> Path:
    file = folder / "rows.csv"
    file.write_text("id,name\n" + bad + "".join(f"{number},user-{number}\n" for number in range(rows)))
    return file


def taken(folder: Path) -> Counter[int]:
    return Counter(map(int, (folder / "taken.txt").read_text().split()))


@pytest.mark.parametrize("workers", [0, 2])
async def test_each_row_is_used_once_in_the_whole_fleet(tmp_path: Path, workers: int) -> None:
    rows_file(tmp_path, 5_000, bad="x,bad\nbad\n")
    source = TAKING.format(minions=6, mode="", times=2_000)
    report = await run(tmp_path, source, f"factory.workers={workers}")
    assert taken(tmp_path) == dict.fromkeys(range(5_000), 1)
    assert report.campaign.status == "SUCCESSFUL"
    counters = step(report, "take").counters
    assert counters["records-read"] == counters["records-delivered"] == 5_000
    assert counters["bad-rows"] == 2


async def test_each_minion_reads_by_itself(tmp_path: Path) -> None:
    path = rows_file(tmp_path, 20_000)
    source = TAKING.format(minions=3, mode=".sequential()", times=600)
    report = await run(tmp_path, source, "factory.workers=0")
    assert report.campaign.status == "SUCCESSFUL"
    assert taken(tmp_path) == dict.fromkeys(range(600), 3)
    # A thread that was reading when the engine ended closes the file when it is done.
    for _ in range(200):
        if str(path) not in [os.readlink(f"/proc/self/fd/{fd}") for fd in open_descriptors()]:
            return
        await asyncio.sleep(0.01)
    pytest.fail(f"{path} is still open")


def open_descriptors() -> list[str]:
    return [each for each in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{each}")]


async def test_a_file_starts_over(tmp_path: Path) -> None:
    rows_file(tmp_path, 3)
    source = TAKING.format(minions=2, mode=".loop()", times=7)
    report = await run(tmp_path, source, "factory.workers=0")
    assert report.campaign.status == "SUCCESSFUL"
    assert taken(tmp_path) == {0: 6, 1: 4, 2: 4}


@pytest.mark.parametrize("workers", [0, 2])
async def test_a_file_that_is_not_there_stops_the_start(tmp_path: Path, workers: int) -> None:
    source = TAKING.format(minions=2, mode="", times=1)
    with pytest.raises(ServiceUnavailable, match=rf"there is no file {tmp_path}/other\.csv, nor /"):
        await run(tmp_path, source, f"factory.workers={workers}", "rows.file=other.csv")
    assert not (tmp_path / "taken.txt").exists()


async def test_a_bad_row_fails_those_who_want_more(tmp_path: Path) -> None:
    path = rows_file(tmp_path, 2)
    with path.open("a") as file:
        file.write('"seven\n",x\n')
    source = TAKING.format(minions=4, mode="", times=1).replace('"skip"', '"fail"')
    report = await run(tmp_path, source, "factory.workers=0")
    take = step(report, "take")
    assert report.campaign.status == "FAILED"
    assert take.executions.errors == {"bad-row": 2}
    assert f"{path}, line 4, column 'id': 'seven\\n' is no int" in take.first_error
    assert taken(tmp_path) == {0: 1, 1: 1}


async def test_mistakes_are_told_with_their_line(tmp_path: Path) -> None:
    source = """
        from qalipsis import scenario
        from qalipsis.plugins import files

        one = scenario("one").start().then(files.csv("a.csv", separator=""))
        two = scenario("two").start().then(files.xml("a.xml", element="").loop())
    """
    with pytest.raises(ScenarioErrors) as raised:
        await run(tmp_path, source, "factory.workers=0")
    assert [mistake.line for mistake in raised.value.mistakes] == [5, 6]


async def test_records_of_a_file_are_joined_by_every_worker(tmp_path: Path) -> None:
    (tmp_path / "prices.jsonl").write_text("".join(f'{{"id": {number}}}\n' for number in range(2_000)))
    source = """
        from qalipsis import scenario
        from qalipsis.plugins import files

        joined = (
            scenario("joined", minions=20)
            .start()
            .map_with_context(lambda context, value: context.minion.index * 100)
            .inner_join(
                files.json("prices.jsonl"), on=lambda id: id, having=lambda price: price["id"], timeout="10s"
            ).named("meet")
            .verify(lambda pair: pair.left == pair.right["id"])
        )
    """
    report = await run(tmp_path, source, "factory.workers=2")
    assert report.campaign.status == "SUCCESSFUL"
    assert step(report, "meet").executions.successful == 20


@pytest.mark.parametrize("is_joined", [False, True])
async def test_an_aside_reads_its_file_in_full_however_many_workers_there_are(
    tmp_path: Path, is_joined: bool
) -> None:
    """In one worker, or in each where its records are joined: they must meet the minions that live there."""
    rows_file(tmp_path, 40)
    join = ".inner_join('rows', on=str, having=lambda row: row['id'], timeout='2s').named('meet')"
    source = f"""
        from qalipsis import scenario
        from qalipsis.plugins import files

        def note(row):
            with open(__file__.replace("scenarios.py", "taken.txt"), "a") as file:
                file.write(f"{{row['id']}}\\n")

        beside = (
            scenario("beside", minions=40)
            .aside("rows", lambda a: a.then(files.csv("rows.csv")).named("rows").on_each(note))
            .start()
            .map_with_context(lambda context, value: context.minion.index)
            {join if is_joined else '.delay("500ms")'}
        )
    """
    report = await run(tmp_path, source, "factory.workers=2")
    assert report.campaign.status == "SUCCESSFUL"
    counters = step(report, "rows").counters
    assert counters["records-read"] == counters["records-delivered"] == 40
    assert taken(tmp_path) == dict.fromkeys(range(40), 2 if is_joined else 1)
    if is_joined:
        assert step(report, "meet").executions.successful == 40


async def test_what_each_worker_reads_is_counted_once(tmp_path: Path) -> None:
    rows_file(tmp_path, 100)
    source = """
        from qalipsis import scenario
        from qalipsis.plugins import files

        rows = files.csv("rows.csv")
        latest = (
            scenario("latest", minions=4)
            .start()
            .then(rows.broadcast()).named("all")
            .delay("500ms")
            .zip_last(rows).named("last")
        )
    """
    report = await run(tmp_path, source, "factory.workers=2")
    assert step(report, "all").counters["records-read"] == 100
    assert step(report, "last").counters["right-read"] == 100
    assert step(report, "last").counters["paired"] == 4
    [scenario] = report.scenarios
    assert not scenario.messages


async def test_a_worker_without_minions_reads_nothing(tmp_path: Path) -> None:
    rows_file(tmp_path, 20_000, bad="bad,bad\n")
    source = """
        from qalipsis import scenario
        from qalipsis.plugins import files

        rows = files.csv("rows.csv", types={"id": int}, bad_rows="skip")
        key = lambda row: row["id"]
        lonely = (
            scenario("lonely", minions=1)
            .aside("seen", lambda aside: aside.then(rows).named("seen"))
            .start()
            .then(rows).named("take").iterate(30_000)
            .inner_join("seen", on=key, having=key, timeout="5s").named("met")
            .filter(lambda pair: pair.left["id"] == 0)
            .inner_join(rows, on=lambda pair: 0, having=key, timeout="1s").named("meet")
        )
    """
    report = await run(tmp_path, source, "factory.workers=2")
    assert report.campaign.status == "SUCCESSFUL"
    for name, figure in (("take", "records-read"), ("meet", "right-read"), ("met", "right-read")):
        assert step(report, name).counters[figure] == 20_000
    assert step(report, "take").counters["bad-rows"] == step(report, "meet").counters["bad-rows"] == 1
    assert step(report, "take").counters["records-delivered"] == 20_000
