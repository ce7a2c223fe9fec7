"""What is asked of every description that an author writes: steps and sources alike."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterable
from typing import Any, Final

from qalipsis.plan.compiler import NAME
from qalipsis.testing.promise import promise

IMPORT_SECONDS: Final = 60.0

_LOADED = "import importlib, sys; importlib.import_module(sys.argv[1]); print(*sys.modules)"


def check_description(spec: Any) -> None:
    """A description without mistakes has none, and a kind and a name."""
    kind = type(spec).__name__
    promise(isinstance(getattr(spec, "kind", None), str), f'{kind} has no kind: write kind = "redis.get"')
    problems = spec.problems()
    promise(problems == [], f"{spec!r} should have no problems, but has: {'; '.join(map(str, problems))}")
    name = spec.default_name()
    promise(isinstance(name, str), f"default_name() of {kind} should be a text, not {name!r}")
    promise(
        NAME.fullmatch(name),
        f"default_name() of {kind} is {name!r}: use lower-case letters, digits and dashes",
    )


def check_mistakes(wrong: Iterable[Any]) -> None:
    """What is wrong with a description is said in sentences, and not raised."""
    for spec in wrong:
        try:
            problems = spec.problems()
        except Exception as error:
            raise AssertionError(
                f"problems() of {spec!r} raised {error!r}: a mistake is one of the sentences it returns"
            ) from error
        promise(problems, f"problems() of {spec!r} found nothing wrong with it")
        for problem in problems:
            is_sentence = isinstance(problem, str) and problem == problem.strip() and " " in problem
            promise(is_sentence, f"problems() of {spec!r} should say it in a sentence, not {problem!r}")


async def check_imports(spec: Any, drivers: Iterable[str]) -> None:
    """The module of a description loads none of the drivers."""
    module, drivers = type(spec).__module__, tuple(drivers)
    if not drivers:
        return
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _LOADED, module, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(IMPORT_SECONDS):
            printed, complaint = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise AssertionError(f"importing {module} took more than {IMPORT_SECONDS:g} s") from None
    promise(process.returncode == 0, f"{module} cannot be imported by itself: {complaint.decode()[-500:]}")
    loaded = sorted(set(drivers) & set(printed.decode().split()))
    promise(not loaded, f"importing {module} loads {', '.join(loaded)}: import drivers where a step opens")
