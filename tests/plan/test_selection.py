from __future__ import annotations

import pytest

from qalipsis.errors import ScenarioErrors
from qalipsis.plan.selection import select

NAMES = ("checkout", "browse", "browse-slowly", "acid")


@pytest.mark.parametrize(
    ("patterns", "selected"),
    [
        ((), NAMES),
        (("browse",), ("browse",)),
        (("browse*",), ("browse", "browse-slowly")),
        (("?cid", "checkout"), ("checkout", "acid")),
        (("*", "browse"), NAMES),
    ],
)
def test_patterns_select_scenarios_in_their_own_order(
    patterns: tuple[str, ...], selected: tuple[str, ...]
) -> None:
    assert select(NAMES, patterns) == selected


def test_a_pattern_that_matches_nothing_is_refused_with_the_likeliest_names_first() -> None:
    with pytest.raises(ScenarioErrors) as caught:
        select(NAMES, ("brows", "acid", "zzz*"))
    message = str(caught.value)
    assert "'brows' matches no scenario\n    there are: browse, browse-slowly, " in message
    assert "'zzz*' matches no scenario" in message
    assert "acid'" not in message
