"""Commands of a save, as values: each part is a value, or a function of the step's input."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AnySet
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, overload

from qalipsis.language.callables import function_problems
from qalipsis.language.context import Context
from qalipsis.language.durations import Duration, seconds

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    # The default lets a command without functions be used after any step.
    In = TypeVar("In", contravariant=True, default=Any)
else:
    from typing import TypeVar

    In = TypeVar("In", contravariant=True)

Word = str | bytes | int | float | Decimal
X = TypeVar("X")
Of: TypeAlias = X | Callable[[In], X]
"""A value, or a function of the step's input."""
ByContext: TypeAlias = X | Callable[[Context, In], X]
"""A value, or a function of (context, input); the functions of one command all take the same."""

Words = tuple[bytes, ...]
"""A command as it is sent: its name, its key, and the rest."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Command(Generic[In]):
    """One command to one key; `arrange` makes its words from the key and the other parts."""

    name: str
    arrange: Callable[..., list[Any]]
    parts: tuple[Any, ...]
    is_repeatable: bool = False
    """True where sending it twice does what sending it once does."""

    @property
    def key(self) -> Any:
        return self.parts[0]

    def words(self, parts: tuple[Any, ...]) -> Words:
        """What is sent once no part is a function any more; raises ValueError."""
        try:
            arranged = [self.name, *self.arrange(*parts)]
            return tuple(map(encoded, arranged))
        except (TypeError, ValueError) as error:
            raise ValueError(f"{self.name}: {error}") from error

    def problems(self) -> list[str]:
        if any(map(callable, self.parts)):
            found = []
            for part in filter(callable, self.parts):
                found += function_problems(f"redis {self.name}", part, ("value", "context, value"))
            return found
        try:
            self.words(self.parts)
        except ValueError as error:
            return [f"redis {error}"]
        return []

    def __repr__(self) -> str:
        key = "…" if callable(self.key) else repr(self.key)
        return f"<{self.name} {key}>"


def encoded(word: Any) -> bytes:
    """The bytes of a key, a field or a value."""
    if isinstance(word, bytes):
        return word
    if isinstance(word, str):
        return word.encode()
    if isinstance(word, (int, float)) and not isinstance(word, bool):
        return repr(word).encode()
    if isinstance(word, Decimal):
        return str(word).encode()
    raise ValueError(f"Redis keeps text, bytes and numbers, not {word!r}; write str(…) or json.dumps(…)")


@dataclass(frozen=True, slots=True)
class Plain:
    """The function of a command that takes a key and any number of values, such as SADD."""

    name: str
    is_repeatable: bool

    @overload
    def __call__(self, key: Of[Word, In], *values: Of[Word | Sequence[Word], In]) -> Command[In]: ...
    @overload
    def __call__(
        self, key: ByContext[Word, In], *values: ByContext[Word | Sequence[Word], In]
    ) -> Command[In]: ...
    def __call__(self, key: Any, *values: Any) -> Command[Any]:
        """A value that is a list stands for each of its items."""
        return Command(self.name, _each, (key, *values), self.is_repeatable)


sadd = Plain("SADD", is_repeatable=True)
srem = Plain("SREM", is_repeatable=True)
rpush = Plain("RPUSH", is_repeatable=False)
lpush = Plain("LPUSH", is_repeatable=False)


@overload
def set(key: Of[Word, In], value: Of[Word, In], expire: Of[Duration | None, In] = None) -> Command[In]: ...
@overload
def set(
    key: ByContext[Word, In], value: ByContext[Word, In], expire: ByContext[Duration | None, In] = None
) -> Command[In]: ...
def set(key: Any, value: Any, expire: Any = None) -> Command[Any]:
    """SET: keep one value under the key, for as long as `expire` says."""
    return Command("SET", _value_and_life, (key, value, expire), is_repeatable=True)


@overload
def hset(key: Of[Word, In], mapping: Of[Mapping[str, Word], In]) -> Command[In]: ...
@overload
def hset(key: ByContext[Word, In], mapping: ByContext[Mapping[str, Word], In]) -> Command[In]: ...
def hset(key: Any, mapping: Any) -> Command[Any]:
    """HSET: set fields of a hash."""
    return Command("HSET", _pairs, (key, mapping), is_repeatable=True)


@overload
def zadd(key: Of[Word, In], scores: Of[Mapping[str, float], In]) -> Command[In]: ...
@overload
def zadd(key: ByContext[Word, In], scores: ByContext[Mapping[str, float], In]) -> Command[In]: ...
def zadd(key: Any, scores: Any) -> Command[Any]:
    """ZADD: give members of a sorted set their scores."""
    return Command("ZADD", _scores, (key, scores), is_repeatable=True)


@overload
def incrby(key: Of[Word, In], by: Of[int, In] = 1) -> Command[In]: ...
@overload
def incrby(key: ByContext[Word, In], by: ByContext[int, In] = 1) -> Command[In]: ...
def incrby(key: Any, by: Any = 1) -> Command[Any]:
    """INCRBY: count."""
    return Command("INCRBY", _number, (key, by))


@overload
def expire(key: Of[Word, In], after: Of[Duration, In]) -> Command[In]: ...
@overload
def expire(key: ByContext[Word, In], after: ByContext[Duration, In]) -> Command[In]: ...
def expire(key: Any, after: Any) -> Command[Any]:
    """PEXPIRE: let a key go after a while."""
    return Command("PEXPIRE", _life, (key, after), is_repeatable=True)


@overload
def delete(key: Of[Word, In]) -> Command[In]: ...
@overload
def delete(key: ByContext[Word, In]) -> Command[In]: ...
def delete(key: Any) -> Command[Any]:
    """DEL: remove a key."""
    return Command("DEL", _alone, (key,), is_repeatable=True)


@overload
def command(name: str, key: Of[Word, In], *words: Of[Word, In]) -> Command[In]: ...
@overload
def command(name: str, key: ByContext[Word, In], *words: ByContext[Word, In]) -> Command[In]: ...
def command(name: str, key: Any, *words: Any) -> Command[Any]:
    """Any other command whose first word after its name is its only key; never sent twice."""
    return Command(name, _plain, (key, *words))


def _alone(key: Any) -> list[Any]:
    return [key]


def _plain(key: Any, *words: Any) -> list[Any]:
    return [key, *words]


def _each(key: Any, *values: Any) -> list[Any]:
    words = [key]
    for value in values:
        if isinstance(value, (list, tuple, frozenset, AnySet)):
            words += value
        else:
            words.append(value)
    if len(words) == 1:
        raise ValueError("give at least one value after the key")
    return words


def _value_and_life(key: Any, value: Any, expire: Any) -> list[Any]:
    return [key, value] if expire is None else [key, value, "PX", _milliseconds(expire)]


def _life(key: Any, after: Any) -> list[Any]:
    return [key, _milliseconds(after)]


def _milliseconds(length: Any) -> int:
    found = round(seconds(length) * 1000)
    if found < 1:
        raise ValueError(f"a key cannot expire after {length!r}; write at least 1 ms")
    return found


def _pairs(key: Any, mapping: Any) -> list[Any]:
    return [key, *field_words(mapping)]


def field_words(mapping: Any) -> list[bytes]:
    """Names and values of a hash or of an entry, one after the other; raises ValueError."""
    if not isinstance(mapping, Mapping) or not mapping:
        raise ValueError(f"a mapping of at least one field is needed, not {mapping!r}")
    return [encoded(word) for pair in mapping.items() for word in pair]


def _scores(key: Any, scores: Any) -> list[Any]:
    if not isinstance(scores, Mapping) or not scores:
        raise ValueError(f"a mapping of at least one member to its score is needed, not {scores!r}")
    words = [key]
    for member, score in scores.items():
        if isinstance(score, bool) or not isinstance(score, (int, float)) or score != score:
            raise ValueError(f"the score of {member!r} should be a number, not {score!r}")
        words += [score, member]
    return words


def _number(key: Any, by: Any) -> list[Any]:
    if isinstance(by, bool) or not isinstance(by, int):
        raise ValueError(f"a whole number is needed, not {by!r}")
    return [key, by]
