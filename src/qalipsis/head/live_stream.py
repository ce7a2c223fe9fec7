"""A campaign as it happens, for any number of followers, none of whom can slow it down."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from msgspec import Struct

from qalipsis.reports.live import Live

MOST_WAITING: Final = 256
"""Events that wait for a slow follower; beyond them it misses the oldest."""

GLANCE_SECONDS: Final = 1.0


class StateEntered(Struct, frozen=True, kw_only=True, rename="camel"):
    state: str
    status: str


class Noticed(Struct, frozen=True, kw_only=True, rename="camel"):
    message: str


Happening = StateEntered | Live | Noticed


class LiveStream:
    """What happens in one campaign, from its request to its end."""

    def __init__(self, state: StateEntered) -> None:
        self.live: Live | None = None
        self._state = state
        self._notices: set[str] = set()
        self._followers: set[_Follower] = set()
        self._is_over = False

    def enter(self, state: StateEntered) -> None:
        """The campaign has another state or status; nothing happens when it has not."""
        if state != self._state:
            self._state = state
            self._tell(state)

    def show(self, live: Live) -> None:
        """The campaign now, once a second."""
        self.live = live
        for text in live.notices:
            if text not in self._notices:
                self._notices.add(text)
                self._tell(Noticed(message=text))
        self._tell(live)

    def end(self) -> None:
        """Nothing more will happen."""
        self._is_over = True
        for follower in self._followers:
            follower.arrived.set()

    async def follow(self, pulse_seconds: float) -> AsyncIterator[Happening | None]:
        """The state and the last snapshot at once, then everything that happens, until the end.

        None when nothing has happened for so long: whoever listens may want to know that we are there.
        """
        follower = _Follower()
        follower.waiting.append(self._state)
        if self.live is not None:
            follower.waiting.extend(Noticed(message=text) for text in self.live.notices)
            follower.waiting.append(self.live)
        self._followers.add(follower)
        try:
            while True:
                while follower.waiting:
                    yield follower.waiting.popleft()
                if self._is_over:
                    return
                follower.arrived.clear()
                try:
                    await asyncio.wait_for(follower.arrived.wait(), pulse_seconds)
                except TimeoutError:
                    yield None
        finally:
            self._followers.discard(follower)

    def _tell(self, happening: Happening) -> None:
        for follower in self._followers:
            follower.waiting.append(happening)
            follower.arrived.set()


async def watched(
    glance: Callable[[], Awaitable[tuple[StateEntered, Live | None, bool]]], pulse_seconds: float
) -> AsyncIterator[Happening | None]:
    """The same of a campaign that is driven elsewhere, looked at once a second until it is over."""
    known: StateEntered | None = None
    shown: Live | None = None
    notices: set[str] = set()
    quiet = 0.0
    while True:
        state, live, is_over = await glance()
        happened: list[Happening] = [] if state == known else [state]
        if live is not None and live != shown:
            happened += (Noticed(message=text) for text in live.notices if text not in notices)
            happened.append(live)
            notices.update(live.notices)
        known, shown = state, live
        for each in happened:
            yield each
        if is_over:
            return
        quiet = 0.0 if happened else quiet + GLANCE_SECONDS
        if quiet >= pulse_seconds:
            quiet = 0.0
            yield None
        await asyncio.sleep(GLANCE_SECONDS)


class _Follower:
    def __init__(self) -> None:
        self.waiting: deque[Happening] = deque(maxlen=MOST_WAITING)
        self.arrived = asyncio.Event()
