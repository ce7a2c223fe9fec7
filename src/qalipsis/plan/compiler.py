"""Turns a scenario into a plan, or into every mistake in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from difflib import get_close_matches
from inspect import iscoroutinefunction
from itertools import count
from typing import Any

from qalipsis.errors import Mistake
from qalipsis.language import steps
from qalipsis.language.chain import Chain, Head, Written
from qalipsis.language.conditions import Claim
from qalipsis.language.durations import duration_problems, seconds
from qalipsis.language.joins import Meeting
from qalipsis.language.location import Location
from qalipsis.language.options import BackoffSpec, IterationSpec, Options
from qalipsis.language.profiles import immediate
from qalipsis.language.source import Feed, Source
from qalipsis.metrics import meter_totals
from qalipsis.metrics.expectations import Condition
from qalipsis.plan.model import (
    AsideRoot,
    Backoff,
    ExpectationDescriptor,
    Iteration,
    MeterDescriptor,
    Node,
    Plan,
    ScenarioDescriptor,
    StepDescriptor,
)
from qalipsis.plan.properties import Properties

NAME = re.compile(r"_{0,2}[a-z0-9]+(-[a-z0-9]+)*")
MAX_STEPS = 100
NAME_HINT = "use lower-case letters, digits and dashes, for example place-order"
RETRIED_BY_DEFAULT_NOT = (steps.Stage, steps.Split, steps.Gather, steps.Choose, steps.Walk)
STATISTICS: dict[str, tuple[str, ...]] = {
    **meter_totals.STATISTICS,
    "latency": ("count", "mean", "max", "percentile"),
    "service_time": ("count", "mean", "max", "percentile"),
    "failed_share": ("value",),
    "executions": ("count",),
}
"""What a condition can ask of a meter or of a measure of a step."""
DURATIONS = {"timer", "latency", "service_time"}


def compile_chain(
    chain: Chain[Any], properties: Properties, max_steps: int = MAX_STEPS
) -> tuple[Plan | None, list[Mistake]]:
    """The plan of a scenario's last chain; None when there are mistakes."""
    if chain.head is None:
        raise TypeError("a branch is not a scenario")
    return _Compilation(chain, chain.head, properties, max_steps).plan()


