"""The examples of the documentation: all compile, and those that need no network do what the page says."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from qalipsis.engine.runner import WorkerEngine
from qalipsis.factory.loader import load_plans
from qalipsis.metrics.ledger import ScenarioLedger, Slot, ledger_bytes
from qalipsis.plan.model import Plan
from qalipsis.plan.ownership import Ownership
from qalipsis.testing.virtual_clock import VirtualClock

ROOT = Path(__file__).parents[2]
LANGUAGE = ROOT / "docs" / "language.md"
RECORDS = ROOT / "docs" / "records.md"
README = ROOT / "README.md"
BLOCK = re.compile(
    r"^```python\n(?P<code>.*?)^```\n(?:```text\n(?P<printed>.*?)^```\n)?", re.MULTILINE | re.DOTALL
)

LONGEST = 60.0
"""Virtual seconds that an example may take."""


@dataclass(frozen=True)
class Example:
    """One block of Python, and what the page says it prints."""

    line: int
    code: str
    printed: str

    @property
    def needs_network(self) -> bool:
        return re.search(r"\bshop\.\w+\(", self.code) is not None


def blocks(page: Path) -> list[Example]:
    text = page.read_text()
    return [
        Example(text.count("\n", 0, found.start()) + 1, found["code"], found["printed"] or "")
        for found in BLOCK.finditer(text)
    ]


def examples(page: Path) -> list[tuple[Example, Example]]:
    """Each with the lines that stand before all examples of its page."""
    prelude, *others = blocks(page)
    return [(prelude, example) for example in others]


EXAMPLES = examples(LANGUAGE) + examples(RECORDS)
FILES = {
    "users.csv": "id,name\n1,ada\n2,bob\n3,eve\n",
    "ages.csv": "user,age\n3,52\n1,36\n2,24\n",
}
"""What the page on records says lies beside its examples."""


def named(value: Example) -> str:
    return f"line-{value.line}"


@pytest.fixture
def _modules_are_forgotten(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield
    for name, module in list(sys.modules.items()):
        if (getattr(module, "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


def plans_of(code: str, folder: Path) -> dict[str, Plan]:
    file = folder / "documented.py"
    file.write_text(code)
    return load_plans([file], {}).plans


async def play(plan: Plan) -> dict[Slot, int]:
    """Run a scenario in one worker, in virtual time."""
    clock = VirtualClock()
    memory = memoryview(bytearray(ledger_bytes(1)))
    ScenarioLedger(memory, 0).lease[0] = float("inf")
    engine = WorkerEngine({plan.name: plan}, [plan.name], memory, Ownership((1,)), 0, clock)
    await engine.open({plan.name: plan.minions})
    start = clock.now()
    engine.start(start)
    ended = asyncio.ensure_future(engine.wait_ended())
    while True:
        for _ in range(10):  # coroutines of the example go on between two moments
            await asyncio.sleep(0)
        await asyncio.sleep(0.001)  # and files are read by threads
        if ended.done():
            break
        upcoming = clock.next_timer()
        assert upcoming is not None
        assert upcoming < start + LONGEST, "the example does not end"
        clock.run_until(upcoming)
    await engine.aclose()
    counts = ScenarioLedger(memory, 0).counts
    return {slot: counts[slot] for slot in Slot}


@pytest.mark.usefixtures("_modules_are_forgotten")
@pytest.mark.parametrize(("prelude", "example"), EXAMPLES, ids=named)
async def test_an_example_of_the_language_does_what_the_page_says(
    prelude: Example, example: Example, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, content in FILES.items():
        (tmp_path / name).write_text(content)
    plans = plans_of(f"{prelude.code}\n{example.code}", tmp_path)
    assert plans
    if example.needs_network:
        assert not example.printed
        return
    for plan in plans.values():
        books = await play(plan)
        assert books[Slot.PASSES_STARTED] == books[Slot.PASSES_COMPLETED] > 0
    assert capsys.readouterr().out == example.printed


def test_every_verb_has_an_example() -> None:
    from qalipsis import Chain, MeterChain

    verbs = {name for kind in (Chain, MeterChain) for name in vars(kind) if not name.startswith("_")}
    verbs -= {"head", "steps", "expectations", "mistakes", "previous"}
    shown = " ".join(example.code for _, example in EXAMPLES)
    missing = {verb for verb in verbs if f".{verb}(" not in shown}
    assert missing == set()


@pytest.mark.usefixtures("_modules_are_forgotten")
def test_the_first_scenario_of_the_readme_is_the_example_that_the_tests_run(tmp_path: Path) -> None:
    [shown] = blocks(README)
    assert shown.code.strip() in (ROOT / "examples" / "first.py").read_text()
    assert plans_of(shown.code, tmp_path)


PAGES = [README, ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=[page.stem for page in PAGES])
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (page.parent / target).exists()] == []
