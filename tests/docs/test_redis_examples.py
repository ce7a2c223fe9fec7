"""The page on Redis: its examples run, and its tables know every option, command and class of failure."""

from __future__ import annotations

import re
from inspect import signature
from pathlib import Path

from qalipsis.factory.loader import load_plans
from qalipsis.metrics.ledger import Slot
from qalipsis.plugins import redis
from qalipsis.plugins.redis import RedisClient, commands, failures
from tests.plugins.redis.stage import play_plan
from tests.services.redis import Redis

PAGE = (Path(__file__).parents[2] / "docs" / "plugins" / "redis.md").read_text()
EXPLAINED = set(re.findall(r"`\"?(\w[\w-]*)\"?`", PAGE))


async def test_the_examples_do_what_the_page_says(tmp_path: Path, redis_server: Redis) -> None:
    module = tmp_path / "page.py"
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    module.write_text("\n".join(blocks))
    plans = load_plans([module], {"shop.redis": f"{redis_server.url[:-1]}9"}).plans
    assert set(plans) == {"orders", "baskets", "workshop", "paid"}
    for plan in plans.values():
        played = await play_plan(plan)
        assert played.counts[Slot.PASSES_STARTED] == played.counts[Slot.PASSES_COMPLETED] > 0, plan.name


def test_every_option_is_explained() -> None:
    for function in (
        redis.client,
        RedisClient.save,
        RedisClient.produce,
        RedisClient.consume,
        RedisClient.poll,
    ):
        assert set(signature(function).parameters) - {"self", "kind", "commands", "fields"} <= EXPLAINED


def test_every_command_is_explained() -> None:
    kinds = {name for name in redis.__all__ if name.islower()} - {"client"}
    assert kinds <= set(re.findall(r"redis\.(\w+)\(", PAGE))
    assert kinds <= set(vars(commands))


def test_every_class_of_failure_is_explained() -> None:
    source = Path(failures.__file__).read_text()
    kinds = set(re.findall(r'(?:Unsent|StepError)\(\s*"([\w-]+)"', source))
    kinds |= set(re.findall(r'return "([\w-]+)",', source)) | failures.PASSING
    assert len(kinds) > 12
    assert kinds <= set(re.findall(r"^\| `([\w-]+)` \|", PAGE, re.MULTILINE))
