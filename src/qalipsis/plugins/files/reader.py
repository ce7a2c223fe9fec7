"""Reads files beside the minions: threads wait for the disk, the loop parses in small shares."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from qalipsis.engine.source import Reader, ReaderRuntime
from qalipsis.engine.step import StepError
from qalipsis.errors import ServiceUnavailable
from qalipsis.plugins.files.content import DAMAGES, Content, find
from qalipsis.plugins.files.csv_records import CsvRecords
from qalipsis.plugins.files.json_document import JsonDocument
from qalipsis.plugins.files.json_lines import JsonLines
from qalipsis.plugins.files.parser import Count, Parser
from qalipsis.plugins.files.spec import CsvSource, FileSource, JsonSource, XmlSource
from qalipsis.plugins.files.xml_records import XmlRecords

Found = TypeVar("Found")


def open_csv(spec: CsvSource[Any]) -> Reader:
    return FileReader(spec, partial(CsvRecords, spec))


def open_json(spec: JsonSource[Any]) -> Reader:
    return FileReader(spec, partial(JsonLines if spec.is_lines else JsonDocument, spec))


def open_xml(spec: XmlSource[Any]) -> Reader:
    return FileReader(spec, partial(XmlRecords, spec))


class FileReader:
    """Reads one file from its beginning to its end.

    While a chunk is parsed, the next one is read. Parsing in the thread, too, would not be faster: it would
    fight with the loop for the interpreter, and the loop would wait for it in steps of five milliseconds.
    """

    def __init__(self, spec: FileSource[Any], make_parser: Callable[[Path, Count], Parser]) -> None:
        self._spec = spec
        self._make_parser = make_parser
        self._path = Path()
        self._content: Content | None = None
        self._job: asyncio.Future[Any] | None = None
        self._is_last = False

    async def open(self, runtime: ReaderRuntime) -> None:
        try:
            first, self._is_last = await self._in_thread(self._open)
            count = runtime.meters.count if runtime.is_counting else _nothing
            self._parser = self._make_parser(self._path, count)
            self._parser.accept(first, self._is_last)
            while not self._parser.begin():
                await self._accept()
        except PermissionError as error:
            raise ServiceUnavailable(f"{self._path} may not be read: give this user the right to") from error
        except DAMAGES as error:
            raise ServiceUnavailable(f"{self._path} cannot be read: {error}; restore the file") from error

    async def batches(self) -> AsyncIterator[Sequence[Any]]:
        while True:
            self._read_ahead()
            for batch in self._parser.batches():
                if batch:
                    yield batch
                else:
                    await asyncio.sleep(0)
            if self._is_last:
                return
            try:
                await self._accept()
            except DAMAGES as error:
                raise StepError("unreadable", f"{self._path} cannot be read further: {error}") from error

    async def aclose(self) -> None:
        job = self._job
        if job is None or job.done():
            self._close(job)
            return
        # A thread cannot be interrupted, and its file must not be closed under its hands.
        job.add_done_callback(self._close)
        await asyncio.wait([job])

    def _open(self) -> tuple[bytes, bool]:
        self._path = find(self._spec.path, self._spec.location)
        self._content = Content(self._path)
        return self._content.read()

    async def _accept(self) -> None:
        self._read_ahead()
        assert self._job is not None
        job = self._job
        await asyncio.wait([job])
        self._job = None
        data, self._is_last = job.result()
        self._parser.accept(data, self._is_last)

    def _read_ahead(self) -> None:
        if self._job is None and not self._is_last:
            assert self._content is not None
            self._job = asyncio.get_running_loop().run_in_executor(None, self._content.read)

    async def _in_thread(self, job: Callable[[], Found]) -> Found:
        future = self._job = asyncio.get_running_loop().run_in_executor(None, job)
        await asyncio.wait([future])  # unlike awaiting it, leaves it alone when this is cancelled
        self._job = None
        found: Found = future.result()
        return found

    def _close(self, job: asyncio.Future[Any] | None) -> None:
        if job is not None and not job.cancelled():
            job.exception()  # nobody wants what it found any more
        if self._content is not None:
            self._content.close()


def _nothing(name: str, number: int = 1) -> None:
    """Another worker reads the same records and counts."""
