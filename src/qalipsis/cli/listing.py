"""`list` and `validate`: what the scenarios are, and whether they can be run."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from qalipsis.cli import arguments
from qalipsis.cli.exit_codes import ExitCode
from qalipsis.config.loader import load
from qalipsis.factory.loader import load_plans
from qalipsis.plan.compiler import descriptor
from qalipsis.plan.model import Plan, ScenarioDescriptor
from qalipsis.plan.selection import select


def show(options: argparse.Namespace) -> int:
    """Print each scenario with its minions, its profile and its steps."""
    for plan in _plans(options):
        print("\n".join(_lines(descriptor(plan))))
    return ExitCode.SUCCESSFUL


def validate(options: argparse.Namespace) -> int:
    """Print the names of the valid scenarios; mistakes are raised, all of them together."""
    plans = _plans(options)
    count = "1 scenario is" if len(plans) == 1 else f"{len(plans)} scenarios are"
    print(f"{count} valid: {', '.join(plan.name for plan in plans)}")
    return ExitCode.SUCCESSFUL


def _plans(options: argparse.Namespace) -> list[Plan]:
    configuration = load(overrides=arguments.overrides(options))
    loaded = load_plans(options.paths, configuration.properties)
    configuration.check_unknown(loaded.property_keys)
    return [loaded.plans[name] for name in select(loaded.plans, arguments.patterns(options))]


def _lines(scenario: ScenarioDescriptor) -> Iterator[str]:
    minions = "1 minion" if scenario.minions == 1 else f"{scenario.minions:,} minions"
    yield f"{scenario.name}: {minions}, {scenario.profile}"
    if scenario.description:
        yield f"    {scenario.description}"
    steps = [step for step in scenario.steps if not step.hidden]
    width = max((len(step.name) for step in steps), default=0)
    for step in steps:
        yield f"    {step.name:<{width}}  {step.type}"
