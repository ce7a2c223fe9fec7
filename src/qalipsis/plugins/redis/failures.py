"""What the driver raises and what the service refuses, as failures of a step."""

from __future__ import annotations

import ssl
from errno import ECONNREFUSED
from socket import gaierror

from redis import exceptions as driver

from qalipsis.engine.step import StepError
from qalipsis.plugins.redis.commands import Words
from qalipsis.plugins.redis.settings import Address, Settings

PASSING = frozenset({"connect-refused", "connect-failed", "dns", "closed", "timeout", "loading", "cluster"})
"""Kinds of what may be over in a moment: a restart, a failover, a network that is gone."""


class Unsent(StepError):
    """A failure before anything was handed to the service: it can be tried again without harm."""


def not_connected(error: BaseException, address: Address, settings: Settings) -> Unsent:
    """Why there is no connection; never shows a password."""
    place = f"Redis at {address}"
    if isinstance(error, driver.AuthenticationError | driver.AuthenticationWrongNumberOfArgsError):
        return Unsent("auth", f"{place} refuses the login of the user {settings.user!r}: {_login(settings)}")
    if isinstance(error, driver.BusyLoadingError):
        return Unsent("loading", f"{place} is still loading its data")
    if isinstance(error, driver.ResponseError):
        if "DB index" in str(error):
            return Unsent("database", f"{place} has no database {settings.database}")
        kind = "denied" if isinstance(error, driver.NoPermissionError) else "refused"
        return Unsent(kind, f"{place} does not let the user {settings.user!r} begin: {error}")
    cause = error if isinstance(error, OSError) else error.__cause__ or error.__context__
    if isinstance(error, driver.TimeoutError | TimeoutError):
        return Unsent("timeout", f"{place} did not answer within {settings.timeout:g} s")
    if isinstance(cause, gaierror):
        return Unsent("dns", f"there is no address for the name {address.host!r} of {place}")
    if isinstance(cause, ssl.SSLError):
        return Unsent("tls", f"{place}: the TLS handshake failed: {cause.reason or cause}")
    if isinstance(cause, ConnectionRefusedError) or f"[Errno {ECONNREFUSED}]" in str(cause):
        return Unsent("connect-refused", f"nobody listens at {address}, where Redis should be")
    if "max number of clients" in str(error):
        return Unsent("connect-failed", f"{place} has as many clients as it allows; raise its maxclients")
    return Unsent("connect-failed", f"{place} cannot be connected to: {cause or error}")


def broken(error: BaseException, address: Address, settings: Settings) -> StepError:
    """Why a connection ended while an answer was awaited."""
    place = f"Redis at {address}"
    if isinstance(error, driver.TimeoutError | TimeoutError):
        return StepError("timeout", f"{place} did not answer within {settings.timeout:g} s")
    if isinstance(error, driver.AuthenticationError):
        return StepError("auth", f"{place} wants a login: {_login(settings)}")
    if isinstance(error, driver.BusyLoadingError):
        return StepError("loading", f"{place} is still loading its data")
    if isinstance(error, driver.InvalidResponse):
        return StepError("protocol", f"what answers at {address} does not speak as Redis does: {error}")
    return StepError("closed", f"{place} closed the connection before it had answered")


def refusal(
    error: driver.ResponseError, words: Words, address: Address, settings: Settings
) -> tuple[str, str]:
    """Kind and message of an answer that is an error."""
    command, place = words[0].decode(errors="replace"), f"Redis at {address}"
    key = words[1].decode(errors="replace") if len(words) > 1 else ""
    attempt = f"{command} {key!r}" if key else command
    text = str(error)
    if isinstance(error, driver.NoPermissionError):
        return "denied", (
            f"{place} does not let the user {settings.user!r} do {attempt}: {text}; "
            f"allow the command and the key with ACL SETUSER"
        )
    if text.startswith("WRONGTYPE"):
        return "wrong-type", f"{place}: {attempt} fails, because the key holds another type of value"
    if text.startswith(("NOGROUP", "UNBLOCKED")):
        return "no-group", f"{place}: {attempt} fails, because its consumer group was removed"
    if isinstance(error, driver.MovedError):
        return "moved", f"{place} belongs to a cluster: write redis.client(…, cluster=True)"
    if isinstance(error, driver.ClusterDownError | driver.TryAgainError | driver.AskError):
        return "cluster", f"{place}: the cluster cannot serve {attempt} now: {text}"
    if isinstance(error, driver.ReadOnlyError):
        return "read-only", f"{place} is a replica and refuses {attempt}; give the address of its master"
    if isinstance(error, driver.OutOfMemoryError):
        return "out-of-memory", f"{place} has no memory left for {attempt}"
    return "refused", f"{place} refuses {attempt}: {text}"


def _login(settings: Settings) -> str:
    if settings.password is None:
        return "give a user and a password in the address, redis://user:password@host"
    return "correct the user or the password"
