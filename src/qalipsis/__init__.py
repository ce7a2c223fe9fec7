"""The names a scenario author imports."""

from qalipsis.language import profiles as profile
from qalipsis.language.chain import Chain, MeterChain
from qalipsis.language.conditions import step
from qalipsis.language.context import Context
from qalipsis.language.distributions import normal, uniform
from qalipsis.language.joins import Pair
from qalipsis.language.minion import Minion, StepFailed
from qalipsis.language.options import backoff
from qalipsis.language.prop import prop
from qalipsis.language.scenario import Journey, journey, scenario
from qalipsis.language.source import Source

__all__ = [
    "Chain",
    "Context",
    "Journey",
    "MeterChain",
    "Minion",
    "Pair",
    "Source",
    "StepFailed",
    "backoff",
    "journey",
    "normal",
    "profile",
    "prop",
    "scenario",
    "step",
    "uniform",
]
