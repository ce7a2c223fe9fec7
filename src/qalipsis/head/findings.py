"""What the figures of sources and joins say to a reader of the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from qalipsis.reports.model import Message


def findings(step: str, counters: Mapping[str, int]) -> Iterator[Message]:
    """Sentences about records that were left, missing or never matched."""

    def count(name: str) -> int:
        return counters.get(name, 0)

    def say(severity: str, text: str) -> Message:
        return Message(severity=severity, text=text, step=step)

    given = count("records-delivered") + count("records-taken")
    if count("found-none"):
        yield say(
            "INFO",
            f"the source ran dry: {_records(given)} {_were(given)} handed out, and "
            f"{_times(count('found-none'))} a minion found none left",
        )
    left = count("records-read") - count("records-delivered")
    if "records-delivered" in counters and left > 0:
        yield say("INFO", f"{_records(left)} {_were(left)} read and not used")
    if count("left-unmatched"):
        yield say("WARN", f"{_records(count('left-unmatched'))} on the left found no match in time")
    unmatched = count("right-read") - count("matched")
    if "matched" in counters and unmatched > 0:
        yield say("INFO", f"{_records(unmatched)} on the right matched nothing")
    evicted = count("right-evicted")
    if evicted and count("left-unmatched"):
        # Each worker keeps all of them: what matched in one of them may well be let go in another.
        yield say(
            "WARN",
            f"{_records(evicted)} on the right {_were(evicted)} let go before they matched in that worker: "
            "raise cache_size or cache_timeout",
        )
    if count("right-broken"):
        yield say("WARN", f"no key could be made of {_records(count('right-broken'))} on the right")
    if count("key-types-differ") and not count("matched"):
        yield say("WARN", "keys on the two sides are of different types and never equal: convert one side")
    if count("bad-rows"):
        yield say("WARN", f"{count('bad-rows'):,} bad rows were left out or mended")
    for name in ("bad-records", "records-dropped"):
        if count(name):
            yield say("WARN", f"{count(name):,} {name.replace('-', ' ')}")


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number:,} times"


def _were(number: int) -> str:
    return "was" if number == 1 else "were"


def _records(number: int) -> str:
    return "1 record" if number == 1 else f"{number:,} records"
