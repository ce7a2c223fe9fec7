"""What steps and sources of a shared client have in common."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from qalipsis.language.location import Location


class OfClient:
    """A base beside `Spec` that tells the client's mistakes where the client was made, the others here."""

    client: Any
    """Has `problems()` and a `location`."""

    def own_problems(self) -> Iterable[str]:
        """The mistakes that are not the client's, each as a sentence that says what to write instead."""
        raise NotImplementedError

    def problems(self) -> list[str]:
        return [*self.own_problems(), *self.client.problems()]

    def problems_by_place(self, here: Location) -> list[tuple[Location, str]]:
        of_client = [(self.client.location, problem) for problem in self.client.problems()]
        return [*((here, problem) for problem in self.own_problems()), *of_client]
