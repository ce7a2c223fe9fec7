"""What authors give to be sent as bytes: bytes, text, or a function that returns one of them."""

from __future__ import annotations

from inspect import iscoroutinefunction
from typing import Any

from qalipsis.language.callables import function_problems

Payload = str | bytes | bytearray | memoryview


def payload_bytes(payload: Any) -> bytes:
    """The bytes of a payload, text as UTF-8; raises TypeError."""
    if isinstance(payload, bytes):
        return payload
    if isinstance(payload, str):
        return payload.encode()
    if isinstance(payload, bytearray | memoryview):
        return bytes(payload)
    raise TypeError(f"the payload should be bytes or text, not {payload!r}")


def payload_problems(payload: Any) -> list[str]:
    """Why `payload` can neither be sent nor be called for what to send."""
    if callable(payload):
        if iscoroutinefunction(payload):
            return ["the payload's function is called and not awaited; make it a plain function"]
        return function_problems("the payload", payload, ("value", "context, value"))
    try:
        payload_bytes(payload)
    except TypeError:
        return [f"the payload {payload!r} should be bytes, text, or a function that returns one of them"]
    except UnicodeEncodeError as error:
        return [f"the payload cannot be sent as UTF-8: {error}; give bytes"]
    return []
