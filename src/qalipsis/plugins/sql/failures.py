"""What the driver raises, as failures with a class: the only place that knows its exceptions."""

from __future__ import annotations

import re
import socket
import ssl
from errno import ECONNREFUSED

import asyncpg

from qalipsis.engine.step import StepError
from qalipsis.errors import ServiceUnavailable
from qalipsis.plugins.sql.spec import Database

BY_SQLSTATE = {
    "08": "closed",
    "22": "data",
    "23": "constraint",
    "25006": "read-only",
    "28": "auth",
    "3D000": "no-database",
    "3F000": "no-schema",
    "40001": "serialization",
    "40P01": "deadlock",
    "42": "syntax",
    "42501": "denied",
    "42703": "no-column",
    "42P01": "no-table",
    "53": "resources",
    "53300": "too-many-connections",
    "55P03": "locked",
    "57014": "timeout",
    "57P01": "closed",
    "57P02": "closed",
    "57P03": "unavailable",
    "57P05": "closed",
}
"""Class of a code of PostgreSQL, or of its first two characters; a code not listed is its own class."""

HINTS = {
    "data": "correct start and params",
    "auth": "correct user and password, and see that pg_hba.conf lets them in",
    "denied": "grant the user what it needs",
    "dns": "correct the host's name",
    "no-column": "correct the query, or the names in by and key",
    "no-database": "create the database, or correct its name",
    "no-schema": "create the schema, or correct its name",
    "no-table": "create the table before the campaign, or correct its name",
    "syntax": "correct the query",
    "tls": "correct tls=…, or the server's certificate",
    "too-many-connections": "make pool_size smaller, or max_connections of the server larger",
}
START_IT = "start the service, or correct the address"
AWAY = ("closed", "connect-failed", "connect-refused", "connect-timeout", "timeout", "unavailable")


def failure(error: Exception, place: str) -> StepError:
    """What went wrong with a statement at `place`, in one sentence."""
    if isinstance(error, StepError):
        return error
    kind, said = _kind(error), _said(error)
    return StepError(kind, f"{place}: {said}")


def connect_failure(error: Exception, place: str, limit: float) -> StepError:
    """Why no connection to `place` could be opened within `limit` seconds."""
    if isinstance(error, TimeoutError):
        return StepError("connect-timeout", f"{place} did not let us in within {limit:.2g} s")
    if _is_refused(error):
        return StepError("connect-refused", f"{place} refuses connections")
    kind = _kind(error)
    return StepError("connect-failed" if kind == "closed" else kind, f"{place}: {_said(error)}")


def _kind(error: Exception) -> str:
    if isinstance(error, asyncpg.PostgresError):
        code = error.sqlstate or ""
        return BY_SQLSTATE.get(code) or BY_SQLSTATE.get(code[:2]) or f"sqlstate-{code.lower()}"
    if isinstance(error, asyncpg.InterfaceError):
        # The driver's own complaints; it raises them for values that do not fit the type of a parameter.
        if isinstance(error, ValueError):
            return "data"
        return "closed" if "connection is closed" in str(error) else "params"
    if isinstance(error, asyncpg.InternalClientError):
        return "closed"  # the server said goodbye in the middle of something
    if isinstance(error, TimeoutError):
        return "timeout"
    if isinstance(error, socket.gaierror):
        return "dns"
    if isinstance(error, ssl.SSLError | ssl.CertificateError) or "SSL" in str(error):
        return "tls"
    if isinstance(error, OSError):
        return "closed"
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "-", type(error).__name__).lower()


def _said(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer within the timeout"
    return str(error).strip().partition("\n")[0] or type(error).__name__


def _is_refused(error: Exception) -> bool:
    # A name with several addresses is refused by all of them, in one error that only tells so in its text.
    return isinstance(error, OSError) and (
        error.errno == ECONNREFUSED or f"[Errno {ECONNREFUSED}]" in str(error)
    )


def unavailable(error: StepError, database: Database) -> ServiceUnavailable:
    """The same before the start: what cannot be used, why, and what to do."""
    hint = START_IT if error.kind in AWAY else HINTS.get(error.kind)
    message = f"{database.location}: {database!r} cannot be used: {error}"
    return ServiceUnavailable(f"{message}\n    {hint}" if hint else message)
