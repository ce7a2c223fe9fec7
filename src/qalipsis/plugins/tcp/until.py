"""Where a response ends. TCP carries a stream of bytes, so only the author knows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from qalipsis.language.callables import function_problems
from qalipsis.language.payloads import payload_bytes

ByteOrder = Literal["big", "little"]


class Until:
    """Finds the end of a response in the bytes that came, and takes its framing off."""

    reads = True
    """False: no response is read at all."""
    ends_with_stream = False
    """True: the service ends the response by closing the connection."""

    def problems(self) -> list[str]:
        """Every mistake in it, each as a sentence."""
        return []

    def settled(self) -> Until:
        """The same, ready for the hot path."""
        return self

    def size(self, data: bytes | bytearray, seen: int) -> int:
        """Bytes of the whole response, framing included, as soon as that is known; 0 until then.

        `data` is all that came, and the first `seen` bytes were looked at before. Raises ValueError when what
        came cannot be a response.
        """
        raise NotImplementedError

    def body(self, response: bytes) -> bytes:
        """What lies inside the framing."""
        return response

    @property
    def awaited(self) -> str:
        """What did not come, for a message."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Line(Until):
    r"""Up to and with b"\n"; the body has neither it nor a b"\r" before it."""

    def size(self, data: bytes | bytearray, seen: int) -> int:
        return data.find(b"\n", seen) + 1

    def body(self, response: bytes) -> bytes:
        return response[:-2] if response.endswith(b"\r\n") else response[:-1]

    @property
    def awaited(self) -> str:
        return "line"


@dataclass(frozen=True, slots=True)
class Delimiter(Until):
    """Up to and with a mark, which is not in the body."""

    mark: Any

    def problems(self) -> list[str]:
        if isinstance(self.mark, bytes | str) and self.mark:
            return []
        return [f"tcp.delimiter({self.mark!r}) needs the bytes at which a response ends, such as b'\\r\\n'"]

    def settled(self) -> Delimiter:
        return Delimiter(payload_bytes(self.mark))

    def size(self, data: bytes | bytearray, seen: int) -> int:
        mark = self.mark
        found = data.find(mark, max(0, seen - len(mark) + 1))
        return 0 if found < 0 else int(found + len(mark))

    def body(self, response: bytes) -> bytes:
        return response[: -len(self.mark)]

    @property
    def awaited(self) -> str:
        return f"response that ends with {self.mark!r}"


@dataclass(frozen=True, slots=True)
class Exactly(Until):
    """A number of bytes, or a function that knows it for the request."""

    number: Any

    def problems(self) -> list[str]:
        if callable(self.number):
            return function_problems("tcp.exactly", self.number, ("value", "context, value"))
        return [] if _is_count(self.number) else [self._refusal()]

    def checked(self) -> Exactly:
        """Itself, once the number is known to be one; raises ValueError."""
        if not _is_count(self.number):
            raise ValueError(self._refusal())
        return self

    def size(self, data: bytes | bytearray, seen: int) -> int:
        return int(self.number)

    @property
    def awaited(self) -> str:
        return f"response of {self.number} bytes"

    def _refusal(self) -> str:
        return f"tcp.exactly({self.number!r}) needs at least 1 byte; to read none write tcp.nothing()"


@dataclass(frozen=True, slots=True)
class LengthPrefix(Until):
    """A number of `length` bytes says how many follow, which are the body."""

    length: Any
    byteorder: Any = "big"
    counts_itself: Any = False

    def problems(self) -> list[str]:
        found = []
        if not _is_count(self.length) or self.length > 8:
            found.append(f"tcp.length_prefix({self.length!r}) should be a number of bytes between 1 and 8")
        if self.byteorder not in ("big", "little"):
            found.append(
                f"tcp.length_prefix byteorder={self.byteorder!r} should be 'big' (network order) or 'little'"
            )
        if not isinstance(self.counts_itself, bool):
            found.append(f"tcp.length_prefix counts_itself={self.counts_itself!r} should be True or False")
        return found

    def size(self, data: bytes | bytearray, seen: int) -> int:
        length = self.length
        if len(data) < length:
            return 0
        number = int.from_bytes(data[:length], self.byteorder)
        if not self.counts_itself:
            return int(length + number)
        if number < length:
            raise ValueError(f"the length {number} that came is less than its own {length} bytes")
        return number

    def body(self, response: bytes) -> bytes:
        return response[self.length :]

    @property
    def awaited(self) -> str:
        return f"response after its length of {self.length} bytes"


@dataclass(frozen=True, slots=True)
class EndOfStream(Until):
    """Everything until the service closes the connection."""

    ends_with_stream = True

    def size(self, data: bytes | bytearray, seen: int) -> int:
        return 0

    @property
    def awaited(self) -> str:
        return "end of the stream"


@dataclass(frozen=True, slots=True)
class Nothing(Until):
    """No response is read: the request is over once it is handed to the operating system."""

    reads = False

    @property
    def awaited(self) -> str:
        return "room to send"


def line() -> Line:
    r"""The response is a line: it ends with b"\n"; the body is without it, and without b"\r" before it."""
    return Line()


def delimiter(mark: bytes | str) -> Delimiter:
    """The response ends with `mark`, which is not in the body."""
    return Delimiter(mark)


def exactly(number: int | Callable[..., int]) -> Exactly:
    """The response has so many bytes; a function of (value) or (context, value) may say it per request."""
    return Exactly(number)


def length_prefix(length: int, byteorder: ByteOrder = "big", counts_itself: bool = False) -> LengthPrefix:
    """The response starts with its length, a number of `length` bytes, which is not in the body.

    With `counts_itself` the number includes its own bytes.
    """
    return LengthPrefix(length, byteorder, counts_itself)


def end_of_stream() -> EndOfStream:
    """The response ends when the service closes the connection."""
    return EndOfStream()


def nothing() -> Nothing:
    """There is no response to read."""
    return Nothing()


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1
