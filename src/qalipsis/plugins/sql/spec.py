"""What an author says about a database: where it is, what to save, search and poll. Nothing here connects."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time, timedelta
from decimal import Decimal
from functools import cached_property
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, ClassVar, Final, Generic, Literal, TypeVar, overload
from uuid import UUID

from qalipsis.language.context import Context
from qalipsis.language.durations import Duration
from qalipsis.language.location import NOWHERE, Location, caller
from qalipsis.language.of_client import OfClient
from qalipsis.language.prop import Prop
from qalipsis.language.source import Source
from qalipsis.language.spec import Spec, named
from qalipsis.plugins.sql import problems
from qalipsis.plugins.sql.row import Row
from qalipsis.plugins.sql.settings import Settings, address, settled
from qalipsis.plugins.sql.statement import main_table

T = TypeVar("T")

if TYPE_CHECKING:
    from typing_extensions import TypeVar as WithDefault

    # The default lets a step without functions be kept in a variable and be used after any step.
    In = WithDefault("In", contravariant=True, default=Any)
    Value = WithDefault("Value", default=Any)
    Record = WithDefault("Record", covariant=True, default=Any)
else:
    In = TypeVar("In", contravariant=True)
    Value = TypeVar("Value")
    Record = TypeVar("Record", covariant=True)

Scalar = (
    str
    | bytes
    | int
    | float
    | Decimal
    | UUID
    | date
    | time
    | timedelta
    | list[Any]
    | tuple[Any, ...]
    | dict[str, Any]
    | None
)
"""What a column or a parameter can be given; a dict becomes JSON, a list an array or JSON."""
Columns = Mapping[str, Scalar | Callable[[Value], object]]
ContextColumns = Mapping[str, Scalar | Callable[[Context, Value], object]]
Rows = Mapping[str, object] | Sequence[Mapping[str, object]]
GivenRows = Sequence[Mapping[str, Scalar]]
Params = Sequence[Scalar | Callable[[Value], object]] | Callable[[Value], Sequence[object]]
ContextParams = (
    Sequence[Scalar | Callable[[Context, Value], object]] | Callable[[Context, Value], Sequence[object]]
)


class New:
    """Marks a poll that begins behind the rows that are there."""

    def __repr__(self) -> str:
        return "sql.NEW"


NEW: Final = New()
"""As the `start` of a poll: only rows that come after the campaign has opened it."""


@dataclass(frozen=True, eq=False, repr=False)
class Database:
    """One PostgreSQL database with one login; made by `postgres`.

    Options are kept as written, so that every mistake is found at once when the scenario is compiled.
    """

    url: Any = None
    host: Any = None
    port: Any = None
    database: Any = None
    user: Any = None
    password: Any = None
    pool_size: Any = 10
    timeout: Any = "10s"
    connect_timeout: Any = "5s"
    schema: Any = None
    tls: Any = None
    location: Location = NOWHERE

    @overload
    def save(self, table: str, columns: Callable[[Value], Rows]) -> SaveSpec[Value]: ...
    @overload
    def save(self, table: str, columns: Callable[[Context, Value], Rows]) -> SaveSpec[Value]: ...
    @overload
    def save(self, table: str, columns: Columns[Value] | GivenRows) -> SaveSpec[Value]: ...
    @overload
    def save(self, table: str, columns: ContextColumns[Value]) -> SaveSpec[Value]: ...
    @overload
    def save(
        self, table: str, columns: Callable[[In], Rows], *, returning: Sequence[str]
    ) -> InsertSpec[In]: ...
    @overload
    def save(
        self, table: str, columns: Callable[[Context, In], Rows], *, returning: Sequence[str]
    ) -> InsertSpec[In]: ...
    @overload
    def save(
        self, table: str, columns: Columns[In] | GivenRows, *, returning: Sequence[str]
    ) -> InsertSpec[In]: ...
    @overload
    def save(
        self, table: str, columns: ContextColumns[In], *, returning: Sequence[str]
    ) -> InsertSpec[In]: ...
    def save(self, table: str, columns: Any, *, returning: Any = None) -> Any:
        """Insert one row or many, in one statement; forwards the value, or emits what is `returning`.

        `columns` is a dict of column and value or function, a list of dicts, or a function that returns a
        dict or a list of dicts. Names are taken as they stand, capitals included.
        """
        if returning is None:
            return SaveSpec(self, table, columns)
        return InsertSpec(self, table, columns, _tuple(returning))

    @overload
    def execute(self, statement: str, params: Params[In] = ()) -> ExecuteSpec[In]: ...
    @overload
    def execute(self, statement: str, params: ContextParams[In]) -> ExecuteSpec[In]: ...
    def execute(self, statement: str, params: Any = ()) -> Any:
        """Run any statement; emits how many rows it changed."""
        return ExecuteSpec(self, statement, params)

    @overload
    def search(self, query: str, params: Params[In] = ()) -> SearchSpec[In, Row]: ...
    @overload
    def search(self, query: str, params: ContextParams[In]) -> SearchSpec[In, Row]: ...
    @overload
    def search(self, query: str, params: Params[In] = (), *, into: type[T]) -> SearchSpec[In, T]: ...
    @overload
    def search(self, query: str, params: ContextParams[In], *, into: type[T]) -> SearchSpec[In, T]: ...
    def search(self, query: str, params: Any = (), *, into: Any = None) -> Any:
        """Run a query; emits the list of its rows, each a `Row` or what `into` says."""
        return SearchSpec(self, query, params, into)

    @overload
    def poll(
        self,
        query: str,
        by: str | Sequence[str],
        *,
        order: Literal["asc", "desc"] = "asc",
        start: object = None,
        every: Duration = "1s",
        params: Sequence[Scalar] = (),
        key: str | Sequence[str] = (),
        lateness: Duration = "5s",
        batch: int = 1_000,
    ) -> PollSource[Row]: ...
    @overload
    def poll(
        self,
        query: str,
        by: str | Sequence[str],
        *,
        into: type[T],
        order: Literal["asc", "desc"] = "asc",
        start: object = None,
        every: Duration = "1s",
        params: Sequence[Scalar] = (),
        key: str | Sequence[str] = (),
        lateness: Duration = "5s",
        batch: int = 1_000,
    ) -> PollSource[T]: ...
    def poll(
        self,
        query: str,
        by: str | Sequence[str],
        *,
        order: str = "asc",
        start: object = None,
        every: Duration = "1s",
        params: Sequence[Scalar] = (),
        into: Any = None,
        key: str | Sequence[str] = (),
        lateness: Duration = "5s",
        batch: int = 1_000,
    ) -> PollSource[Any]:
        """Read a query's rows in the order of the columns `by`, each once, and go on with those that come.

        The page docs/plugins/sql.md says what this means for rows with equal values, in both directions.
        """
        return PollSource(
            self, query, _tuple(by), order, start, every, params, into, _tuple(key), lateness, batch
        )

    def settings(self) -> Settings:
        """The checked options; call only when `problems()` is empty."""
        return self._settings

    def problems(self) -> list[str]:
        """Every mistake in the options, each as a sentence that says what to write instead."""
        return list(self._problems)

    # Journeys make steps while they run, so that these are asked for again and again.

    @cached_property
    def _settings(self) -> Settings:
        return settled(self)

    @cached_property
    def _problems(self) -> tuple[str, ...]:
        return tuple(problems.database_problems(self))

    def __repr__(self) -> str:
        """Never shows the password, nor a default of a placeholder, which may hold one."""
        parts = (self.url, self.host, self.port, self.database, self.user)
        placeholders = [part.key for part in parts if isinstance(part, Prop)]
        if placeholders:
            return f"<PostgreSQL of the configuration's {', '.join(placeholders)}>"
        try:
            found = address(self)
        except ValueError:
            return "<PostgreSQL at an address that cannot be read>"
        return f"<PostgreSQL {found.host}:{found.port}/{found.database} as {found.user}>"


def postgres(
    url: str | None = None,
    *,
    host: str | None = None,
    port: int | None = None,
    database: str | None = None,
    user: str | None = None,
    password: str | None = None,
    pool_size: int = 10,
    timeout: Duration = "10s",
    connect_timeout: Duration = "5s",
    schema: str | None = None,
    tls: bool | str | PurePath | None = None,
) -> Database:
    """Describe a database, by a URL, keywords or both; the page docs/plugins/sql.md explains every option.

    Share one description between the steps of a scenario: they then share its connections.
    """
    return Database(
        url, host, port, database, user, password, pool_size, timeout, connect_timeout, schema, tls, caller()
    )


class _OfDatabase(OfClient):
    """What all descriptions here have in common: a database, which tells its mistakes where it was made."""

    database: Database

    @property
    def client(self) -> Database:
        return self.database


@dataclass(frozen=True, eq=False)
class SaveSpec(_OfDatabase, Spec[Value, Value], Generic[Value]):
    """Inserts rows made of its input, and forwards the input."""

    kind: ClassVar[str] = "sql.save"

    database: Database
    table: Any
    columns: Any

    def own_problems(self) -> Iterator[str]:
        yield from problems.save_problems(self)

    def default_name(self) -> str:
        return _name("save", self.table)


@dataclass(frozen=True, eq=False)
class InsertSpec(_OfDatabase, Spec[In, list[Row]], Generic[In]):
    """Inserts rows made of its input, and emits what the database returns of them."""

    kind: ClassVar[str] = "sql.save"

    database: Database
    table: Any
    columns: Any
    returning: Any

    def own_problems(self) -> Iterator[str]:
        yield from problems.save_problems(self)
        yield from problems.returning_problems(self.returning)

    def default_name(self) -> str:
        return _name("save", self.table)


@dataclass(frozen=True, eq=False)
class ExecuteSpec(_OfDatabase, Spec[In, int], Generic[In]):
    """Runs a statement, and emits how many rows it changed."""

    kind: ClassVar[str] = "sql.execute"

    database: Database
    statement: Any
    params: Any = ()

    def own_problems(self) -> Iterator[str]:
        yield from problems.statement_problems("execute", self.statement)
        yield from problems.params_problems("execute", self.params)

    def default_name(self) -> str:
        return _name("execute", self.statement)


@dataclass(frozen=True, eq=False)
class SearchSpec(_OfDatabase, Spec[In, list[Record]], Generic[In, Record]):
    """Runs a query, and emits its rows as a list."""

    kind: ClassVar[str] = "sql.search"

    database: Database
    query: Any
    params: Any = ()
    into: Any = None

    def own_problems(self) -> Iterator[str]:
        yield from problems.statement_problems("search", self.query)
        yield from problems.params_problems("search", self.params)
        yield from problems.into_problems("search", self.into)

    def default_name(self) -> str:
        return _name("search", self.query)


@dataclass(frozen=True, eq=False)
class PollSource(_OfDatabase, Source[Record], Generic[Record]):
    """Reads a query's rows in order, again and again; each row is a record."""

    kind: ClassVar[str] = "sql.poll"

    database: Database
    query: Any
    by: Any
    order: Any = "asc"
    start: Any = None
    every: Any = "1s"
    params: Any = ()
    into: Any = None
    key: Any = ()
    lateness: Any = "5s"
    batch: Any = 1_000

    @property
    def start_values(self) -> tuple[Any, ...] | None:
        """Where to begin, one value per ordering column; None when that is not said by values."""
        if self.start is None or isinstance(self.start, New):
            return None
        values: tuple[Any, ...] = _tuple(self.start)
        return values

    def own_problems(self) -> Iterator[str]:
        yield from problems.poll_problems(self)

    def default_name(self) -> str:
        return _name("poll", self.query)


def _tuple(values: Any) -> Any:
    return tuple(values) if isinstance(values, list | tuple) else (values,)


def _name(verb: str, text: Any) -> str:
    table = main_table(text) if isinstance(text, str) and verb != "save" else text
    return named(verb, table, verb)
