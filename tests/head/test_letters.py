"""What is acknowledged, and when."""

from __future__ import annotations

from dataclasses import dataclass

from qalipsis.cluster.codec import Received
from qalipsis.cluster.inbox import Letter
from qalipsis.cluster.messages import Farewell
from qalipsis.head.letters import Letters


@dataclass
class Delivery:
    body: bytes = b""
    is_acknowledged: bool = False

    def acknowledge(self) -> None:
        self.is_acknowledged = True

    def set_aside(self, reason: str) -> None:
        raise AssertionError(reason)


def letter(sequence: int, incarnation: int = 1) -> tuple[Letter, Delivery]:
    delivery = Delivery()
    received = Received(
        id=f"{sequence}",
        source="a",
        incarnation=incarnation,
        sequence=sequence,
        epoch=0,
        campaign="c-1",
        tenant="",
        expires=0.0,
        message=Farewell(),
    )
    return Letter(received, delivery), delivery


def test_a_letter_waits_for_the_commit_of_its_effect() -> None:
    letters = Letters()
    new, delivery = letter(3)
    assert letters.open(new)
    assert (delivery.is_acknowledged, letters.watermarks, letters.committed("a", 1)) == (
        False,
        {("a", 1): 3},
        0,
    )
    letters.commit()
    assert (delivery.is_acknowledged, letters.committed("a", 1)) == (True, 3)


def test_what_the_store_knows_has_no_effect_again() -> None:
    letters = Letters({("a", 1): 3})
    old, delivery = letter(3)
    assert not letters.open(old)
    assert delivery.is_acknowledged
    assert letters.open(letter(4)[0])
    assert letters.committed("a", 1) == 3


def test_a_factory_that_was_started_again_counts_anew() -> None:
    letters = Letters({("a", 1): 3})
    assert letters.open(letter(1, incarnation=2)[0])
    assert letters.watermarks == {("a", 1): 3, ("a", 2): 1}
