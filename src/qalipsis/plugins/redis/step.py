"""Turns saves and new entries of streams into traffic."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from redis.exceptions import ResponseError

from qalipsis.engine.builtin import on_value
from qalipsis.engine.step import ExecuteStep, StepError, StepRuntime
from qalipsis.engine.traffic import Traffic
from qalipsis.errors import ConfigurationError
from qalipsis.metrics.meters import StepMeters
from qalipsis.plugins.redis.commands import Command, Words, encoded, field_words
from qalipsis.plugins.redis.node import Answers
from qalipsis.plugins.redis.records import Added, Saved
from qalipsis.plugins.redis.service import Service, unavailable
from qalipsis.plugins.redis.spec import Produce, RedisClient, Save
from qalipsis.plugins.redis.topology import text

Fill = Callable[[Any], Any]
"""Makes a part of a command from the context."""


def open_save(spec: Save[Any]) -> ExecuteStep:
    """What the registry calls for each save of a plan."""
    return SaveStep(spec)


def open_produce(spec: Produce[Any]) -> ExecuteStep:
    """What the registry calls for each produce of a plan."""
    return ProduceStep(spec)


class ClientStep:
    """What the steps of a client share: its service, and the books of what they send."""

    meters: StepMeters
    now: Callable[[], float]
    offset: float
    service: Service
    traffic: Traffic

    def __init__(self, client: RedisClient[Any]) -> None:
        self._client = client

    async def open(self, runtime: StepRuntime) -> None:
        client = self._client
        service = runtime.shared.get(client)
        if service is None:
            try:
                service = Service(client.settings())
            except ConfigurationError as error:
                location = client.location
                raise ConfigurationError(f"{location.file}:{location.line}: {error}") from error
            runtime.shared[client] = service
        self.service = service
        self.meters = runtime.meters
        self.now = runtime.clock.now
        self.offset = runtime.clock.epoch(0.0)
        self.traffic = Traffic(runtime)

    async def reach(self) -> None:
        """See before the start that the service lets us in. Raises ServiceUnavailable."""
        try:
            await self.service.reach()
        except StepError as error:
            raise unavailable(error, repr(self._client), self._client.location) from error

    def connections(self, minions: int) -> dict[tuple[str, int], int]:
        settings = self._client.settings()
        count = min(minions, settings.pool_size)
        return {(address.host, address.port): count for address in settings.addresses}

    async def aclose(self) -> None:
        await self.service.aclose()

    async def send(self, commands: Sequence[Words], is_repeatable: bool) -> tuple[Answers, float, float]:
        """The answers, and the epoch seconds of the first byte sent and of the last answer.

        Raises StepError, also when one of the answers is an error.
        """
        execution = Execution(self)
        answers = await self.service.send(commands, is_repeatable, execution)
        done = self.now() + self.offset
        for words, answer in zip(commands, answers, strict=True):
            if isinstance(answer, ResponseError):
                raise self.service.refused(answer, words)
        return answers, execution.sent, done


class Execution:
    """The requests of one execution: one, or several when a cluster redirects or fails over."""

    __slots__ = ("_step", "sent")

    def __init__(self, step: ClientStep) -> None:
        self._step = step
        self.sent = 0.0

    async def request(self, send: Callable[[], Awaitable[Answers]]) -> Answers:
        step = self._step
        if not self.sent:
            self.sent = step.now() + step.offset
        return await step.traffic.request(send)

    def connected(self, seconds: float) -> None:
        self._step.meters.phase("connect", seconds)

    def bytes(self, sent: int, received: int) -> None:
        self._step.meters.bytes(sent, received)


class SaveStep(ClientStep):
    """Sends the commands of one save in a pipeline."""

    def __init__(self, spec: Save[Any]) -> None:
        super().__init__(spec.client)
        first = spec.commands[0]
        if isinstance(first, Command):
            self._make: Callable[[Any], Sequence[Command[Any]]] | None = None
            self._fills = tuple(map(filled, spec.commands))
            self._is_repeatable = all(command.is_repeatable for command in spec.commands)
        else:
            self._make = on_value(first)

    async def execute(self, context: Any) -> Saved[Any]:
        value = context.value
        if self._make is None:
            commands = [fill(context) for fill in self._fills]
            is_repeatable = self._is_repeatable
        else:
            made = checked(self._make(context))
            commands = [filled(command)(context) for command in made]
            is_repeatable = all(command.is_repeatable for command in made)
        if not commands:  # the author's function had nothing to save
            now = self.now() + self.offset
            return Saved(value, (), now, now)
        answers, sent, done = await self.send(commands, is_repeatable)
        self.meters.count("records-saved", len(commands))
        return Saved(value, tuple(answers), sent, done)


class ProduceStep(ClientStep):
    """Adds one entry to a stream."""

    def __init__(self, spec: Produce[Any]) -> None:
        super().__init__(spec.client)
        self._stream = part(spec.stream)
        self._fields = part(spec.fields)
        limit = spec.max_length
        self._options = () if limit is None else (b"MAXLEN", b"~", encoded(limit))

    async def execute(self, context: Any) -> Added:
        words = (
            b"XADD",
            encoded(self._stream(context)),
            *self._options,
            b"*",
            *field_words(self._fields(context)),
        )
        [id], sent, done = await self.send([words], is_repeatable=False)
        self.meters.count("records-produced")
        return Added(text(id), sent, done)


def part(given: Any) -> Fill:
    """A value of the author, or what the author's function makes of the context."""
    return on_value(given) if callable(given) else lambda context: given


def filled(command: Command[Any]) -> Callable[[Any], Words]:
    """Makes the words of a command; those that are always the same are made once."""
    if not any(map(callable, command.parts)):
        words = command.words(command.parts)
        return lambda context: words
    fills = tuple(map(part, command.parts))
    return lambda context: command.words(tuple(fill(context) for fill in fills))


def checked(made: Any) -> Sequence[Command[Any]]:
    """What the author's function returned; raises ValueError."""
    commands = [made] if isinstance(made, Command) else made
    if not isinstance(commands, Sequence) or not all(isinstance(command, Command) for command in commands):
        raise ValueError(
            f"the function of a save returns a list of commands such as redis.set(…), not {made!r}"
        )
    return commands
