"""Readers as workers use them: what stops the start, compression, closing, the loop, the memory."""

from __future__ import annotations

import asyncio
import gc
import gzip
import io
import os
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from qalipsis.engine.step import StepError
from qalipsis.errors import ServiceUnavailable
from qalipsis.language.location import Location
from qalipsis.plugins import files
from qalipsis.plugins.files.content import Content, find

from .reading import read, reader_of, runtime, step_meters

HEADER = "id,name,age,price\n"


def line(number: int) -> str:
    return f"{number},user-{number},{number % 90},{number % 1000 / 10}\n"


def csv_file(folder: Path, rows: int) -> Path:
    file = folder / "users.csv"
    file.write_text(HEADER + "".join(map(line, range(rows))))
    return file


def open_files(path: Path) -> int:
    """How often this process has the file open."""
    links = []
    for each in Path("/proc/self/fd").iterdir():
        try:
            links.append(os.readlink(each))
        except FileNotFoundError:
            continue  # the listing's own
    return links.count(str(path))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - threads set no event of the loop
            await asyncio.sleep(0.001)


# where a file is


def test_a_relative_path_starts_at_the_scenario(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("scenarios", "started"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "users.csv").touch()
    (tmp_path / "started" / "only.csv").touch()
    monkeypatch.chdir(tmp_path / "started")
    here = Location(str(tmp_path / "scenarios" / "first.py"), 3)
    assert find("users.csv", here) == tmp_path / "scenarios" / "users.csv"
    assert find("only.csv", here) == tmp_path / "started" / "only.csv"
    assert find(Path("../started/only.csv"), here).samefile(tmp_path / "started" / "only.csv")
    assert find(str(tmp_path / "started" / "only.csv"), here) == tmp_path / "started" / "only.csv"
    with pytest.raises(ServiceUnavailable) as raised:
        find("none.csv", here)
    assert f"there is no file {tmp_path}/scenarios/none.csv, nor {tmp_path}/started/none.csv" in str(
        raised.value
    )


# what stops the start


async def refused(spec: Any) -> str:
    with pytest.raises(ServiceUnavailable) as raised:
        await read(spec)
    return str(raised.value)


async def test_a_file_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    path = tmp_path / "none.csv"
    assert await refused(files.csv(path)) == (
        f"there is no file {path}: create it, or correct the path; a relative one starts at the folder of "
        "the scenario"
    )


async def test_a_folder_stops_the_start(tmp_path: Path) -> None:
    assert f"{tmp_path} is a folder: write the path of one file" in await refused(files.json(tmp_path))


async def test_a_pipe_stops_the_start(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.xml"
    os.mkfifo(pipe)
    message = await refused(files.xml(pipe, element="a"))
    assert f"{pipe} is a pipe or a device, which cannot be read twice: save it as a file" in message


async def test_a_file_without_permission_stops_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = csv_file(tmp_path, 1)

    def refuse(*_: Any) -> None:
        raise PermissionError(13, "Permission denied")  # whoever tests as root may read everything

    monkeypatch.setattr(Path, "open", refuse)
    assert f"{path} may not be read: give this user the right to" in await refused(files.csv(path))


async def test_a_missing_column_stops_the_start(tmp_path: Path) -> None:
    path = csv_file(tmp_path, 1)
    message = await refused(files.csv(path, types={"agee": int}))
    assert f"{path} has no column 'agee', which types needs; it has 'id', 'name', 'age', 'price'" in message


@pytest.mark.parametrize("data", [b"id,name\n1,2\n", b"", gzip.compress(b"id,name\n1,2\n" * 9, mtime=0)[:30]])
async def test_a_file_that_is_no_gzip_stops_the_start(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "users.csv.gz"
    path.write_bytes(data)
    assert f"{path} cannot be read: " in await refused(files.csv(path))


async def test_a_header_longer_than_a_chunk_is_read(tmp_path: Path) -> None:
    path = tmp_path / "wide.csv"
    names = [f"column-{number}" for number in range(20_000)]
    path.write_text(",".join(names) + "\n" + ",".join("1" * len(names)) + "\n")
    [record] = await read(files.csv(path))
    assert list(record) == names


# compression


@pytest.mark.parametrize("name", ["users.csv.gz", "users.csv"])
async def test_gzip_is_known_by_its_first_bytes(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    halves = [HEADER + "".join(map(line, range(20_000))), "".join(map(line, range(20_000, 40_000)))]
    path.write_bytes(b"".join(gzip.compress(half.encode()) for half in halves))
    records = await read(files.csv(path))
    assert [int(record["id"]) for record in records] == list(range(40_000))


async def test_a_gzip_that_is_cut_off_ends_with_an_error(tmp_path: Path) -> None:
    path = tmp_path / "users.csv.gz"
    data = gzip.compress((HEADER + "".join(map(line, range(40_000)))).encode())
    path.write_bytes(data[: len(data) // 2])
    reader = reader_of(files.csv(path))
    await reader.open(runtime())
    records: list[Any] = []

    async def use() -> None:
        async for batch in reader.batches():
            records.extend(batch)

    with pytest.raises(StepError, match="cannot be read further: Compressed file ended") as raised:
        await use()
    await reader.aclose()
    assert raised.value.kind == "unreadable"
    assert str(path) in str(raised.value)
    assert len(records) > 10_000
    assert open_files(path) == 0


# figures


async def test_bad_rows_are_counted_by_one_worker_of_those_that_share(tmp_path: Path) -> None:
    path = tmp_path / "users.csv"
    path.write_text("a,b\n1\n2,3\n4,5,6\n")
    counting, silent = step_meters(), step_meters()
    spec = files.csv(path, bad_rows="skip")
    assert await read(spec, counting) == [{"a": "2", "b": "3"}]
    assert await read(spec, silent, is_counting=False) == [{"a": "2", "b": "3"}]
    assert (counting.counters, silent.counters) == ({"bad-rows": 2}, {})


# closing


async def test_a_file_is_closed_at_its_end_already(tmp_path: Path) -> None:
    path = csv_file(tmp_path, 10_000)
    reader = reader_of(files.csv(path))
    await reader.open(runtime())
    assert open_files(path) == 1
    async for _ in reader.batches():
        pass
    assert open_files(path) == 0
    await reader.aclose()


async def test_a_small_file_is_not_held_open(tmp_path: Path) -> None:
    path = csv_file(tmp_path, 10)
    readers = [reader_of(files.csv(path)) for _ in range(3)]
    for reader in readers:
        await reader.open(runtime())
    assert open_files(path) == 0
    for reader in readers:
        assert [len(batch) async for batch in reader.batches()] == [10]
        await reader.aclose()


async def test_closing_in_the_middle_closes_the_file(tmp_path: Path) -> None:
    path = csv_file(tmp_path, 50_000)
    reader = reader_of(files.csv(path))
    await reader.open(runtime())
    batches = reader.batches()
    assert len(await anext(batches)) == 256
    await batches.aclose()
    await reader.aclose()
    assert open_files(path) == 0


async def test_closing_waits_for_the_thread_that_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = csv_file(tmp_path, 50_000)
    may_read, is_reading = threading.Event(), threading.Event()
    read_chunk = Content.read

    def slowly(self: Content) -> tuple[bytes, bool]:
        is_reading.set()
        assert may_read.wait(10)
        return read_chunk(self)

    reader = reader_of(files.csv(path))
    await reader.open(runtime())
    monkeypatch.setattr(Content, "read", slowly)

    async def use() -> None:
        try:
            async for _ in reader.batches():
                pass
        finally:
            await reader.aclose()

    user = asyncio.ensure_future(use())
    await until(is_reading.is_set)
    await asyncio.sleep(0.05)  # it has parsed what it had, and waits
    user.cancel()
    await asyncio.sleep(0.01)
    user.cancel()  # whoever is in a hurry does not make it leak
    assert open_files(path) == 1
    with pytest.raises(asyncio.CancelledError):
        await user
    may_read.set()
    await until(lambda: open_files(path) == 0)


async def test_closing_after_a_failed_open_is_safe(tmp_path: Path) -> None:
    reader = reader_of(files.csv(tmp_path / "none.csv"))
    with pytest.raises(ServiceUnavailable):
        await reader.open(runtime())
    await reader.aclose()
    await reader_of(files.csv(tmp_path / "none.csv")).aclose()  # never opened


# the loop


async def test_the_loop_gets_its_turn_while_the_disk_is_slow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = csv_file(tmp_path, 10_000)
    read_chunk = Content.read

    def slowly(self: Content) -> tuple[bytes, bool]:
        time.sleep(0.05)
        return read_chunk(self)

    monkeypatch.setattr(Content, "read", slowly)
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0.001)
            turns += 1

    counter = asyncio.ensure_future(count())
    assert len(await read(files.csv(path))) == 10_000
    counter.cancel()
    assert turns > 50


@pytest.mark.parametrize("kind", ["csv", "json", "jsonl", "xml"])
async def test_records_come_in_small_shares(tmp_path: Path, kind: str) -> None:
    """However many records a chunk has: what a share takes is bounded by its records and its bytes."""
    path = tmp_path / f"many.{kind}"
    count = 30_000
    texts = {
        "csv": "a,b\n" + "1,2\n" * count,
        "json": "[" + ",\n".join(['{"a": 1}'] * count) + "]",
        "jsonl": '{"a": 1}\n' * count,
        "xml": "<all>" + "<e><a>1</a></e>" * count + "</all>",
    }
    path.write_text(texts[kind])
    spec: Any = {"csv": files.csv, "xml": lambda path: files.xml(path, element="e")}.get(kind, files.json)(
        path
    )
    reader = reader_of(spec)
    await reader.open(runtime())
    sizes = [len(batch) async for batch in reader.batches()]
    await reader.aclose()
    assert sum(sizes) == count
    assert max(sizes) <= 16 * 1024 / len('{"a": 1}') + 1
    assert max(sizes) <= 1000 or kind == "jsonl"


# the memory


class Endless(io.RawIOBase):
    """A file of any length, made while it is read; `parts` repeats what stands between beginning and end."""

    def __init__(self, begin: bytes, part: bytes, count: int, end: bytes) -> None:
        self._begin, self._part, self._left, self._end = begin, part, count, end
        self._buffer = b""

    def read(self, size: int = -1) -> bytes:
        while len(self._buffer) < size and (self._begin or self._left or self._end):
            pieces = [self._buffer, self._begin]
            self._begin = b""
            count = min(self._left, size // len(self._part) + 1)
            self._left -= count
            pieces += [self._part] * count
            if not self._left:
                pieces.append(self._end)
                self._end = b""
            self._buffer = b"".join(pieces)
        data, self._buffer = self._buffer[:size], self._buffer[size:]
        return data


def peak_bytes() -> int:
    """The most memory this process had since `reset_peak`."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def reset_peak() -> int:
    """Begin to look for the peak again; what it is now."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    return peak_bytes()


MEGABYTES = 40
PARTS = {
    "csv": (b"id,name,age\n", b'"12345","somebody ""or other""\nwith lines",37\n' * 20, b""),
    "json": (
        b'{"skip": [1, 2], "users": [{}',
        b',\n{"id": 12345, "name": "some\\"body", "x": [1, {}]}' * 20,
        b"]}",
    ),
    "jsonl": (b"", b'{"id": 12345, "name": "some\\"body", "tags": [1, {}]}\n' * 20, b""),
    "xml": (b"<all>", b'<user id="12345"><name>some &lt; body</name></user>\n<x>y</x>' * 20, b"</all>"),
}


@pytest.mark.parametrize("kind", sorted(PARTS))
async def test_a_large_file_needs_no_more_memory_than_a_small_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    begin, part, end = PARTS[kind]
    path = tmp_path / f"large.{kind}"
    path.touch()
    count = (MEGABYTES if kind != "xml" else MEGABYTES // 4) * 1_000_000 // len(part)
    peaks = []
    for repeats in (count // 50, count):

        def stream(self: Content, path: Path, repeats: int = repeats) -> None:
            self._file = self._stream = Endless(begin, part, repeats, end)  # type: ignore[assignment]

        monkeypatch.setattr(Content, "__init__", stream)
        spec: Any = {
            "csv": lambda: files.csv(path),
            "json": lambda: files.json(path, path_to_items="users"),
            "jsonl": lambda: files.json(path),
            "xml": lambda: files.xml(path, element="user"),
        }[kind]()
        reader = reader_of(spec)
        peak_before = reset_peak()
        await reader.open(runtime())
        records = 0
        async for batch in reader.batches():
            records += len(batch)
        await reader.aclose()
        peaks.append(peak_bytes() - peak_before)
        assert records == repeats * 20 + (kind == "json")
    assert peaks[0] < 16_000_000
    assert peaks[1] < peaks[0] + 8_000_000
