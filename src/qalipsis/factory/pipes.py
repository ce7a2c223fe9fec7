"""Messages over a local stream socket: a length of four bytes, then msgpack.

Workers keep their standard streams for what user code prints; this socket is a descriptor of its own.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from struct import Struct
from typing import Any, Final, Generic, TypeVar

import msgspec

_Incoming = TypeVar("_Incoming")

_LENGTH: Final = Struct("<I")
MAX_BYTES: Final = 1 << 28
"""Both ends are ours: a longer frame means that something else writes into the socket."""


class PipeBroken(Exception):
    """What came through the pipe is no frame."""


class Pipe(Generic[_Incoming]):
    """One end. Sending never waits; receiving ends when the other end is gone."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, incoming: type[_Incoming]
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._encoder = msgspec.msgpack.Encoder()
        self._decoder = msgspec.msgpack.Decoder(incoming)

    @property
    def is_closing(self) -> bool:
        return self._writer.is_closing()

    def send(self, message: Any) -> None:
        """Write one message; silently nothing when the other end is gone, for the reader will say so."""
        if not self._writer.is_closing():
            body = self._encoder.encode(message)
            self._writer.write(_LENGTH.pack(len(body)) + body)

    async def messages(self) -> AsyncIterator[_Incoming]:
        """Every message until the other end closes or dies; raises PipeBroken."""
        while True:
            try:
                (length,) = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
                if length > MAX_BYTES:
                    raise PipeBroken(f"a frame of {length} bytes")
                body = await self._reader.readexactly(length)
            except (asyncio.IncompleteReadError, ConnectionError):
                return
            try:
                yield self._decoder.decode(body)
            except msgspec.MsgspecError as error:
                raise PipeBroken(str(error)) from error

    async def aclose(self) -> None:
        """Send what is left and close."""
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            return


async def open_pipe(end: socket.socket, incoming: Any) -> Pipe[Any]:
    """A pipe over one end of a socket pair, which it takes over."""
    reader, writer = await asyncio.open_unix_connection(sock=end)
    return Pipe(reader, writer, incoming)