class _Compilation:
    """One scenario being compiled: mistakes gather here, names are given out here."""

    def __init__(self, chain: Chain[Any], head: Head, properties: Properties, max_steps: int) -> None:
        self._chain = chain
        self._head = head
        self._properties = properties
        self._max_steps = max_steps
        self._mistakes: list[Mistake] = []
        self._indexes = count()
        self._named: dict[str, Location] = {}
        self._tapped: set[str] = set()
        self._feeds: dict[str, Feed[Any]] = {}
        self._references: list[tuple[Location, str, str]] = []
        """Place, kind and the name of a step that a step builds upon."""

    def plan(self) -> tuple[Plan | None, list[Mistake]]:
        head, chain = self._head, self._chain
        before = len(self._properties.mistakes)
        name = head.name
        if name is None:
            self._say(head.location, "the journey has no name", 'write for example @journey("browse")')
        elif not isinstance(name, str) or not NAME.fullmatch(name):
            self._say(head.location, f"{name!r} is no name for a scenario", NAME_HINT)
        name = str(name)
        profile = self._profile()
        minions = self._minions(profile)
        self._reserve(chain)
        if head.setup is not None:
            self._reserve(head.setup)
        for _, aside, _ in head.asides:
            self._reserve(aside)
        setups = [] if head.setup is None else [head.setup]
        self._find_taps([chain, *setups, *(aside for _, aside, _ in head.asides)])
        asides = tuple(self._aside(*aside) for aside in head.asides)
        setup = self._nodes(head.setup) if head.setup is not None else ()
        nodes = self._nodes(chain)
        everything = setup + nodes + tuple(node for aside in asides for node in aside.chain)
        self._check_references(everything)
        if not nodes and not chain.mistakes:  # else the verb that there is not was meant to be one
            self._say(
                head.location,
                f"the scenario {name!r} has no steps",
                "add one after start(), for example .then(…)",
            )
        elif (
            total := sum(not isinstance(node.spec, steps.Tap) for node in walk(everything))
        ) > self._max_steps:
            self._say(
                head.location,
                f"the scenario {name!r} has {total} steps, more than {self._max_steps}",
                "split it into several scenarios, or put a loop into a journey",
            )
        claims = chain.expectations + (() if head.setup is None else head.setup.expectations)
        claims += tuple(found for _, aside, _ in head.asides for found in aside.expectations)
        claims += tuple(
            found
            for root in (chain, *(aside for _, aside, _ in head.asides))
            for branch in _branches(root)
            for found in branch.expectations
        )
        expectations = tuple(
            filter(None, (self._expectation(claim, abort, everything) for claim, abort in claims))
        )
        found = self._mistakes + self._properties.mistakes[before:]
        if found:
            return None, found
        return (
            Plan(
                name=name,
                minions=minions,
                profile=profile,
                chain=nodes,
                setup=setup,
                asides=asides,
                expectations=expectations,
                file=head.location.file,
                line=head.location.line,
                description=head.description,
                properties=self._properties,
            ),
            [],
        )

    # the scenario as a whole

    def _profile(self) -> Any:
        profile = self._value(self._head.profile)
        if profile is None:
            return immediate()
        if not hasattr(profile, "lines"):
            self._say(
                self._head.location,
                f"profile={profile!r} is no profile",
                'write for example profile=profile.regular("100ms", 10)',
            )
            return immediate()
        for problem in profile.problems():
            self._say(self._head.location, problem)
        return profile

    def _minions(self, profile: Any) -> int:
        given = self._value(self._head.minions)
        fixed = None if self._mistakes else profile.minions()
        if fixed is not None:
            if given is not None:
                self._say(
                    self._head.location,
                    f"minions={given!r} and stages with absolute counts are given, which sum to {fixed}",
                    "give one of them",
                )
            return int(fixed)
        if given is None:
            return 1
        if isinstance(given, bool) or not isinstance(given, int) or given < 1:
            self._say(self._head.location, f"minions={given!r} should be a whole number of at least 1")
            return 1
        return given

    def _expectation(
        self, claim: Claim, abort: bool, nodes: tuple[Node, ...]
    ) -> ExpectationDescriptor | None:
        if not isinstance(claim, Claim) or claim.step is None or claim.measure is None:
            self._say(
                self._head.location,
                "expect needs a condition on a step",
                'for example expect(step("login").latency.percentile(95).is_less_than("1s"))',
            )
            return None
        names = [node.name for node in walk(nodes)]
        is_open = any(
            isinstance(node.spec, steps.Walk) for node in walk(nodes)
        )  # a journey names steps as it runs
        if claim.step not in names and not is_open:
            near = get_close_matches(claim.step, names, n=3)
            known = near or [known for known in names if not known.startswith("_")]
            self._say(
                claim.location,
                f"there is no step {claim.step!r}",
                "did you mean " + " or ".join(map(repr, known)) + "?"
                if known
                else "name a step with .named(…)",
            )
            return None
        condition = self._condition(claim, claim.measure)
        if condition is None:
            return None
        return ExpectationDescriptor(step=claim.step, measure=claim.measure, condition=condition, abort=abort)

    def _condition(self, claim: Claim, subject: str) -> Condition | None:
        allowed = STATISTICS[subject]
        if claim.statistic not in allowed:
            self._say(
                claim.location,
                f"{subject.replace('_', ' ')} has no {claim.statistic!r}",
                "it has " + ", ".join(allowed),
            )
            return None
        if claim.argument is not None and not 0 < claim.argument < 100:
            self._say(
                claim.location, f"percentile({claim.argument!r}) should be between 0 and 100, for example 95"
            )
            return None
        is_duration = subject in DURATIONS and claim.statistic != "count"
        bounds = []
        for raw in claim.bounds:
            bound = self._value(raw)
            if bound is None and raw is not None:
                return None
            try:
                bounds.append(seconds(bound) if is_duration else float(bound))
            except (TypeError, ValueError) as error:
                self._say(claim.location, f"{bound!r} cannot be compared with {subject}: {error}")
                return None
        if len(bounds) == 2 and bounds[0] > bounds[1]:
            self._say(
                claim.location,
                f"the bounds {claim.bounds!r} are in the wrong order",
                "write the lower one first",
            )
            return None
        return Condition(
            statistic=claim.statistic,
            operator=claim.operator,
            bounds=tuple(bounds),
            argument=claim.argument,
            is_duration=is_duration,
        )

    # steps

    def _reserve(self, chain: Chain[Any]) -> None:
        """Take the names that the author gave, before any is made up."""
        for step in chain.steps:
            name = step.options.name
            if name is not None:
                if not isinstance(name, str) or not NAME.fullmatch(name):
                    self._say(step.location, f"{name!r} is no name for a step", NAME_HINT)
                elif name in self._named:
                    first = self._named[name]
                    self._say(
                        step.location,
                        f"the step name {name!r} is used twice (first in line {first.line})",
                        f"rename one of them, for example {name}-2",
                    )
                else:
                    self._named[name] = step.location
            for branch in step.branches:
                if isinstance(branch, Chain):
                    self._reserve(branch)

    def _aside(self, name: Any, chain: Any, where: Location) -> AsideRoot:
        if not isinstance(name, str) or not NAME.fullmatch(name):
            self._say(where, f"{name!r} is no name for an aside", NAME_HINT)
        nodes = self._nodes(chain)
        if not nodes and not chain.mistakes:
            self._say(where, f"the aside {name!r} has no steps", "add one in its function")
        is_everywhere = any(isinstance(node.spec, steps.Tap) for node in walk(nodes))
        return AsideRoot(str(name), nodes, is_everywhere)

    def _find_taps(self, roots: list[Chain[Any]]) -> None:
        """Remember the steps whose records joins wait for; they must be there."""
        written = [step for root in roots for step in _written(root)]
        for step in written:
            right = step.spec.right if isinstance(step.spec, Meeting) else None
            if not isinstance(right, str):
                continue
            if right == step.options.name:
                self._say(step.location, f"the step {right!r} cannot be joined with itself")
            elif right in self._named:
                self._tapped.add(right)
            else:
                names = sorted(self._named)
                near = get_close_matches(right, names, n=3) or names
                self._say(
                    step.location,
                    f"there is no step {right!r} to join with",
                    "did you mean " + " or ".join(map(repr, near)) + "?"
                    if near
                    else "give a step that name with .named(…)",
                )

    def _check_references(self, nodes: tuple[Node, ...]) -> None:
        """A step that another one builds upon must be there, and be of the same plugin."""
        kinds = {node.name: node.kind for node in walk(nodes)}
        is_open = any(isinstance(node.spec, steps.Walk) for node in walk(nodes))  # names steps as it runs
        for where, kind, name in self._references:
            plugin = kind.partition(".")[0]
            known = kinds.get(name)
            if known is None and not is_open:
                of_plugin = [near for near, other in kinds.items() if other.partition(".")[0] == plugin]
                near = get_close_matches(name, of_plugin, n=3) or of_plugin
                self._say(
                    where,
                    f"there is no step {name!r}",
                    "did you mean " + " or ".join(map(repr, near)) + "?",
                )
            elif known is not None and known.partition(".")[0] != plugin:
                self._say(where, f"{kind} builds upon a step of {plugin}, and {name!r} is of kind {known}")

    def _nodes(self, chain: Chain[Any], is_in_retry: bool = False) -> tuple[Node, ...]:
        self._mistakes.extend(chain.mistakes)
        nodes: list[Node] = []
        for step in chain.steps:
            nodes.append(self._node(step, is_in_retry))
            if step.options.name in self._tapped:
                index = next(self._indexes)
                tap = steps.Tap(str(step.options.name))
                nodes.append(Node(index, f"__tap-{tap.step}", tap.kind, tap))
        return tuple(nodes)

    def _node(self, step: Written, is_in_retry: bool) -> Node:
        index = next(self._indexes)
        where, options = step.location, step.options
        unresolved = self._properties.failures
        spec = self._properties.resolve(step.spec)
        if isinstance(spec, Source):
            spec = spec.unicast()
        if not hasattr(spec, "kind"):
            self._say(
                where,
                f"{spec!r} is not a step",
                'then(…) takes a plugin\'s step, for example http.client(…).get("/")',
            )
            return Node(index, f"_broken-{index}", "broken", None)
        if isinstance(spec, Feed) and spec.name is not None:
            self._check_shared(where, spec)
        if self._properties.failures == unresolved:  # else it would complain about the missing value
            for place, problem in spec.problems_by_place(where):
                self._say(place, problem)
        for name in spec.refers_to():
            if name == options.name:
                self._say(where, f"the step {name!r} cannot build upon itself")
            else:
                self._references.append((where, spec.kind, name))
        self._refuse_coroutines(where, spec)
        retry = self._retry(where, options.retry)
        if retry is None and self._head.retry is not None and not isinstance(spec, RETRIED_BY_DEFAULT_NOT):
            is_sync = isinstance(spec, steps.Builtin) and not isinstance(spec, steps.Execute)
            if not is_sync and not is_in_retry:
                retry = self._retry(where, self._head.retry)
        if options.retry is not None and isinstance(spec, steps.Verify | steps.VerifyAndMap | steps.Validate):
            self._say(
                where, "a check is never retried", "put the step and its check into a stage and retry that"
            )
        if retry is not None and is_in_retry:
            if options.retry is not None:
                self._say(
                    where,
                    "retry stands inside a stage that is retried itself, and the attempts would multiply",
                    "keep one of the two",
                )
            retry = None
        branches = []
        written: tuple[Any, ...] = step.branches  # an author's function may return anything
        for branch in written:
            if isinstance(branch, Chain):
                branches.append(self._nodes(branch, is_in_retry or options.retry is not None))
            else:
                self._say(
                    where,
                    f"the branch returns {branch!r} instead of a chain",
                    "return what the last verb returned",
                )
        conditions: tuple[Condition, ...] = ()
        if isinstance(spec, steps.Meter):
            conditions = tuple(filter(None, (self._condition(claim, spec.type) for claim in step.claims)))
        return Node(
            index=index,
            name=self._name(options, spec, index),
            kind=spec.source.kind if isinstance(spec, Feed) else spec.kind,
            spec=spec,
            branches=tuple(branches),
            timeout=self._duration(where, "timeout", options.timeout),
            retry=retry,
            iterate=self._iterate(where, options.iterate),
            monitor_meters=options.monitor_meters,
            monitor_events=options.monitor_events,
            tags=options.tags,
            reported=options.report_errors,
            tolerated_share=self._share(where, options.tolerate),
            conditions=conditions,
        )

    def _check_shared(self, where: Location, feed: Feed[Any]) -> None:
        """Steps that name the same feed take from one source: another one would never be read."""
        if not isinstance(feed.name, str) or not NAME.fullmatch(feed.name):
            self._say(where, f"{feed.name!r} is no name for a feed", NAME_HINT)
            return
        known = self._feeds.setdefault(feed.name, feed)
        if known != feed:
            self._say(
                where,
                f"the feed {feed.name!r} is described twice, and not in the same way",
                "write it once, outside of the scenario, and use it in each of the steps",
            )

    def _refuse_coroutines(self, where: Location, spec: Any) -> None:
        """A coroutine function called like a plain one would never run, and its answer always be true."""
        if not isinstance(spec, steps.Builtin) or isinstance(spec, steps.Execute | steps.Walk):
            return
        functions = [getattr(spec, name, None) for name in ("fn", "value", "on", "having")]
        if any(iscoroutinefunction(function) for function in functions):
            self._say(
                where,
                f"{spec.kind.replace('-', '_')} calls its function and does not await it",
                "use execute(…)",
            )

    def _name(self, options: Options, spec: Any, index: int) -> str:
        if options.name is not None:
            return str(options.name)
        base = str(spec.default_name())
        if isinstance(spec, steps.Builtin):
            return f"_{base}-{index + 1}"
        name = base
        for number in count(2):
            if name not in self._named:
                break
            name = f"{base}-{number}"
        self._named[name] = Location("", 0)
        return name

    def _duration(self, where: Location, what: str, raw: Any) -> float | None:
        value = self._value(raw)
        if value is None:
            return None
        problems = duration_problems(what, value)
        for problem in problems:
            self._say(where, problem)
        if problems:
            return None
        if what == "timeout" and seconds(value) == 0:
            self._say(where, "timeout cannot be zero", "leave it out for no limit")
        return seconds(value)

    def _retry(self, where: Location, raw: BackoffSpec | None) -> Backoff | None:
        policy = self._value(raw)
        if policy is None:
            return None
        if not isinstance(policy, BackoffSpec):
            self._say(where, f"{policy!r} is no retry policy", 'write retry(backoff(retries=3, delay="1s"))')
            return None
        delay = self._duration(where, "retry delay", policy.delay)
        longest = self._duration(where, "retry max_delay", policy.max_delay)
        if not isinstance(policy.retries, int) or policy.retries < 1:
            self._say(where, f"retries={policy.retries!r} should be a whole number of at least 1")
            return None
        if not isinstance(policy.multiplier, int | float) or policy.multiplier <= 0:
            self._say(where, f"multiplier={policy.multiplier!r} should be a number above 0")
            return None
        if delay is None or longest is None:
            return None
        return Backoff(policy.retries, delay, float(policy.multiplier), longest)

    def _iterate(self, where: Location, raw: IterationSpec | None) -> Iteration | None:
        iterate = self._value(raw)
        if iterate is None:
            return None
        if isinstance(iterate.count, bool) or not isinstance(iterate.count, int) or iterate.count < 1:
            self._say(where, f"iterate({iterate.count!r}) should be a whole number of at least 1")
            return None
        period = self._duration(where, "iterate period", iterate.period)
        return Iteration(iterate.count, period or 0.0, bool(iterate.stop_on_error))

    def _share(self, where: Location, raw: Any) -> float:
        value = self._value(raw)
        if value is None and raw is not None:
            return 0.0
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            self._say(
                where, f"tolerate({value!r}) should be a share between 0 and 1", "0.01 tolerates one percent"
            )
            return 0.0
        return float(value)

    def _value(self, raw: Any) -> Any:
        """`raw` with its placeholders replaced; None when one of them has no value, which is told already."""
        failures = self._properties.failures
        value = self._properties.resolve(raw)
        return value if self._properties.failures == failures else None

    def _say(self, where: Location, message: str, hint: str = "") -> None:
        self._mistakes.append(Mistake(where.file, where.line, message, hint))


