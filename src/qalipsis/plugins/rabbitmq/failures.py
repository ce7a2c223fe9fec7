"""What the driver raises, as failures of a step: once, here, with the cause kept."""

from __future__ import annotations

import re

from aiormq import exceptions

from qalipsis.engine.step import StepError
from qalipsis.plugins.rabbitmq.settings import Settings

FAILURES = (exceptions.AMQPError, ConnectionError, RuntimeError)
"""What a driver may raise: it says RuntimeError when a channel or a connection is closed already."""


def connect_failure(error: Exception, said: str, settings: Settings) -> StepError:
    """Why there is no connection; `said` is what the broker gave as its reason, if it did."""
    where, user, host = settings.where, settings.address.user, settings.virtual_host
    if isinstance(error, exceptions.ProbableAuthenticationError | exceptions.AuthenticationError):
        return StepError(
            "auth", f"{where} refused the user {user!r}; correct user and password in the client's address"
        )
    if "vhost" in said:
        if "not found" in said:
            return StepError(
                "no-vhost",
                f"{where} has no virtual host {host!r}; create it, or correct the client's address",
            )
        return StepError(
            "denied",
            f"{where} refused the user {user!r} access to the virtual host {host!r}; grant it, "
            "or correct the client's address",
        )
    return StepError("connect-failed", f"no connection with {where}: {said or reason(error)}")


def channel_failure(error: BaseException, settings: Settings, about: str) -> StepError:
    """Why something asked of a channel failed; `about` names what it was about."""
    where = settings.where
    said = reason(error)
    match error:
        case exceptions.ChannelNotFoundEntity():
            kind = "no-exchange" if "no exchange" in said else "no-queue"
            return StepError(kind, f"{where} does not know {about}: {said}; create it first")
        case exceptions.ChannelAccessRefused() if "exclusive" in said:
            return StepError("exclusive", f"{where} gives {about} to one reader at a time: {said}")
        case exceptions.ChannelLockedResource():
            return StepError("exclusive", f"{where} gives {about} to one reader at a time: {said}")
        case exceptions.ChannelAccessRefused():
            return StepError(
                "denied",
                f"{where} refused the user {settings.address.user!r} {about}: {said}; grant what is missing",
            )
        case exceptions.AMQPConnectionError() | exceptions.ChannelInvalidStateError() | OSError():
            return StepError("closed", f"the connection with {where} ended, about {about}: {said}")
        case exceptions.AMQPChannelError():
            return StepError("refused", f"{where} refused {about}: {said}")
    return StepError("closed", f"the channel of {where} for {about} ended: {said}")


def reason(error: BaseException) -> str:
    """What the broker or the driver said, without addresses, which the driver puts in brackets."""
    text = str(error.args[-1]) if error.args else ""
    text = text or str(error) or type(error).__name__
    return re.sub(r"<[^<>]*>", "", text).strip()
