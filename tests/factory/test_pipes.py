"""Frames over a socket pair: whole, in order, and never mistaken."""

import asyncio
import socket

import pytest

from qalipsis.factory.orders import Done, Ended, Frozen, WorkerWord
from qalipsis.factory.pipes import Pipe, PipeBroken, open_pipe


async def pair() -> tuple[Pipe[WorkerWord], Pipe[WorkerWord]]:
    ours, theirs = socket.socketpair()
    return await open_pipe(ours, WorkerWord), await open_pipe(theirs, WorkerWord)


async def test_messages_arrive_whole_and_in_order() -> None:
    near, far = await pair()
    sent = [Frozen(data=bytes(size)) for size in (0, 1, 100_000, 3_000_000)] + [Done()]
    for message in sent:
        near.send(message)

    async def receive() -> list[WorkerWord]:
        return [message async for message in far.messages()]

    receiving = asyncio.create_task(receive())
    await near.aclose()
    assert await asyncio.wait_for(receiving, 10) == sent
    await far.aclose()


async def test_the_end_of_the_other_side_ends_the_messages() -> None:
    near, far = await pair()
    await far.aclose()
    assert [message async for message in near.messages()] == []
    near.send(Done())
    await near.aclose()


@pytest.mark.parametrize("garbage", [b"\xff\xff\xff\xff", b"\x01\x00\x00\x00\xc1", b"Hello, world! " * 9])
async def test_what_is_no_frame_is_told(garbage: bytes) -> None:
    ours, theirs = socket.socketpair()
    near = await open_pipe(ours, WorkerWord)
    theirs.sendall(garbage)
    with pytest.raises(PipeBroken):
        await anext(near.messages())
    theirs.close()
    await near.aclose()


async def test_a_frame_cut_short_by_a_death_is_dropped() -> None:
    ours, theirs = socket.socketpair()
    near = await open_pipe(ours, WorkerWord)
    theirs.sendall(b"\x64\x00\x00\x00half of it")
    theirs.close()
    assert [message async for message in near.messages()] == []
    await near.aclose()


async def test_happenings_and_answers_share_the_pipe() -> None:
    near, far = await pair()
    for message in (Ended(scenario="shop", at=1.0), Done()):
        far.send(message)
    messages = near.messages()
    assert [await anext(messages), await anext(messages)] == [Ended(scenario="shop", at=1.0), Done()]
    await near.aclose()
    await far.aclose()