def _written(chain: Chain[Any]) -> Iterator[Written]:
    yield from chain.steps
    for branch in _branches(chain):
        yield from branch.steps


def _branches(chain: Chain[Any]) -> Iterator[Chain[Any]]:
    for step in chain.steps:
        for branch in step.branches:
            if isinstance(branch, Chain):
                yield branch
                yield from _branches(branch)


def walk(nodes: tuple[Node, ...]) -> Any:
    """All nodes of a chain, those of branches included, in the order they were written."""
    for node in nodes:
        yield node
        for branch in node.branches:
            yield from walk(branch)


def descriptor(plan: Plan) -> ScenarioDescriptor:
    """What the head may know of a plan."""
    nodes = list(walk(plan.setup + plan.chain + tuple(node for aside in plan.asides for node in aside.chain)))
    return ScenarioDescriptor(
        name=plan.name,
        minions=plan.minions,
        profile=plan.profile.describe(),
        fixed_minions=plan.profile.minions() is not None,
        has_arrivals=plan.profile.is_arrivals,
        description=plan.description,
        steps=tuple(
            StepDescriptor(
                name=node.name,
                type=node.kind,
                tolerated_share=node.tolerated_share,
                reported=node.reported,
                hidden=node.hidden,
            )
            for node in nodes
        ),
        meters=tuple(
            MeterDescriptor(name=node.spec.name, type=node.spec.type, conditions=node.conditions)
            for node in nodes
            if isinstance(node.spec, steps.Meter)
        ),
        expectations=plan.expectations,
        file=plan.file,
        digest=plan.digest,
    )
