"""The bytes of a file, chunk by chunk, decompressed on the way. Everything here blocks."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import Any

from qalipsis.errors import ServiceUnavailable
from qalipsis.language.location import Location

CHUNK = 64 * 1024
"""Read at once. It is parsed in a few milliseconds and shares, and kept twice per reader: with
`sequential()`, per minion."""
GZIP = b"\x1f\x8b"

DAMAGES = (OSError, EOFError, zlib.error)
"""What reading on can raise: a disk, or a compressed stream that is cut off or damaged."""


def find(path: Any, location: Location) -> Path:
    """The file that an author means: beside the file that says so, otherwise in the working directory.

    Raises ServiceUnavailable when there is none, or when it is not a regular file.
    """
    folders = [Path(location.file).absolute().parent] if location.file else []
    places: list[Path] = list(dict.fromkeys(folder / path for folder in (*folders, Path.cwd())))
    found = next((place for place in places if place.exists()), None)
    if found is None:
        others = "".join(f", nor {place}" for place in places[1:])
        raise ServiceUnavailable(
            f"there is no file {places[0]}{others}: create it, or correct the path; "
            "a relative one starts at the folder of the scenario"
        )
    if found.is_dir():
        raise ServiceUnavailable(f"{found} is a folder: write the path of one file in it")
    if not found.is_file():
        raise ServiceUnavailable(
            f"{found} is a pipe or a device, which cannot be read twice: save it as a file"
        )
    return found


class Content:
    """One file being read from its beginning."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("rb")
        try:
            self._stream: Any = self._file
            if self._file.peek(2)[:2] == GZIP:
                self._stream = gzip.GzipFile(fileobj=self._file)
            elif path.suffix == ".gz":
                raise gzip.BadGzipFile("it does not begin as gzip does")
        except BaseException:
            self._file.close()
            raise

    def read(self) -> tuple[bytes, bool]:
        """The next chunk, and whether it is the last one: the file is closed then."""
        data = self._stream.read(CHUNK)
        is_last = len(data) < CHUNK
        if is_last:
            self.close()
        return data, is_last

    def close(self) -> None:
        self._stream.close()
        self._file.close()
