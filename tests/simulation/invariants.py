"""What must hold at every moment of a cluster's life: the store looks at each change."""

from __future__ import annotations

from collections.abc import Callable

from qalipsis.head.campaign import TERMINAL, Phase
from qalipsis.head.memory_directory import MemoryDirectory
from qalipsis.head.memory_store import MemoryStore
from qalipsis.head.ownership import Claim, Commit

FOLLOWING: dict[str, set[str]] = {
    Phase.SCHEDULED: {Phase.PREPARING},
    Phase.PREPARING: {Phase.ASSIGNING, Phase.FAILED, Phase.ABORTED},
    Phase.ASSIGNING: {Phase.WARMUP, Phase.PREPARING, Phase.FAILED, Phase.ABORTING},
    Phase.WARMUP: {Phase.RUNNING, Phase.PREPARING, Phase.FAILED, Phase.ABORTING},
    Phase.RUNNING: {Phase.DRAINING, Phase.ABORTING},
    Phase.DRAINING: {Phase.COMPLETED},
    Phase.ABORTING: {Phase.ABORTED},
}
"""What a campaign's phase may become."""


def may_become(before: str, after: str) -> bool:
    """Whether one commit may follow the other: phases between them may have passed uncommitted."""
    seen: set[str] = set()
    following = set(FOLLOWING.get(before, set()))
    while following - seen:
        seen |= following
        following = {late for each in following for late in FOLLOWING.get(each, set())}
    return after in seen


class WatchedStore(MemoryStore):
    """The store of the cluster, whose every change is looked at.

    `on_broken` is told what must not be; `on_change` of each change of a campaign's state.
    """

    def __init__(
        self, clock: object, on_broken: Callable[[str], None], on_change: Callable[[str, str], None]
    ) -> None:
        super().__init__(clock, keeps_meters=True)  # type: ignore[arg-type]
        self._on_broken = on_broken
        self._on_change = on_change
        self._highest: dict[str, int] = {}
        self._committed: dict[str, str] = {}
        self.heard: dict[str, dict[tuple[str, int], int]] = {}
        """Up to which sequence each factory was heard before the last commit, by campaign."""

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(self._kept)

    def is_over(self, key: str) -> bool:
        return key not in self._kept or self._kept[key].record.state in TERMINAL

    async def claim(self, campaign: str, head: str, lease_seconds: float) -> Claim | None:
        claim = await super().claim(campaign, head, lease_seconds)
        if claim is not None:
            if claim.epoch <= self._highest.get(campaign, 0):
                self._on_broken(f"{campaign}: epoch {claim.epoch} follows {self._highest[campaign]}")
            self._highest[campaign] = claim.epoch
            self._on_change(campaign, f"claimed by {head} in epoch {claim.epoch}")
        return claim

    async def commit(self, claim: Claim, commit: Commit) -> Claim:
        before = self._kept[claim.campaign].record.state
        is_repeated = self._committed.get(claim.campaign) == commit.id
        reports = len(self.reports)
        committed = await super().commit(claim, commit)
        after = self._kept[claim.campaign].record.state
        self._committed[claim.campaign] = commit.id
        self.heard[claim.campaign] = dict(commit.watermarks)
        if claim.epoch != self._highest[claim.campaign]:
            self._on_broken(
                f"{claim.campaign}: {claim.head} committed {commit.state} in epoch {claim.epoch}, "
                f"but it is another head's in {self._highest[claim.campaign]}"
            )
        if after != before:
            self._on_change(claim.campaign, f"{before} -> {after} by {claim.head}")
            if not may_become(before, after):
                self._on_broken(f"{claim.campaign}: {before} became {after}")
        elif before in TERMINAL and not is_repeated:
            self._on_broken(f"{claim.campaign}: {claim.head} committed again after {before}")
        if commit.report is not None and len(self.reports) == reports and not is_repeated:
            self._on_broken(f"{claim.campaign}: {claim.head} wrote a second report")
        return committed


class KnowingDirectory(MemoryDirectory):
    """As the one in the database: a reservation for a campaign that is over counts for nothing."""

    def __init__(self, clock: object, store: WatchedStore) -> None:
        super().__init__(clock)  # type: ignore[arg-type]
        self._store = store

    async def factories(self):  # type: ignore[no-untyped-def]
        self._forget()
        return await super().factories()

    async def reserve(self, campaign, factories):  # type: ignore[no-untyped-def]
        self._forget()
        return await super().reserve(campaign, factories)

    def _forget(self) -> None:
        for known in self._known.values():
            known.campaigns[:] = [each for each in known.campaigns if not self._store.is_over(each)]
