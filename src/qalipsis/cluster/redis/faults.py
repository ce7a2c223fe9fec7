"""What an error of Redis means: it passes, or somebody has to do something."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from typing import Final

from redis.exceptions import (
    AskError,
    AuthenticationError,
    ClusterDownError,
    MovedError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
)

from qalipsis.cluster.redis.address import Address, Node
from qalipsis.errors import QalipsisError, ServiceRefused, ServiceUnavailable

Words = Sequence[str | bytes | int]
"""A command: its name, its key, and the rest."""

_PASSES: Final = (ReadOnlyError, ClusterDownError, TryAgainError, OutOfMemoryError, MovedError, AskError)
_PASSES_BY_CODE: Final = frozenset(
    {"UNBLOCKED", "MISCONF", "NOREPLICAS", "BUSY", "LOADING", "MASTERDOWN", "CLUSTERDOWN"}
)

ANSWERS: Final = frozenset({"NOGROUP", "NOKEY", "BUSYGROUP"})
"""Errors that are an answer to those who ask."""


class Passing(Exception):
    """Redis did not do it, and may in a moment; the message says where and why."""


def code(error: ResponseError) -> str:
    """What kind of error it is. Of a stream that is gone XINFO says so without a code, which we give it."""
    text = str(error)
    return "NOKEY" if text == "no such key" else text.partition(" ")[0]


def judged(error: BaseException, node: Node, address: Address, words: Words = ()) -> Passing | QalipsisError:
    """The error of a connection or an answer, as ours."""
    certificate, tls = _of_tls(error)
    if certificate is not None:
        return ServiceUnavailable(
            f"the certificate of Redis at {node} is not trusted ({certificate}): have this machine trust its "
            "authority (SSL_CERT_FILE names a file of authorities), or write verifyPeer=ca into redis.uri to "
            "accept any host name, verifyPeer=none to accept any certificate"
        )
    if tls is not None:
        return ServiceUnavailable(
            f"Redis at {node} does not speak TLS as it should ({tls}): write redis:// instead of rediss:// "
            "when that port is without TLS"
        )
    if isinstance(error, AuthenticationError):
        return ServiceRefused(
            f"Redis at {node} refuses {address.who} ({error}): check the user and the password in redis.uri, "
            "or redis.username and redis.password"
        )
    if isinstance(error, ResponseError):
        return _of_an_answer(error, node, address, words)
    return Passing(f"Redis at {node} does not answer: {_reason(error)}")


def _of_an_answer(
    error: ResponseError, node: Node, address: Address, words: Words
) -> Passing | QalipsisError:
    asked = _asked(words)
    if isinstance(error, NoPermissionError):
        return ServiceRefused(
            f"{address.who} of Redis at {node} may not {asked} ({error}): grant the command and the key, see "
            "the page about Redis in the documentation"
        )
    if isinstance(error, MovedError) and not address.is_cluster:
        return ServiceUnavailable(
            f"Redis at {node} is a node of a cluster: write the addresses of its nodes under redis.uris "
            "instead of redis.uri"
        )
    if isinstance(error, _PASSES) or code(error) in _PASSES_BY_CODE:
        return Passing(f"Redis at {node} answers to {asked}: {error}")
    text = str(error).lower()
    if "requires the key to exist" in text:
        # Between two commands somebody has wiped it; its reader makes it again.
        return Passing(f"Redis at {node} answers to {asked}: {error}")
    if "unknown command" in text or "unknown subcommand" in text:
        return ServiceUnavailable(f"Redis at {node} does not know {asked}: install Redis 6.2 or later")
    if "cluster support disabled" in text:
        return ServiceUnavailable(
            f"Redis at {node} is no cluster: write its address as redis.uri instead of redis.uris"
        )
    if "db index is out of range" in text or "select is not allowed" in text:
        return ServiceUnavailable(f"Redis at {node} has no database {address.database}: correct redis.uri")
    return ServiceUnavailable(f"Redis at {node} refuses {asked}: {error}")


def _asked(words: Words) -> str:
    """The command and its key, which some commands have behind a word of their own."""
    match words:
        case ("XGROUP" | "XINFO", _, _, *_):
            shown = words[:3]
        case ("XREADGROUP", *_) if "STREAMS" in words:
            shown = (words[0], words[words.index("STREAMS") + 1])
        case _:
            shown = words[:2]
    return " ".join(map(_shown, shown)) or "to connect"


def _of_tls(error: BaseException | None) -> tuple[str | None, str | None]:
    """What is wrong with the certificate, or else with TLS; the driver hides it behind errors of its own."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error.verify_message or str(error), None
        if isinstance(error, ssl.SSLError):
            return None, error.reason or str(error)
        error = error.__cause__ or error.__context__
    return None, None


def _reason(error: BaseException) -> str:
    return str(error).rstrip(".") or type(error).__name__


def _shown(word: str | bytes | int) -> str:
    return word.decode(errors="replace") if isinstance(word, bytes) else str(word)
