"""For tests of scenarios, and of plugins: run a scenario in a test, stand in for its services."""

from qalipsis.testing.check_source import check_source
from qalipsis.testing.check_step import check_step
from qalipsis.testing.fake_http import (
    FakeHttp,
    FakeRequest,
    FakeResponse,
    fake_http,
    fake_reset,
    fake_response,
    fake_silence,
)
from qalipsis.testing.fake_step import FakeAnswer, FakeCall, fake_answer
from qalipsis.testing.run import run_scenario, run_scenario_async
from qalipsis.testing.virtual_clock import VirtualClock
from qalipsis.testing.virtual_loop import NoNetwork, VirtualLoop

__all__ = [
    "FakeAnswer",
    "FakeCall",
    "FakeHttp",
    "FakeRequest",
    "FakeResponse",
    "NoNetwork",
    "VirtualClock",
    "VirtualLoop",
    "check_source",
    "check_step",
    "fake_answer",
    "fake_http",
    "fake_reset",
    "fake_response",
    "fake_silence",
    "run_scenario",
    "run_scenario_async",
]
