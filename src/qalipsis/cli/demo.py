"""`demo`: the bundled scenario against the bundled shop, as any other campaign."""

from __future__ import annotations

import argparse

from qalipsis.cli import arguments
from qalipsis.cli.run import run_campaign
from qalipsis.config.loader import load
from qalipsis.config.values import DURATION, SHARE, Form
from qalipsis.demo.campaign import SCENARIO, open_shop
from qalipsis.errors import ConfigurationError

SHOP_KEYS: dict[str, Form] = {"demo.delay": DURATION, "demo.errors": SHARE}
"""What the shop itself reads, beside the properties of the scenario."""


def demo(options: argparse.Namespace) -> int:
    """Start the shop, run the campaign against it, stop the shop; returns the campaign's exit code."""
    overrides = arguments.overrides(options)
    properties = load(overrides=overrides).properties
    for key, form in SHOP_KEYS.items():
        try:
            form.decode(properties.get(key, "0"))
        except ValueError:
            raise ConfigurationError(f"{key} cannot be {properties[key]!r}: write {form.expected}") from None
    with open_shop(properties) as given:
        # Loaded again, so that the shop's address has its place among the sources: the command line.
        configuration = load(overrides=(*overrides, f"demo.url={given['demo.url']}"))
        return run_campaign(configuration, (str(SCENARIO),), (), options, known=tuple(SHOP_KEYS))
