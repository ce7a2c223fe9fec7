"""What a step will do, as a value: the base of every plugin's author-facing description."""

from __future__ import annotations

import re
from typing import ClassVar, Generic, TypeVar

from qalipsis.language.location import Location

In = TypeVar("In", contravariant=True)
Out = TypeVar("Out", covariant=True)


class Spec(Generic[In, Out]):
    """Turns a value of type In into one of type Out once it runs; loads without any driver.

    `kind` names the entry point in the group `qalipsis.steps` whose object makes the step of a spec.
    """

    kind: ClassVar[str]

    def problems(self) -> list[str]:
        """Every mistake in this description, each as a sentence that says what to write instead."""
        return []

    def problems_by_place(self, here: Location) -> list[tuple[Location, str]]:
        """The same with the place of each: `here`, or where something that several steps share was made."""
        return [(here, problem) for problem in self.problems()]

    def default_name(self) -> str:
        """A name for reports when the author gives none; `[a-z0-9-]+`."""
        return self.kind.replace(".", "-")

    def refers_to(self) -> tuple[str, ...]:
        """Names of steps of the same plugin and scenario that this one builds upon; they must be there."""
        return ()


def slug(text: str) -> str:
    """The text as part of a step's name: small letters, digits and single dashes, 60 at the most, or none."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60].rstrip("-")


def named(verb: str, what: object, otherwise: str) -> str:
    """`publish-orders` of the verb "publish" and the topic "orders"; `otherwise` for what makes no name."""
    said = slug(what) if isinstance(what, str) else ""
    return f"{verb}-{said}" if said else otherwise
