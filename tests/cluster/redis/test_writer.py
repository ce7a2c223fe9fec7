"""How one publisher of a topic goes on when the topic is removed; the broker is played."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, cast

from qalipsis.cluster.redis.faults import Words
from qalipsis.cluster.redis.patience import Patience
from qalipsis.cluster.redis.servers import Servers
from qalipsis.cluster.redis.writer import MOST_AT_ONCE, Writer


class Broker:
    """Takes every entry, and answers with the receipt and the removal that the test says."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.receipt: bytes | None = None
        self.removal: bytes | None = None

    async def ask(self, key: str, commands: Sequence[Words]) -> list[Any]:
        return [self._answer(words) for words in commands]

    def _answer(self, words: Words) -> Any:
        if words[0] == "XADD" and "b" in words:
            self.bodies.append(cast("bytes", words[-1]))
        return [self.receipt, self.removal] if words[0] == "HMGET" else b"1-0"


async def test_a_topic_that_is_removed_while_much_of_it_is_sent_again_takes_what_is_said_next() -> None:
    broker = Broker()
    writer = Writer(cast("Servers", broker), "news", Patience(1.0, set()))

    async def look() -> None:
        writer._looked_at = 0.0
        await writer._exchange()

    saying = [asyncio.create_task(writer.publish(b"before")) for _ in range(3 * MOST_AT_ONCE)]
    await asyncio.sleep(0)
    for _ in range(3):
        await look()
    await asyncio.gather(*saying)
    broker.receipt = b"0 1"  # the reader has nothing of it
    await look()
    broker.removal = b"removed"
    await look()  # finds out while the most of it is still to be sent again
    said = asyncio.create_task(writer.publish(b"after"))
    await asyncio.sleep(0)
    await look()
    await said
    assert broker.bodies == [b"before"] * 4 * MOST_AT_ONCE + [b"after"]
